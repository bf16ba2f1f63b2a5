/* SPDX-License-Identifier: MIT */
/* Runtimes: one for each thread, nothing shared; descriptors and tokens are valid only on their thread. */
#include "api_test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static void run_on_thread(void *(*fn)(void *), void *arg) {
    pthread_t thread;
    void *failed = NULL;
    assert_int_equal(pthread_create(&thread, NULL, fn, arg), 0);
    assert_int_equal(pthread_join(thread, &failed), 0);
    if (failed) fail_msg("on the other thread: %s", (char *)failed);
}

#define CHECK(condition)                                                                                               \
    if (!(condition)) return (char *)#condition

static void a_second_init_is_refused_and_init_works_again_after_fini(void **state) {
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

/* Starts more threads in turn than the limit of runtimes. */
static void a_thread_that_exits_frees_its_runtime(void **state) {
    (void)state;
    run_on_thread(exit_without_fini, NULL); /* makes the eventfd that the process keeps */
    int before = open_descriptors();
    for (int i = 0; i < 1100; i++)
        run_on_thread(exit_without_fini, NULL);
    assert_int_equal(open_descriptors(), before);
}

#ifndef __SANITIZE_THREAD__ /* under TSan a child cannot end the thread that forked */
/* Skips the leak check, which would report the parent's runtime. */
static void exit_immediately(void) {
    _exit(0);
}

/* A thread with a runtime forks. The child ends its only thread with pthread_exit. */
static void the_exit_of_a_forked_thread_keeps_the_connections(void **state) {
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
        atexit(exit_immediately); /* runs after the destructors of the thread */
        pthread_exit(NULL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    push_wait(client, "unharmed");
    expect_pop_text(qr.qr_value.ares.qd, "unharmed");
}
#endif

/* The child has a copy of the parent's table of runtimes in memory. */
static void a_forked_child_does_not_wake_its_parent(void **state) {
    (void)state;
    dmtr_runtime_t ours;
    dmtr_qtoken_t qt;
    int status;
    assert_ok(dmtr_runtime_current(&ours));
    run_on_thread(exit_without_fini, NULL); /* leaves an eventfd that the child could use by mistake */
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
    run_on_thread(use_foreign, &o);
    push_wait(o.qd, "unharmed");
    expect_wait_text(o.qt, "unharmed");
}

static void *start_and_stop_runtimes(void *arg) {
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

static void many_threads_can_have_a_runtime(void **state) {
    (void)state;
    enum { N = 8 };
    pthread_t threads[N];
    for (int i = 0; i < N; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, start_and_stop_runtimes, NULL), 0);
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

static void memory_can_be_freed_on_another_thread_and_after_fini(void **state) {
    (void)state;
    dmtr_sgarray_t a = message("a"), b = message("b");
    run_on_thread(free_elsewhere, &a);
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

static void a_wake_before_a_wait_ends_that_wait(void **state) {
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

static void waking_an_ended_runtime_is_refused(void **state) {
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
    expect_pop_text(filter, "x"); /* the wait calls the filter */
    assert_int_equal(result, EBUSY);
    result = 0;
    push_wait(filter, "y"); /* the push calls the filter */
    assert_int_equal(result, EBUSY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        api_test(a_callback_cannot_end_the_runtime),
        api_test(a_second_init_is_refused_and_init_works_again_after_fini),
        api_test(a_thread_that_exits_frees_its_runtime),
#ifndef __SANITIZE_THREAD__
        api_test(the_exit_of_a_forked_thread_keeps_the_connections),
#endif
        api_test(a_forked_child_does_not_wake_its_parent),
        api_test(descriptors_and_tokens_of_another_thread_are_refused),
        api_test(many_threads_can_have_a_runtime),
        api_test(memory_can_be_freed_on_another_thread_and_after_fini),
        api_test(wake_ends_a_wait_from_another_thread),
        api_test(a_wake_before_a_wait_ends_that_wait),
        api_test(waking_an_ended_runtime_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
