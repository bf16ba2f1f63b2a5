/* SPDX-License-Identifier: MIT */
/*
 * Processes that end without dmtr_fini. If the process returns from main or calls exit, the library closes the
 * connections in order. A forked child, a callback, and a thread that does not own the runtime leave them alone.
 */
#include "net_test.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define PORT 9

/* This program again: forked before the runtime starts, runs after a byte arrives on its pipe, returns from main. */
struct child {
    int (*run)(void);
    pid_t pid;
    int go;
};

static int connect_to_parent(int *qd) {
    struct sockaddr_in to = address_of(OUR_ADDRESS, PORT);
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    int r = start_end(false, PEER_ADDRESS, "", "adaptive");
    if (!r) r = dmtr_socket(qd, AF_INET, SOCK_STREAM, 0);
    if (!r) r = dmtr_connect(&qt, *qd, (struct sockaddr *)&to, sizeof to);
    return r ? r : dmtr_wait_timed(&qr, qt, HANG);
}

static int push_text_from_child(int qd, const char *text, bool wait) {
    dmtr_sgarray_t sga = {.sga_numsegs = 1,
                          .sga_segs = {{.sgaseg_buf = (void *)(uintptr_t)text, .sgaseg_len = (uint32_t)strlen(text)}}};
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    int r = dmtr_push(&qt, qd, &sga);
    return r || !wait ? r : dmtr_wait_timed(&qr, qt, HANG);
}

static int pop_and_free(int qd) {
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    int r = dmtr_pop(&qt, qd);
    if (!r) r = dmtr_wait_timed(&qr, qt, HANG);
    return r ? r : dmtr_sgafree(&qr.qr_value.sga);
}

static int run_return(void) {
    int qd, r = connect_to_parent(&qd);
    return r ? r : push_text_from_child(qd, "last words", false);
}

static int run_fini(void) {
    int qd, r = connect_to_parent(&qd);
    if (!r) r = push_text_from_child(qd, "last words", false);
    return r ? r : dmtr_fini();
}

/* The child forks again. That process has a copy of the runtime in memory, and calls exit. */
static int run_fork(void) {
    int qd, status, r = connect_to_parent(&qd);
    if (r) return r;
    pid_t pid = fork();
    if (pid == 0) exit(0);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status) return 1;
    r = push_text_from_child(qd, "question", true);
    if (!r) r = pop_and_free(qd);
    return r ? r : push_text_from_child(qd, "last words", false);
}

/* A thread that waits without end in its own runtime. */
static void *wait_for_ever(void *ready) {
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    if (start_with_options((const char *const[]){"libos=posix", NULL}) || dmtr_timer(&qt, UINT64_MAX)) abort();
    sem_post(ready);
    dmtr_wait(&qr, qt);
    return NULL;
}

static int run_thread(void) {
    static sem_t ready;
    pthread_t thread;
    int qd, r = connect_to_parent(&qd);
    sem_init(&ready, 0, 0);
    if (!r) r = pthread_create(&thread, NULL, wait_for_ever, &ready);
    if (r) return r;
    sem_wait(&ready);
    return push_text_from_child(qd, "last words", false);
}

static bool exit_in_filter(const dmtr_sgarray_t *sga, void *arg) {
    (void)sga;
    (void)arg;
    exit(0);
}

/* A callback calls exit during a wait. */
static int run_callback(void) {
    int qd, filter, r = connect_to_parent(&qd);
    if (!r) r = dmtr_filter(&filter, qd, exit_in_filter, NULL);
    if (!r) r = push_text_from_child(qd, "question", true);
    if (!r) pop_and_free(filter);
    return 1;
}

/* A callback calls exit during a push. */
static int run_push_callback(void) {
    int qd, filter, r = connect_to_parent(&qd);
    if (!r) r = dmtr_filter(&filter, qd, exit_in_filter, NULL);
    if (!r) r = push_text_from_child(qd, "question", true);
    if (!r) r = pop_and_free(qd);
    if (!r) push_text_from_child(filter, "not seen", true);
    return 1;
}

static void exit_in_handler(int signal) {
    (void)signal;
    exit(0);
}

static int run_signal(void) {
    int qd, r = connect_to_parent(&qd);
    if (!r) r = push_text_from_child(qd, "question", true);
    if (!r) r = pop_and_free(qd);
    signal(SIGALRM, exit_in_handler);
    alarm(1);
    return r ? r : pop_and_free(qd);
}

static void *exit_now(void *unused) {
    (void)unused;
    exit(0);
}

/* Another thread calls exit while the thread with the connection waits. */
static int run_other_thread(void) {
    pthread_t thread;
    int qd, r = connect_to_parent(&qd);
    if (!r) r = push_text_from_child(qd, "question", true);
    if (!r) r = pop_and_free(qd);
    if (!r) r = pthread_create(&thread, NULL, exit_now, NULL);
    return r ? r : pop_and_free(qd);
}

enum kind { RETURN, FINI, FORK, THREAD, CALLBACK, PUSH_CALLBACK, SIGNAL, OTHER_THREAD, KINDS };

static struct child children[KINDS] = {
    [RETURN] = {.run = run_return},     [FINI] = {.run = run_fini},
    [FORK] = {.run = run_fork},         [THREAD] = {.run = run_thread},
    [CALLBACK] = {.run = run_callback}, [PUSH_CALLBACK] = {.run = run_push_callback},
    [SIGNAL] = {.run = run_signal},     [OTHER_THREAD] = {.run = run_other_thread},
};

static int setup(void **state) {
    (void)state;
    return start_end(true, OUR_ADDRESS, "", "adaptive");
}

static int accept_child(enum kind kind) {
    struct sockaddr_in at = address_of(OUR_ADDRESS, PORT);
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    int listener;
    assert_ok(dmtr_socket(&listener, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_bind(listener, (struct sockaddr *)&at, sizeof at));
    assert_ok(dmtr_listen(listener, 4));
    assert_ok(dmtr_accept(&qt, listener));
    assert_int_equal(write(children[kind].go, "g", 1), 1);
    assert_ok(dmtr_wait_timed(&qr, qt, HANG));
    assert_ok(dmtr_close(listener));
    return qr.qr_value.ares.qd;
}

/* Polls our runtime, which answers the child's FIN, until the child exits. */
static void expect_child_success(enum kind kind) {
    int status;
    pid_t pid;
    while ((pid = waitpid(children[kind].pid, &status, WNOHANG)) == 0) {
        dmtr_qtoken_t qt;
        assert_ok(dmtr_timer(&qt, MS));
        expect_wait_error(qt, 0);
    }
    assert_int_equal(pid, children[kind].pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void expect_fin_and_close(int qd) {
    dmtr_qresult_t qr;
    assert_ok(dmtr_wait_timed(&qr, pop_begin(qd), HANG));
    assert_int_equal(qr.qr_value.sga.sga_numsegs, 0);
    assert_ok(dmtr_close(qd));
}

static void expect_orderly_close(enum kind kind) {
    int qd = accept_child(kind);
    expect_pop_text(qd, "last words");
    expect_fin_and_close(qd);
    expect_child_success(kind);
}

static void returning_from_main_delivers_data_and_closes(void **state) {
    (void)state;
    expect_orderly_close(RETURN);
}

static void exit_after_fini_does_not_close_again(void **state) {
    (void)state;
    expect_orderly_close(FINI);
}

static void exit_closes_while_another_thread_waits(void **state) {
    (void)state;
    expect_orderly_close(THREAD);
}

static void exit_of_a_forked_child_does_not_close_the_connection(void **state) {
    (void)state;
    int qd = accept_child(FORK);
    expect_pop_text(qd, "question");
    push_wait(qd, "answer");
    expect_pop_text(qd, "last words");
    expect_fin_and_close(qd);
    expect_child_success(FORK);
}

/* The process ends without closing the connection: we receive no FIN. */
static void expect_no_close(enum kind kind) {
    dmtr_qresult_t qr;
    int qd = accept_child(kind);
    expect_pop_text(qd, "question");
    push_wait(qd, "answer");
    expect_child_success(kind);
    assert_int_equal(dmtr_wait_timed(&qr, pop_begin(qd), 0), ETIMEDOUT);
    assert_ok(dmtr_close(qd));
}

static void exit_in_a_callback_of_a_wait_does_not_close_the_connection(void **state) {
    (void)state;
    expect_no_close(CALLBACK);
}

static void exit_in_a_callback_of_a_push_does_not_close_the_connection(void **state) {
    (void)state;
    expect_no_close(PUSH_CALLBACK);
}

static void exit_in_a_signal_handler_does_not_close_the_connection(void **state) {
    (void)state;
    expect_no_close(SIGNAL);
}

static void exit_in_another_thread_does_not_close_the_connection(void **state) {
    (void)state;
    expect_no_close(OTHER_THREAD);
}

static void child_fork(struct child *c) {
    int ends[2];
    char byte, kind[16];
    if (pipe(ends)) abort();
    c->pid = fork();
    if (c->pid) {
        close(ends[0]);
        c->go = ends[1];
        return;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(ends[1]);
    if (read(ends[0], &byte, 1) != 1) _exit(1);
    snprintf(kind, sizeof kind, "%d", (int)(c - children));
    execl("/proc/self/exe", "exit", kind, NULL);
    _exit(1);
}

#define exit_test(fn) cmocka_unit_test_setup_teardown(fn, setup, test_teardown)

int main(int argc, char *argv[]) {
    if (argc > 1) return children[atoi(argv[1])].run();
    const struct CMUnitTest tests[] = {
        exit_test(returning_from_main_delivers_data_and_closes),
        exit_test(exit_after_fini_does_not_close_again),
        exit_test(exit_closes_while_another_thread_waits),
        exit_test(exit_of_a_forked_child_does_not_close_the_connection),
        exit_test(exit_in_a_callback_of_a_wait_does_not_close_the_connection),
        exit_test(exit_in_a_callback_of_a_push_does_not_close_the_connection),
        exit_test(exit_in_a_signal_handler_does_not_close_the_connection),
        exit_test(exit_in_another_thread_does_not_close_the_connection),
    };
    char owner[16];
    snprintf(owner, sizeof owner, "%d", wire_owner());
    setenv(WIRE_OWNER, owner, 1);
    setenv("TSAN_OPTIONS", "report_signal_unsafe=0", 1); /* exit() is unsafe in a handler, but programs call it */
    for (int i = 0; i < KINDS; i++)
        child_fork(&children[i]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
