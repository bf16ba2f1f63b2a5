/* SPDX-License-Identifier: MIT */
/*
 * What other members of a device group have for one: frames, in a ring from each of them, and migrations, which are
 * connections that change hands. And how the member sleeps without missing any.
 *
 * No wake-up is lost: who puts something in sets its bit of `waiting` and then reads `asleep`; who goes to sleep sets
 * `asleep` and then reads `waiting`. All four are sequentially consistent, so at least one of the two sees the other.
 */
#ifndef LIBOS_INET_MAILBOX_H
#define LIBOS_INET_MAILBOX_H

#include "base/list.h"
#include "base/ring.h"

#include <pthread.h>

#define MAILBOX_SENDERS_MAX    64u
#define MAILBOX_BURST          32u   /* frames taken from one sender at once */
#define MAILBOX_MIGRATIONS_MAX 4096u /* that wait to be taken */

struct mailbox {
    _Atomic uint64_t waiting; /* a bit for each sender that has put something in */
    _Atomic bool asleep;
    _Atomic uint32_t migration_count; /* of `migrations` */
    pthread_mutex_t mutex;            /* of the next two; held while a connection changes hands */
    struct list migrations;
    _Atomic uint64_t
        receiver; /* 1 + the number of the runtime; 0: it takes no migrations. Read without the mutex, too */
    int wake_fd;
    uint32_t senders;
    struct spsc from[MAILBOX_SENDERS_MAX];
};

struct mail {
    void *frame; /* heap memory */
    uint32_t bytes, flags;
};

/* 0, or a negative errno; then mailbox_fini is to be called as well. */
int mailbox_init(struct mailbox *m, uint32_t senders);
/* Frees the frames that nobody has taken. */
void mailbox_fini(struct mailbox *m);
/* The same without the end. */
void mailbox_drain(struct mailbox *m);

/* ---- the senders ---- */

/* Takes the frame over; false: the ring is full. The receiver is told by mailbox_tell. */
bool mailbox_put(struct mailbox *m, uint32_t from, const struct mail *mail);
void mailbox_tell(struct mailbox *m, uint32_t from);

/* Whether it takes migrations to that runtime. */
static inline bool mailbox_is_of(const struct mailbox *m, uint32_t runtime) {
    return atomic_load_explicit(&m->receiver, memory_order_relaxed) == 1ull + runtime;
}

/*
 * A migration: begin makes sure of room, and that nobody takes the migrations until end. 0; -EXDEV: it takes none to
 * that runtime; -EAGAIN: many wait already.
 */
int mailbox_begin(struct mailbox *m, uint32_t runtime);
void mailbox_migrate(struct mailbox *m, struct list *migration);
void mailbox_end(struct mailbox *m);

/* ---- the receiver ---- */

static inline bool mailbox_has_mail(const struct mailbox *m) {
    return atomic_load_explicit(&m->waiting, memory_order_relaxed) != 0;
}

/* Who has put something in since; then of each of them up to MAILBOX_BURST frames. */
uint64_t mailbox_senders(struct mailbox *m);
uint32_t mailbox_take(struct mailbox *m, uint32_t from, struct mail mails[MAILBOX_BURST]);

/* From now on it takes migrations to that runtime; it takes no more. */
void mailbox_open(struct mailbox *m, uint32_t runtime);
void mailbox_close(struct mailbox *m);

/* Whoever has seen what its sender did after mailbox_migrate sees the migration. */
static inline bool mailbox_has_migrations(const struct mailbox *m) {
    return atomic_load_explicit(&m->migration_count, memory_order_relaxed) != 0;
}
/* Moves those that wait to the end of `to`. */
void mailbox_take_migrations(struct mailbox *m, struct list *to);

/* Announces that it goes to sleep on wake_fd; false: something waits, so it must not. Awake undoes it. */
bool mailbox_asleep(struct mailbox *m);
void mailbox_awake(struct mailbox *m);

#endif
