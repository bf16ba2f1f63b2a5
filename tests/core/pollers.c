/* SPDX-License-Identifier: MIT */
/* When the runtime polls its pollers, and when it watches their descriptors. */
#include "base/clock.h"
#include "core/idle.h"
#include "core/registry.h"
#include "core/turn.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define GUARD_NS 20000000000u

static const struct config_group *const no_groups[] = {NULL};

struct fake {
    struct poller poller;
    uint32_t calls, flushes;
    struct sender sender;
};

static uint32_t count_call(struct poller *p) {
    uint64_t value;
    list_entry(p, struct fake, poller)->calls++;
    return read(p->fd, &value, sizeof value) > 0;
}

static struct dmtr_runtime *make_runtime(struct fake *f) {
    struct dmtr_runtime *rt;
    struct config config;
    config_init(&config, no_groups);
    assert_int_equal(runtime_new(&rt, &config), 0);
    *f = (struct fake){.poller = {.poll = count_call, .fd = eventfd(0, EFD_NONBLOCK)}};
    assert_int_equal(runtime_poller_add(rt, &f->poller), 0);
    return rt;
}

static void end_runtime(struct dmtr_runtime *rt, struct fake *f) {
    runtime_poller_remove(rt, &f->poller);
    close(f->poller.fd);
    runtime_delete(rt);
}

static void a_runtime_that_never_sleeps_watches_no_poller(void **state) {
    (void)state;
    struct fake f;
    struct dmtr_runtime *rt = make_runtime(&f);
    for (int i = 0; i < 100; i++)
        runtime_poll(rt);
    assert_int_equal(f.calls, 100);
    assert_int_equal(rt->poller_items, 0);
    end_runtime(rt, &f);
}

static void a_sleep_ends_when_a_poller_is_readable_and_the_watch_stays(void **state) {
    (void)state;
    const uint64_t one = 1;
    struct fake f;
    struct dmtr_runtime *rt = make_runtime(&f);
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(write(f.poller.fd, &one, sizeof one), sizeof one);
        assert_int_equal(runtime_sleep(rt, clock_now_ns() + GUARD_NS), 0);
        assert_int_equal(f.calls, i);
        assert_int_equal(rt->poller_items, 1);
    }
    end_runtime(rt, &f);
}

static void a_long_time_without_a_sleep_ends_the_watch_and_a_sleep_begins_it_again(void **state) {
    (void)state;
    const uint64_t one = 1;
    struct fake f;
    struct dmtr_runtime *rt = make_runtime(&f);
    for (int i = 0; i < 2; i++) {
        uint64_t guard_ns = clock_now_ns() + GUARD_NS;
        assert_int_equal(runtime_sleep(rt, clock_now_ns()), 0);
        assert_int_equal(rt->poller_items, 1);
        while (rt->poller_items && clock_now_ns() < guard_ns)
            runtime_poll(rt);
        assert_int_equal(rt->poller_items, 0);
    }
    assert_int_equal(write(f.poller.fd, &one, sizeof one), sizeof one);
    f.calls = 0;
    assert_int_equal(runtime_sleep(rt, clock_now_ns() + GUARD_NS), 0);
    assert_int_equal(f.calls, 1);
    end_runtime(rt, &f);
}

/* An epoll instance takes no regular file. */
static void a_poller_that_cannot_be_watched_is_polled_and_logged_once(void **state) {
    (void)state;
    struct fake f;
    struct dmtr_runtime *rt = make_runtime(&f);
    int saved = dup(STDERR_FILENO), out[2];
    char lines[512];
    runtime_poller_remove(rt, &f.poller);
    close(f.poller.fd);
    f.poller.fd = memfd_create("pollers", MFD_CLOEXEC);
    assert_int_equal(runtime_poller_add(rt, &f.poller), 0);
    assert_int_equal(pipe2(out, O_NONBLOCK | O_CLOEXEC), 0);
    dup2(out[1], STDERR_FILENO);
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(runtime_sleep(rt, UINT64_MAX), 0);
        assert_int_equal(f.calls, i);
    }
    dup2(saved, STDERR_FILENO);
    ssize_t len = read(out[0], lines, sizeof lines - 1);
    assert_true(len > 0);
    lines[len] = 0;
    assert_non_null(strstr(lines, "cannot be watched: Operation not permitted"));
    assert_ptr_equal(strchr(lines, '\n'), lines + len - 1);
    close(saved);
    close(out[0]);
    close(out[1]);
    end_runtime(rt, &f);
}

/* A sender that has more to send after each flush, as operators over sockets may make it. */
static void leave_more(struct sender *s, uint64_t now_ns) {
    struct fake *f = list_entry(s, struct fake, sender);
    (void)now_ns;
    f->flushes++;
    turn_add(f->poller.rt, 1);
}

static void a_wait_whose_flushes_leave_more_to_send_polls_and_ends(void **state) {
    (void)state;
    for (int policy = WAIT_SPIN; policy <= WAIT_BLOCK; policy++) {
        struct fake f;
        struct dmtr_runtime *rt = make_runtime(&f);
        struct idle idle;
        rt->config.wait_policy = policy;
        f.sender.flush = leave_more;
        turn_sender_add(rt, &f.sender);
        turn_add(rt, 1);
        idle_begin(&idle, rt, 1000000);
        uint64_t guard_ns = clock_now_ns() + GUARD_NS;
        int r = 0;
        while (!r && clock_now_ns() < guard_ns)
            r = idle_step(&idle);
        assert_int_equal(r, -ETIMEDOUT);
        assert_true(f.calls > 0);
        idle_begin(&idle, rt, UINT64_MAX);
        registry_wake(rt->id);
        f.flushes = 0;
        assert_int_equal(idle_step(&idle), 0);
        assert_int_equal(idle_step(&idle), -EINTR);
        assert_int_equal(f.flushes, 2); /* a wait ends with nothing unsent */
        turn_sender_remove(&f.sender);
        end_runtime(rt, &f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_runtime_that_never_sleeps_watches_no_poller),
        cmocka_unit_test(a_sleep_ends_when_a_poller_is_readable_and_the_watch_stays),
        cmocka_unit_test(a_long_time_without_a_sleep_ends_the_watch_and_a_sleep_begins_it_again),
        cmocka_unit_test(a_poller_that_cannot_be_watched_is_polled_and_logged_once),
        cmocka_unit_test(a_wait_whose_flushes_leave_more_to_send_polls_and_ends),
    };
    return cmocka_run_group_tests_name("pollers", tests, NULL, NULL);
}
