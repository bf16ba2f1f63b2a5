/* SPDX-License-Identifier: MIT */
/*
 * wait_any against a model: lists that grow, shrink, shift and shuffle at random, random completions, tokens that are
 * listed late or never. Waits must return operations in the order of completion. Those that completed and that a wait
 * did not list may be returned later, after a bounded number of waits.
 */
#include "api_test.h"

enum { QUEUES = 24, STEPS = 4000, SEEDS = 20, SKIPS = 32 * QUEUES };

struct model {
    uint64_t rng;
    int qd[QUEUES];
    dmtr_qtoken_t pop[QUEUES];  /* the outstanding pop of each queue; 0: none */
    uint64_t completed[QUEUES]; /* time of completion; 0: pending */
    bool passed[QUEUES];        /* it was complete during a wait that did not list it */
    uint32_t skipped[QUEUES];   /* waits since then that listed it and returned another one */
    uint64_t clock;
};

static uint32_t random_below(struct model *m, uint32_t n) {
    m->rng ^= m->rng << 13, m->rng ^= m->rng >> 7, m->rng ^= m->rng << 17;
    return (uint32_t)(m->rng >> 33) % n;
}

static void complete_one(struct model *m) {
    uint32_t i = random_below(m, QUEUES);
    if (!m->pop[i] || m->completed[i]) return;
    dmtr_qtoken_t qt = push_text(m->qd[i], "m");
    m->completed[i] = ++m->clock;
    assert_ok(dmtr_drop(qt));
}

/* Makes a list of a random subset of the tokens in random order, with zeros between them. Returns its length. */
static int make_list(struct model *m, dmtr_qtoken_t *qts, int *queue_at) {
    int n = 0;
    uint32_t start = random_below(m, QUEUES), keep = 1 + random_below(m, 4), step = random_below(m, 2) ? 1 : 7;
    for (uint32_t k = 0; k < QUEUES; k++) {
        uint32_t i = (start + k * step) % QUEUES;
        if (random_below(m, keep) || !m->pop[i]) continue;
        if (random_below(m, 8) == 0) queue_at[n] = -1, qts[n++] = 0;
        queue_at[n] = (int)i;
        qts[n++] = m->pop[i];
    }
    return n;
}

/* A wait has returned the operation of queue i, which perhaps begins another one. */
static void taken(struct model *m, int i) {
    m->completed[i] = 0;
    m->passed[i] = false;
    m->skipped[i] = 0;
    m->pop[i] = random_below(m, 4) ? pop_begin(m->qd[i]) : 0;
}

/* Checks what a wait that listed these queues returned: the operation of queue `returned`; -1: it timed out. */
static void check_order(struct model *m, const bool *listed, int returned) {
    for (int i = 0; i < QUEUES; i++) {
        if (!m->completed[i] || i == returned) continue;
        if (!listed[i])
            m->passed[i] = true;
        else if (m->passed[i])
            assert_true(++m->skipped[i] <= SKIPS);
        else
            assert_true(m->completed[i] > m->completed[returned]);
    }
}

static void check_wait(struct model *m) {
    dmtr_qtoken_t qts[2 * QUEUES];
    int queue_at[2 * QUEUES], offset = -1;
    int n = make_list(m, qts, queue_at);
    bool listed[QUEUES] = {false}, any = false, complete = false;
    for (int k = 0; k < n; k++) {
        if (queue_at[k] < 0) continue;
        any = listed[queue_at[k]] = true;
        complete |= m->completed[queue_at[k]] > 0;
    }
    if (!any) return;
    dmtr_qresult_t qr;
    int r = dmtr_wait_any_timed(&qr, &offset, qts, n, 0);
    if (!complete) {
        assert_int_equal(r, ETIMEDOUT);
        check_order(m, listed, -1);
        return;
    }
    assert_ok(r);
    int i = queue_at[offset];
    assert_true(qr.qr_qt == m->pop[i] && m->completed[i]);
    expect_text(&qr, "m");
    check_order(m, listed, i);
    taken(m, i);
}

static void wait_any_returns_a_complete_operation_of_the_list(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct model m = {.rng = seed * 0x9e3779b97f4a7c15ull};
        print_message("# seed %d\n", (int)seed);
        for (int i = 0; i < QUEUES; i++) {
            m.qd[i] = new_queue();
            m.pop[i] = pop_begin(m.qd[i]);
        }
        for (int step = 0; step < STEPS; step++) {
            if (random_below(&m, 2)) complete_one(&m);
            if (random_below(&m, 3) == 0) {
                uint32_t i = random_below(&m, QUEUES);
                if (!m.pop[i]) m.pop[i] = pop_begin(m.qd[i]);
            }
            check_wait(&m);
        }
        for (int i = 0; i < QUEUES; i++)
            assert_ok(dmtr_close(m.qd[i]));
        for (int i = 0; i < QUEUES; i++)
            if (m.pop[i]) assert_ok(dmtr_drop(m.pop[i]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {api_test(wait_any_returns_a_complete_operation_of_the_list)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
