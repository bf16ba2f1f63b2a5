/* SPDX-License-Identifier: MIT */
/* The work that one ACK may cause, as a count of the scoreboard's entries that the stack looks at. */
#include "inet/tcp/conn.h"
#include "tcp_script.h"

#define SEGMENTS 4000u
#define SEG      1000u
#define OF(i)    (1 + (i) * SEG) /* sequence number of the i-th segment */

/* SEGMENTS segments are out. The peer's window is large, and so is the congestion window. */
static struct script *many_out(bool timestamps) {
    struct script *s = script_new();
    s->timestamps = timestamps;
    s->ts = 5000;
    s->window = 65535;
    script_accept(s, (struct tcp_options){.mss = SEG + (timestamps ? 12 : 0),
                                          .has_window_shift = true,
                                          .window_shift = 10,
                                          .sack_permitted = true});
    in_ack(s, 1); /* tells the scaled window */
    s->conn->cc.cwnd = UINT32_MAX / 2;
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        push(s, SEG);
        drain(s);
    }
    assert_int_equal(s->conn->recovery.flight->scoreboard.sent.count, SEGMENTS);
    return s;
}

static uint64_t steps(const struct script *s) {
    return counted(s->h, tcp_scoreboard_steps);
}

static void blocks(struct script *s, const struct tcp_range *b, uint32_t count) {
    struct seg g = {.flags = TCP_ACK, .seq = 1, .ack = 1, .window = 65535, .options.sack_count = (uint8_t)count};
    for (uint32_t i = 0; i < count; i++)
        g.options.sack[i] = (struct tcp_range){b[i].start, b[i].end};
    in(s, g);
    drain(s);
}

static void blocks_that_are_repeated_cost_the_same_however_much_they_cover(void **state) {
    (void)state;
    const uint32_t rounds = 10000;
    struct script *s = many_out(false);
    const struct tcp_range most[] = {{OF(1), OF(SEGMENTS - 1)}}, two[] = {{OF(3), OF(SEGMENTS / 2)}, {OF(1), OF(2)}};
    blocks(s, most, 1);
    uint64_t before = steps(s);
    assert_true(before < 2 * SEGMENTS);
    for (uint32_t i = 0; i < rounds; i++)
        blocks(s, i % 2 ? most : two, i % 2 ? 1 : 2);
    assert_true(steps(s) - before < 8 * rounds + 2 * SEGMENTS);
    script_delete(s);
}

/* Every second segment is reported, in an order that makes each block jump over all others. */
static void alternating_blocks_cost_what_they_report(void **state) {
    (void)state;
    struct script *s = many_out(false);
    for (uint32_t i = 1; i + 1 < SEGMENTS; i += 2)
        blocks(s, (struct tcp_range[]){{OF(i), OF(i + 1)}, {OF(1), OF(2)}, {OF(i / 2 | 1), OF((i / 2 | 1) + 1)}}, 3);
    assert_true(steps(s) < 16 * SEGMENTS);
    script_delete(s);
}

/* A peer that shows again and again that nothing was lost has the scoreboard walked once in a round trip. */
static void undo_walks_the_scoreboard_once_in_a_round_trip(void **state) {
    (void)state;
    const uint32_t cycles = 200;
    struct script *s = many_out(true);
    s->ts_echo = 1;
    for (uint32_t i = 1; i <= cycles; i++) {
        pass(s, 50 * MS);
        in_sack(s, OF(i - 1), OF(SEGMENTS - i), OF(SEGMENTS - i + 1)); /* what was sent before is lost, */
        drain(s);                                                      /* and the first of it sent again; */
        in_ack(s, OF(i));                                              /* but that echoes an old time */
        drain(s);
    }
    assert_true(counted(s->h, tcp_undone) > 0);
    assert_true(steps(s) < 8 * SEGMENTS + 16 * cycles);
    script_delete(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_that_are_repeated_cost_the_same_however_much_they_cover),
        cmocka_unit_test(alternating_blocks_cost_what_they_report),
        cmocka_unit_test(undo_walks_the_scoreboard_once_in_a_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
