/* SPDX-License-Identifier: MIT */
/* Every call failing once: starting up, queues in memory, operators, watches and timers. */
#include "fault_test.h"

#include <poll.h>
#include <unistd.h>

enum { MESSAGES = 20 };

static int wait_done(dmtr_qtoken_t qt) {
    dmtr_qresult_t qr;
    return dmtr_wait_timed(&qr, qt, STEP_TIME);
}

static int push_number(int qd, int i, dmtr_qtoken_t *qt) {
    dmtr_sgarray_t sga = dmtr_sgaalloc(sizeof i);
    if (sga.sga_numsegs == 0) return ENOMEM;
    memcpy(sga.sga_segs[0].sgaseg_buf, &i, sizeof i);
    int r = dmtr_push(qt, qd, &sga);
    assert_ok(dmtr_sgafree(&sga));
    return r;
}

static int pop_number(int qd, int *i) {
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    int r = dmtr_pop(&qt, qd);
    if (r) return r;
    r = dmtr_wait_timed(&qr, qt, STEP_TIME);
    if (r == ETIMEDOUT) assert_ok(dmtr_drop(qt));
    if (r) return r;
    assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, sizeof *i);
    memcpy(i, qr.qr_value.sga.sga_segs[0].sgaseg_buf, sizeof *i);
    return dmtr_sgafree(&qr.qr_value.sga);
}

static int run_memory(void) {
    int failed = 0, qd, pushed = 0, value;
    dmtr_qtoken_t qt;
    TRY(dmtr_queue(&qd));
    for (int i = 0; i < MESSAGES; i++) {
        TRY(push_number(qd, i, &qt));
        TRY(wait_done(qt));
        pushed++;
    }
out:
    /* What was reported complete is there, whatever failed after it. */
    for (int i = 0; i < pushed; i++) {
        int r = pop_number(qd, &value);
        if (r) return failed ? failed : r;
        assert_int_equal(value, i);
    }
    return failed;
}

static bool odd(const dmtr_sgarray_t *sga, void *arg) {
    (void)arg;
    return *(int *)sga->sga_segs[0].sgaseg_buf % 2;
}

static bool greater(const dmtr_sgarray_t *a, const dmtr_sgarray_t *b, void *arg) {
    (void)arg;
    return *(int *)a->sga_segs[0].sgaseg_buf > *(int *)b->sga_segs[0].sgaseg_buf;
}

static int negate(dmtr_sgarray_t *sga, void *arg) {
    (void)arg;
    *(int *)sga->sga_segs[0].sgaseg_buf *= -1;
    return 0;
}

static int run_operators(void) {
    int failed = 0, a, b, out, filter, merge, map, sort, value;
    dmtr_qtoken_t qt;
    TRY(dmtr_queue(&a));
    TRY(dmtr_queue(&b));
    TRY(dmtr_queue(&out));
    TRY(dmtr_filter(&filter, a, odd, NULL));
    TRY(dmtr_merge(&merge, filter, b));
    TRY(dmtr_map(&map, merge, negate, NULL));
    TRY(dmtr_sort(&sort, map, greater, NULL));
    TRY(dmtr_qconnect(sort, out));
    for (int i = 0; i < MESSAGES; i++) {
        TRY(push_number(i % 2 ? a : b, i, &qt));
        TRY(wait_done(qt));
    }
    for (int i = 0; i < MESSAGES; i++) {
        TRY(pop_number(out, &value));
        assert_uint_in_range(-value, 0, MESSAGES - 1);
    }
out:
    return failed;
}

static int run_watches(void) {
    int failed = 0, p[2] = {-1, -1}, fd, got;
    char byte = 'x';
    dmtr_qtoken_t watch, timer;
    dmtr_qresult_t qr;
    assert_int_equal(pipe(p), 0);
    TRY(dmtr_event_fd(&fd));
    TRY(dmtr_timer(&timer, MS));
    TRY(dmtr_watch(&watch, p[0], POLLIN));
    assert_int_equal(write(p[1], &byte, 1), 1);
    TRY(dmtr_wait_timed(&qr, watch, STEP_TIME));
    TRY(dmtr_wait_next_n(&qr, 1, &got, STEP_TIME));
    assert_true(qr.qr_qt == timer);
out:
    close(p[0]);
    close(p[1]);
    return failed;
}

static int run_nothing(void) {
    return 0;
}

#define OPTIONS(...) .argc = 5, .argv = {(char *)"test", (char *)"--dmtr-set", (char *)"log.sink=none", __VA_ARGS__}

static void starting_and_ending(void **state) {
    (void)state;
    struct scenario s = {"start", OPTIONS((char *)"--dmtr-set", (char *)"wait.policy=adaptive"), run_nothing};
    scenario_all_errors(&s);
}

static void queues_in_memory(void **state) {
    (void)state;
    struct scenario s = {"memory", OPTIONS((char *)"--dmtr-set", (char *)"wait.policy=adaptive"), run_memory};
    scenario_all_errors(&s);
}

static void operators(void **state) {
    (void)state;
    struct scenario s = {"operators", OPTIONS((char *)"--dmtr-set", (char *)"wait.policy=adaptive"), run_operators};
    scenario_all_errors(&s);
}

static void watches_and_timers(void **state) {
    (void)state;
    struct scenario s = {"watches", OPTIONS((char *)"--dmtr-set", (char *)"wait.policy=block"), run_watches};
    scenario_all_errors(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starting_and_ending),
        cmocka_unit_test(queues_in_memory),
        cmocka_unit_test(operators),
        cmocka_unit_test(watches_and_timers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
