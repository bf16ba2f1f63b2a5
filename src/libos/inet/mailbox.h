/* SPDX-License-Identifier: MIT */
/*
 * The mailbox of a member of a device group. The other members put in frames, each through its own ring, and
 * migrations, which are connections that move to this member. The member can sleep until mail arrives.
 *
 * No wake-up is lost: a sender sets its bit in `waiting` and then reads `asleep`; the receiver sets `asleep` and then
 * reads `waiting` before it sleeps. All four accesses are sequentially consistent, so at least one of the two sees the
 * other.
 */
#ifndef LIBOS_INET_MAILBOX_H
#define LIBOS_INET_MAILBOX_H

#include "base/list.h"
#include "base/ring.h"

#include <pthread.h>

#define MAILBOX_SENDERS_MAX    64u
#define MAILBOX_BURST          32u   /* frames taken from one sender in one call */
#define MAILBOX_MIGRATIONS_MAX 4096u /* migrations that may wait */

struct mailbox {
    _Atomic uint64_t waiting; /* a bit for each sender with new mail */
    _Atomic bool asleep;
    _Atomic uint32_t migration_count; /* length of `migrations` */
    pthread_mutex_t mutex;            /* protects the next two fields; held while a connection moves */
    struct list migrations;
    _Atomic uint64_t
        receiver; /* 1 + the number of the runtime; 0: accepts no migrations. Also read without the mutex */
    int wake_fd;
    uint32_t senders;
    struct spsc from[MAILBOX_SENDERS_MAX];
};

struct mail {
    void *frame; /* heap memory */
    uint32_t bytes, flags;
};

/* 0, or a negative errno. The caller calls mailbox_fini in both cases. */
int mailbox_init(struct mailbox *m, uint32_t senders);
/* Frees the mailbox and the frames in it. */
void mailbox_fini(struct mailbox *m);
/* Frees the frames in it; the mailbox stays usable. */
void mailbox_drain(struct mailbox *m);

/* ---- the senders ---- */

/* Puts a frame in, which the mailbox then owns; false: the ring is full. mailbox_tell notifies the receiver. */
bool mailbox_put(struct mailbox *m, uint32_t from, const struct mail *mail);
void mailbox_tell(struct mailbox *m, uint32_t from);

/* Whether the mailbox accepts migrations to that runtime. */
static inline bool mailbox_is_of(const struct mailbox *m, uint32_t runtime) {
    return atomic_load_explicit(&m->receiver, memory_order_relaxed) == 1ull + runtime;
}

/*
 * Sends a migration. mailbox_begin reserves room, and the receiver takes no migrations until mailbox_end. 0; -EXDEV:
 * the mailbox accepts none for that runtime; -EAGAIN: MAILBOX_MIGRATIONS_MAX wait already.
 */
int mailbox_begin(struct mailbox *m, uint32_t runtime);
void mailbox_migrate(struct mailbox *m, struct list *migration);
void mailbox_end(struct mailbox *m);

/* ---- the receiver ---- */

static inline bool mailbox_has_mail(const struct mailbox *m) {
    return atomic_load_explicit(&m->waiting, memory_order_relaxed) != 0;
}

/* Returns and clears the set of senders with new mail; then mailbox_take takes up to MAILBOX_BURST frames of each. */
uint64_t mailbox_senders(struct mailbox *m);
uint32_t mailbox_take(struct mailbox *m, uint32_t from, struct mail mails[MAILBOX_BURST]);

/* From mailbox_open to mailbox_close, the mailbox accepts migrations to that runtime. */
void mailbox_open(struct mailbox *m, uint32_t runtime);
void mailbox_close(struct mailbox *m);

/* A thread that has seen a store that the sender made after mailbox_migrate also sees the migration. */
static inline bool mailbox_has_migrations(const struct mailbox *m) {
    return atomic_load_explicit(&m->migration_count, memory_order_relaxed) != 0;
}
/* Moves the waiting migrations to the end of `to`. */
void mailbox_take_migrations(struct mailbox *m, struct list *to);

/* Announces that the receiver sleeps on wake_fd; false: there is mail, do not sleep. mailbox_awake undoes it. */
bool mailbox_asleep(struct mailbox *m);
void mailbox_awake(struct mailbox *m);

#endif
