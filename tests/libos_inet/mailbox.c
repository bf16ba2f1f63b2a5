/* SPDX-License-Identifier: MIT */
/* The mailbox through which runtimes exchange frames and connections (libos/inet/mailbox.h). */
#include "libos/inet/mailbox.h"

#include "../base/test.h"
#include "mem/heap.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>

#define SENDERS 3u
#define MAILS   20000u /* of each sender */
#define PLACES  1024u  /* of a sender's ring */
#define HANG_MS 10000

static struct mailbox *mailbox_new(void) {
    struct mailbox *m = aligned_alloc(RING_LINE, sizeof *m);
    assert_non_null(m);
    memset(m, 0, sizeof *m);
    assert_int_equal(mailbox_init(m, SENDERS), 0);
    return m;
}

static void mailbox_delete(struct mailbox *m) {
    mailbox_fini(m);
    free(m);
}

static void mails_arrive_in_order_and_a_full_ring_refuses(void **state) {
    (void)state;
    struct mailbox *m = mailbox_new();
    struct mail mails[MAILBOX_BURST];
    for (uint32_t i = 0; i < PLACES; i++)
        assert_true(mailbox_put(m, 1, &(struct mail){heap_alloc(64), i, 0x10203 + i}));
    void *last = heap_alloc(64);
    assert_false(mailbox_put(m, 1, &(struct mail){last, 1, 1}));
    assert_true(mailbox_put(m, 2, &(struct mail){last, UINT32_MAX, UINT32_MAX}));
    assert_false(mailbox_has_mail(m));
    mailbox_tell(m, 1);
    mailbox_tell(m, 2);
    assert_true(mailbox_has_mail(m));
    assert_int_equal(mailbox_senders(m), 6);
    assert_int_equal(mailbox_take(m, 2, mails), 1);
    assert_ptr_equal(mails[0].frame, last);
    assert_int_equal(mails[0].bytes, UINT32_MAX);
    assert_int_equal(mails[0].flags, UINT32_MAX);
    heap_free(last);
    assert_false(mailbox_has_mail(m));
    for (uint32_t got = 0; got < PLACES - MAILBOX_BURST; got += MAILBOX_BURST) {
        assert_int_equal(mailbox_take(m, 1, mails), MAILBOX_BURST);
        assert_int_equal(mailbox_senders(m), 2); /* the ring may hold more mails */
        for (uint32_t i = 0; i < MAILBOX_BURST; i++) {
            assert_int_equal(mails[i].bytes, got + i);
            assert_int_equal(mails[i].flags, 0x10203 + got + i);
            heap_free(mails[i].frame);
        }
    }
    mailbox_delete(m); /* frees the remaining frames */
}

static void migrations_are_accepted_for_one_runtime_up_to_a_limit(void **state) {
    (void)state;
    static struct list nodes[MAILBOX_MIGRATIONS_MAX + 1];
    struct mailbox *m = mailbox_new();
    struct list taken;
    uint32_t n = 0;
    list_init(&taken);
    assert_int_equal(mailbox_begin(m, 0), -EXDEV);
    mailbox_open(m, 7);
    assert_true(mailbox_is_of(m, 7));
    assert_int_equal(mailbox_begin(m, 6), -EXDEV);
    for (uint32_t i = 0; i < MAILBOX_MIGRATIONS_MAX; i++) {
        assert_int_equal(mailbox_begin(m, 7), 0);
        mailbox_migrate(m, &nodes[i]);
        mailbox_end(m);
        assert_true(mailbox_has_migrations(m));
    }
    assert_int_equal(mailbox_begin(m, 7), -EAGAIN);
    mailbox_take_migrations(m, &taken);
    assert_false(mailbox_has_migrations(m));
    for (struct list *l; (l = list_pop_front(&taken)); n++)
        assert_ptr_equal(l, &nodes[n]);
    assert_int_equal(n, MAILBOX_MIGRATIONS_MAX);
    assert_int_equal(mailbox_begin(m, 7), 0);
    mailbox_end(m);
    mailbox_close(m);
    assert_int_equal(mailbox_begin(m, 7), -EXDEV);
    mailbox_delete(m);
}

static void a_mailbox_with_mail_does_not_sleep(void **state) {
    (void)state;
    struct mailbox *m = mailbox_new();
    struct pollfd fd = {.fd = m->wake_fd, .events = POLLIN};
    assert_true(mailbox_asleep(m));
    assert_int_equal(poll(&fd, 1, 0), 0);
    mailbox_tell(m, 2);
    assert_int_equal(poll(&fd, 1, 0), 1);
    mailbox_awake(m);
    assert_int_equal(poll(&fd, 1, 0), 0);
    assert_false(mailbox_asleep(m));
    mailbox_awake(m);
    assert_int_equal(mailbox_senders(m), 4);
    mailbox_tell(m, 1); /* the receiver is awake: no system call */
    assert_int_equal(poll(&fd, 1, 0), 0);
    mailbox_delete(m);
}

struct sender {
    struct mailbox *m;
    pthread_t thread;
    uint32_t number;
};

static void *send_all(void *arg) {
    struct sender *s = arg;
    for (uint32_t i = 0; i < MAILS;) {
        if (!mailbox_put(s->m, s->number, &(struct mail){s, i, 0})) {
            sched_yield();
            continue;
        }
        mailbox_tell(s->m, s->number);
        if (i++ % 16 == 0) sched_yield(); /* lets the receiver empty the ring and sleep */
    }
    return NULL;
}

static void no_wake_up_is_lost(void **state) {
    (void)state;
    struct mailbox *m = mailbox_new();
    struct sender senders[SENDERS];
    struct mail mails[MAILBOX_BURST];
    uint32_t next[SENDERS] = {0};
    for (uint32_t i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.m = m, .number = i};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
    }
    for (uint32_t all = 0; all < SENDERS * MAILS;) {
        struct pollfd fd = {.fd = m->wake_fd, .events = POLLIN};
        if (mailbox_asleep(m)) assert_int_equal(poll(&fd, 1, HANG_MS), 1);
        mailbox_awake(m);
        for (uint64_t from = mailbox_senders(m); from; from &= from - 1) {
            uint32_t n = mailbox_take(m, (uint32_t)__builtin_ctzll(from), mails);
            for (uint32_t i = 0; i < n; i++) {
                const struct sender *s = mails[i].frame;
                assert_int_equal(mails[i].bytes, next[s->number]++);
            }
            all += n;
        }
    }
    for (uint32_t i = 0; i < SENDERS; i++)
        pthread_join(senders[i].thread, NULL);
    mailbox_delete(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mails_arrive_in_order_and_a_full_ring_refuses),
        cmocka_unit_test(migrations_are_accepted_for_one_runtime_up_to_a_limit),
        cmocka_unit_test(a_mailbox_with_mail_does_not_sleep),
        cmocka_unit_test(no_wake_up_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
