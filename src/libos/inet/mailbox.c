/* SPDX-License-Identifier: MIT */
/* Rings of frames, a list of migrations, and the descriptor that wakes the receiver. */
#include "libos/inet/mailbox.h"

#include "base/sys.h"
#include "mem/heap.h"

#include <sys/eventfd.h>
#include <unistd.h>

#define MAIL_PLACES 2u /* entries of a ring per mail; rings have an even size, so a push writes both or none */
#define RING_PLACES 2048u

int mailbox_init(struct mailbox *m, uint32_t senders) {
    m->senders = senders;
    m->wake_fd = -1;
    list_init(&m->migrations);
    pthread_mutex_init(&m->mutex, NULL);
    for (uint32_t i = 0; i < senders; i++) {
        int r = spsc_init(&m->from[i], RING_PLACES);
        if (r) return r;
    }
    m->wake_fd = SYS(eventfd, 0, EFD_CLOEXEC | EFD_NONBLOCK);
    return m->wake_fd < 0 ? m->wake_fd : 0;
}

void mailbox_drain(struct mailbox *m) {
    struct mail mails[MAILBOX_BURST];
    for (uint32_t i = 0; i < m->senders; i++)
        for (uint32_t n = MAILBOX_BURST; n == MAILBOX_BURST && m->from[i].slots;) {
            n = mailbox_take(m, i, mails);
            for (uint32_t k = 0; k < n; k++)
                heap_free(mails[k].frame);
        }
    atomic_store(&m->waiting, 0);
}

void mailbox_fini(struct mailbox *m) {
    mailbox_drain(m);
    for (uint32_t i = 0; i < m->senders; i++)
        if (m->from[i].slots) spsc_fini(&m->from[i]);
    if (m->wake_fd >= 0) close(m->wake_fd);
    pthread_mutex_destroy(&m->mutex);
}

bool mailbox_put(struct mailbox *m, uint32_t from, const struct mail *mail) {
    void *values[MAIL_PLACES] = {mail->frame, (void *)(uintptr_t)((uint64_t)mail->flags << 32 | mail->bytes)};
    return spsc_push(&m->from[from], values, MAIL_PLACES) == MAIL_PLACES;
}

void mailbox_tell(struct mailbox *m, uint32_t from) {
    const uint64_t one = 1;
    atomic_fetch_or(&m->waiting, 1ull << from);
    if (atomic_load(&m->asleep)) (void)SYS(write, m->wake_fd, &one, sizeof one);
}

int mailbox_begin(struct mailbox *m, uint32_t runtime) {
    pthread_mutex_lock(&m->mutex);
    int r = !mailbox_is_of(m, runtime) ? -EXDEV : m->migration_count >= MAILBOX_MIGRATIONS_MAX ? -EAGAIN : 0;
    if (r) pthread_mutex_unlock(&m->mutex);
    return r;
}

void mailbox_migrate(struct mailbox *m, struct list *migration) {
    list_push_back(&m->migrations, migration);
    atomic_fetch_add_explicit(&m->migration_count, 1, memory_order_relaxed);
}

void mailbox_end(struct mailbox *m) {
    pthread_mutex_unlock(&m->mutex);
}

uint64_t mailbox_senders(struct mailbox *m) {
    return atomic_exchange(&m->waiting, 0);
}

uint32_t mailbox_take(struct mailbox *m, uint32_t from, struct mail mails[MAILBOX_BURST]) {
    void *values[MAILBOX_BURST * MAIL_PLACES];
    uint32_t n = spsc_pop(&m->from[from], values, MAILBOX_BURST * MAIL_PLACES) / MAIL_PLACES;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t meta = (uintptr_t)values[(size_t)MAIL_PLACES * i + 1];
        mails[i] = (struct mail){values[(size_t)MAIL_PLACES * i], (uint32_t)meta, (uint32_t)(meta >> 32)};
    }
    if (n == MAILBOX_BURST) atomic_fetch_or(&m->waiting, 1ull << from); /* there may be more */
    return n;
}

static void set_receiver(struct mailbox *m, uint64_t receiver) {
    pthread_mutex_lock(&m->mutex);
    atomic_store_explicit(&m->receiver, receiver, memory_order_relaxed);
    pthread_mutex_unlock(&m->mutex);
}

void mailbox_open(struct mailbox *m, uint32_t runtime) {
    set_receiver(m, 1ull + runtime);
}

void mailbox_close(struct mailbox *m) {
    set_receiver(m, 0);
}

void mailbox_take_migrations(struct mailbox *m, struct list *to) {
    pthread_mutex_lock(&m->mutex);
    list_splice_back(to, &m->migrations);
    atomic_store_explicit(&m->migration_count, 0, memory_order_relaxed);
    pthread_mutex_unlock(&m->mutex);
}

bool mailbox_asleep(struct mailbox *m) {
    atomic_store(&m->asleep, true);
    return atomic_load(&m->waiting) == 0;
}

void mailbox_awake(struct mailbox *m) {
    uint64_t count;
    atomic_store(&m->asleep, false);
    (void)SYS(read, m->wake_fd, &count, sizeof count); /* fails if another event ended the sleep */
}
