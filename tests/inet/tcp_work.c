/* SPDX-License-Identifier: MIT */
/* The work that an ACK causes: the number of scoreboard entries that the stack examines. */
#include "inet/tcp/conn.h"
#include "tcp_script.h"

#define SEGMENTS 4000u
#define SEG      1000u
#define OF(i)    (1 + (i) * SEG) /* sequence number of the i-th segment */

/* Makes a connection with SEGMENTS segments in flight. The send window and the congestion window are large. */
static struct script *accept_and_fill(bool timestamps) {
    struct script *s = script_new();
    s->timestamps = timestamps;
    s->ts = 5000;
    s->window = 65535;
    script_accept(s, (struct tcp_options){.mss = SEG + (timestamps ? 12 : 0),
                                          .has_window_shift = true,
                                          .window_shift = 10,
                                          .sack_permitted = true});
    in_ack(s, 1); /* advertises the scaled window */
    s->conn->cc.cwnd = UINT32_MAX / 2;
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        push(s, SEG);
        drain(s);
    }
    assert_int_equal(s->conn->recovery.flight->scoreboard.sent.count, SEGMENTS);
    return s;
}

static uint64_t count_steps(const struct script *s) {
    return counted(s->h, tcp_scoreboard_steps);
}

static void receive_sack(struct script *s, const struct tcp_range *b, uint32_t count) {
    struct seg g = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 65535, .options.sack_count = (uint8_t)count};
    for (uint32_t i = 0; i < count; i++)
        g.options.sack[i] = (struct tcp_range){b[i].start, b[i].end};
    in(s, g);
    drain(s);
}

static void repeated_sack_blocks_cost_constant_work(void **state) {
    (void)state;
    const uint32_t rounds = 10000;
    struct script *s = accept_and_fill(false);
    const struct tcp_range most[] = {{OF(1), OF(SEGMENTS - 1)}}, two[] = {{OF(3), OF(SEGMENTS / 2)}, {OF(1), OF(2)}};
    receive_sack(s, most, 1);
    uint64_t before = count_steps(s);
    assert_true(before < 2 * SEGMENTS);
    for (uint32_t i = 0; i < rounds; i++)
        receive_sack(s, i % 2 ? most : two, i % 2 ? 1 : 2);
    assert_true(count_steps(s) - before < 8 * rounds + 2 * SEGMENTS);
    script_delete(s);
}

/* SACKs every second segment, with blocks that are far apart. */
static void alternating_sack_blocks_cost_work_in_proportion_to_new_reports(void **state) {
    (void)state;
    struct script *s = accept_and_fill(false);
    for (uint32_t i = 1; i + 1 < SEGMENTS; i += 2)
        receive_sack(s, (struct tcp_range[]){{OF(i), OF(i + 1)}, {OF(1), OF(2)}, {OF(i / 2 | 1), OF((i / 2 | 1) + 1)}},
                     3);
    assert_true(count_steps(s) < 16 * SEGMENTS);
    script_delete(s);
}

/* If the peer keeps triggering undo, the stack walks the scoreboard at most once per round trip. */
static void undo_walks_the_scoreboard_once_per_round_trip(void **state) {
    (void)state;
    const uint32_t cycles = 200;
    struct script *s = accept_and_fill(true);
    s->ts_echo = 1;
    for (uint32_t i = 1; i <= cycles; i++) {
        pass(s, 50 * MS);
        in_sack(s, OF(i - 1), OF(SEGMENTS - i), OF(SEGMENTS - i + 1)); /* earlier segments count as lost; */
        drain(s);                                                      /* the stack retransmits the first of them; */
        in_ack(s, OF(i));                                              /* the ACK echoes an older timestamp: undo */
        drain(s);
    }
    assert_true(counted(s->h, tcp_undone) > 0);
    assert_true(count_steps(s) < 8 * SEGMENTS + 16 * cycles);
    script_delete(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeated_sack_blocks_cost_constant_work),
        cmocka_unit_test(alternating_sack_blocks_cost_work_in_proportion_to_new_reports),
        cmocka_unit_test(undo_walks_the_scoreboard_once_per_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
