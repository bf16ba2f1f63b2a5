/* SPDX-License-Identifier: MIT */
/* Runtimes: one a thread, nothing shared, descriptors and tokens refused elsewhere. */
#include "api_test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_thread(void *(*fn)(void *), void *arg) {
    pthread_t thread;
    void *failed = NULL;
    assert_int_equal(pthread_create(&thread, NULL, fn, arg), 0);
    assert_int_equal(pthread_join(thread, &failed), 0);
    if (failed) fail_msg("on the other thread: %s", (char *)failed);
}

#define CHECK(condition)                                                                                               \
    if (!(condition)) return (char *)#condition

static void second_init_is_refused_and_fini_may_be_followed_by_init(void **state) {
    (void)state;
    assert_int_equal(dmtr_init(0, NULL), EEXIST);
    int qd = new_queue();
    push_wait(qd, "left behind");
    assert_ok(dmtr_fini());
    assert_int_equal(dmtr_fini(), ENOSYS);
    assert_int_equal(dmtr_queue(&qd), ENOSYS);
    assert_ok(dmtr_init(0, NULL));
    push_wait(new_queue(), "again");
}

static void *exit_without_fini(void *arg) {
    int qd;
    (void)arg;
    CHECK(dmtr_init(0, NULL) == 0);
    CHECK(dmtr_socket(&qd, AF_INET, SOCK_DGRAM, 0) == 0);
    return NULL;
}

static int open_descriptors(void) {
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* More of them than there may be runtimes at a time. */
static void threads_that_exit_give_their_runtimes_back(void **state) {
    (void)state;
    on_thread(exit_without_fini, NULL); /* makes the eventfd that stays */
    int before = open_descriptors();
    for (int i = 0; i < 1100; i++)
        on_thread(exit_without_fini, NULL);
    assert_int_equal(open_descriptors(), before);
}

#ifndef __SANITIZE_THREAD__ /* under it a child cannot end the thread that forked */
/* Nothing else is done: a search for leaks would find the parent's runtime. */
static void leave(void) {
    _exit(0);
}

/* The child of a thread with a runtime exits as a thread, too. */
static void the_exit_of_a_forked_thread_leaves_the_connections_alone(void **state) {
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    dmtr_qtoken_t accepted, connected;
    dmtr_qresult_t qr;
    int listener, client, status;
    assert_ok(dmtr_socket(&listener, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_bind(listener, (struct sockaddr *)&at, len));
    assert_ok(dmtr_listen(listener, 1));
    assert_ok(dmtr_getsockname(listener, (struct sockaddr *)&at, &len));
    assert_ok(dmtr_socket(&client, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_accept(&accepted, listener));
    assert_ok(dmtr_connect(&connected, client, (struct sockaddr *)&at, len));
    expect_wait_error(connected, 0);
    assert_ok(dmtr_wait_timed(&qr, accepted, HANG));
    pid_t pid = fork();
    if (pid == 0) {
        atexit(leave); /* after the thread's destructors */
        pthread_exit(NULL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    push_wait(client, "unharmed");
    expect_pop_text(qr.qr_value.ares.qd, "unharmed");
}
#endif

/* It has its parent's numbers in memory. */
static void a_forked_child_does_not_wake_its_parent(void **state) {
    (void)state;
    dmtr_runtime_t ours;
    dmtr_qtoken_t qt;
    int status;
    assert_ok(dmtr_runtime_current(&ours));
    on_thread(exit_without_fini, NULL); /* leaves an eventfd that the child would use */
    pid_t pid = fork();
    if (pid == 0) {
        for (dmtr_runtime_t id = 0; id <= ours + 1; id++)
            dmtr_wake(id);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    struct pollfd wake = {.events = POLLIN};
    assert_ok(dmtr_event_fd(&wake.fd));
    assert_int_equal(poll(&wake, 1, 0), 0);
    assert_ok(dmtr_timer(&qt, MS));
    expect_wait_error(qt, 0);
}

struct other {
    int qd;
    dmtr_qtoken_t qt;
};

static void *use_foreign(void *arg) {
    struct other *o = arg;
    dmtr_qresult_t qr;
    dmtr_qtoken_t qt;
    CHECK(dmtr_pop(&qt, o->qd) == ENOSYS);
    CHECK(dmtr_init(0, NULL) == 0);
    int flag = 1, qd;
    for (int i = 0; i < 100; i++)
        CHECK(dmtr_queue(&qd) == 0 && qd != o->qd);
    CHECK(dmtr_is_qd_valid(&flag, o->qd) == 0 && flag == 0);
    CHECK(dmtr_pop(&qt, o->qd) == EBADF);
    CHECK(dmtr_close(o->qd) == EBADF);
    CHECK(dmtr_wait(&qr, o->qt) == EINVAL);
    CHECK(dmtr_drop(o->qt) == EINVAL);
    CHECK(dmtr_fini() == 0);
    return NULL;
}

static void descriptors_and_tokens_of_another_thread_are_refused(void **state) {
    (void)state;
    struct other o = {.qd = new_queue()};
    o.qt = pop_begin(o.qd);
    on_thread(use_foreign, &o);
    push_wait(o.qd, "unharmed");
    expect_wait_text(o.qt, "unharmed");
}

static void *churn(void *arg) {
    (void)arg;
    for (int i = 0; i < 20; i++) {
        CHECK(dmtr_init(0, NULL) == 0);
        int qd;
        dmtr_qtoken_t qt;
        dmtr_qresult_t qr;
        CHECK(dmtr_queue(&qd) == 0);
        for (int k = 0; k < 50; k++) {
            dmtr_sgarray_t sga = dmtr_sgaalloc(64);
            CHECK(dmtr_push(&qt, qd, &sga) == 0);
            CHECK(dmtr_sgafree(&sga) == 0);
            CHECK(dmtr_wait(&qr, qt) == 0);
            CHECK(dmtr_pop(&qt, qd) == 0);
            CHECK(dmtr_wait(&qr, qt) == 0);
            CHECK(dmtr_sgafree(&qr.qr_value.sga) == 0);
        }
        CHECK(dmtr_fini() == 0);
    }
    return NULL;
}

static void runtimes_of_many_threads_live_side_by_side(void **state) {
    (void)state;
    enum { N = 8 };
    pthread_t threads[N];
    for (int i = 0; i < N; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, NULL), 0);
    for (int i = 0; i < N; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

static void *free_elsewhere(void *arg) {
    CHECK(dmtr_sgafree(arg) == 0);
    return NULL;
}

static void memory_may_be_freed_on_another_thread_and_outlives_the_runtime(void **state) {
    (void)state;
    dmtr_sgarray_t a = message("a"), b = message("b");
    on_thread(free_elsewhere, &a);
    assert_ok(dmtr_fini());
    memset(b.sga_segs[0].sgaseg_buf, 'x', 1);
    assert_ok(dmtr_sgafree(&b));
    assert_ok(dmtr_init(0, NULL));
}

struct waker {
    dmtr_runtime_t runtime;
    int wakes;
};

static void *wake_later(void *arg) {
    struct waker *w = arg;
    for (int i = 0; i < w->wakes; i++) {
        usleep(2000);
        CHECK(dmtr_wake(w->runtime) == 0);
    }
    return NULL;
}

static void wake_ends_a_wait_from_another_thread(void **state) {
    (void)state;
    static char *const policies[] = {"wait.policy=spin", "wait.policy=adaptive", "wait.policy=block"};
    for (int i = 0; i < 3; i++) {
        restart_with(policies[i]);
        struct waker w = {.wakes = 1};
        assert_ok(dmtr_runtime_current(&w.runtime));
        dmtr_qtoken_t qt = pop_begin(new_queue());
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, wake_later, &w), 0);
        dmtr_qresult_t qr;
        assert_int_equal(dmtr_wait(&qr, qt), EINTR);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(dmtr_wait_timed(&qr, qt, MS), ETIMEDOUT);
    }
}

static void a_wake_before_the_wait_ends_the_next_one(void **state) {
    (void)state;
    dmtr_runtime_t runtime;
    assert_ok(dmtr_runtime_current(&runtime));
    assert_ok(dmtr_wake(runtime));
    assert_ok(dmtr_wake(runtime));
    dmtr_qtoken_t qt = pop_begin(new_queue());
    dmtr_qresult_t qr;
    int offset, got;
    assert_int_equal(dmtr_wait_any(&qr, &offset, &qt, 1), EINTR);
    assert_int_equal(dmtr_wait_timed(&qr, qt, MS), ETIMEDOUT);
    assert_ok(dmtr_wake(runtime));
    assert_int_equal(dmtr_wait_next_n(&qr, 1, &got, UINT64_MAX), EINTR);
}

static void waking_a_runtime_that_is_gone_is_refused(void **state) {
    (void)state;
    dmtr_runtime_t runtime;
    assert_ok(dmtr_runtime_current(&runtime));
    assert_ok(dmtr_fini());
    assert_int_equal(dmtr_wake(runtime), EINVAL);
    assert_int_equal(dmtr_wake(UINT32_MAX), EINVAL);
    assert_int_equal(dmtr_wake(1023), EINVAL);
    assert_ok(dmtr_init(0, NULL));
}

static bool fini_in_filter(const dmtr_sgarray_t *sga, void *result) {
    (void)sga;
    *(int *)result = dmtr_fini();
    return true;
}

static void a_callback_cannot_end_the_runtime(void **state) {
    (void)state;
    int qd = new_queue(), filter, result = 0;
    assert_ok(dmtr_filter(&filter, qd, fini_in_filter, &result));
    push_wait(qd, "x");
    expect_pop_text(filter, "x"); /* called by the wait */
    assert_int_equal(result, EBUSY);
    result = 0;
    push_wait(filter, "y"); /* by the push */
    assert_int_equal(result, EBUSY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        api_test(a_callback_cannot_end_the_runtime),
        api_test(second_init_is_refused_and_fini_may_be_followed_by_init),
        api_test(threads_that_exit_give_their_runtimes_back),
#ifndef __SANITIZE_THREAD__
        api_test(the_exit_of_a_forked_thread_leaves_the_connections_alone),
#endif
        api_test(a_forked_child_does_not_wake_its_parent),
        api_test(descriptors_and_tokens_of_another_thread_are_refused),
        api_test(runtimes_of_many_threads_live_side_by_side),
        api_test(memory_may_be_freed_on_another_thread_and_outlives_the_runtime),
        api_test(wake_ends_a_wait_from_another_thread),
        api_test(a_wake_before_the_wait_ends_the_next_one),
        api_test(waking_a_runtime_that_is_gone_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
