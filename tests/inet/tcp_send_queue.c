/* SPDX-License-Identifier: MIT */
/* The send queue without a connection: references to pushed blocks, and lookup of their bytes. */
#include "inet/tcp/send_queue.h"

#include "part.h"

#define FIRST 0xffffff00u /* sequence numbers wrap soon */

static size_t heap_used(void) {
    struct heap_stats stats;
    heap_get_stats(&stats);
    return stats.used_bytes;
}

/* Pushes `len` bytes, whose values are their sequence numbers, and frees the caller's reference. */
static void push(struct tcp_send_queue *q, uint32_t seq, uint32_t len) {
    uint8_t *base = heap_alloc(len);
    assert_non_null(base);
    for (uint32_t i = 0; i < len; i++)
        base[i] = (uint8_t)(seq + i);
    assert_int_equal(send_queue_add(q, &(struct inet_segment){base, len}, FIRST + seq, false), 0);
    heap_free(base);
}

/* Checks that the gathered bytes are those of [seq, seq + len). */
static void assert_gathered(const struct tcp_send_queue *q, uint32_t seq, uint32_t len) {
    struct tx_packet o;
    tx_init(&o);
    assert_int_equal(send_queue_gather(q, &o, FIRST + seq, len), len);
    assert_int_equal(o.frame.bytes, len);
    for (uint32_t i = 1; i < o.frame.count; i++)
        for (uint32_t at = 0; at < o.frame.segments[i].len; at++)
            assert_int_equal(((const uint8_t *)o.frame.segments[i].base)[at], (uint8_t)seq++);
}

static void block_is_held_until_all_its_bytes_are_acknowledged(void **state) {
    (void)state;
    struct tcp_send_queue q = {.chunks = {.base = NULL}};
    assert_true(send_queue_is_empty(&q));
    push(&q, 0, 100);
    push(&q, 100, 200);
    assert_true(heap_used() > 0);
    assert_false(send_queue_acked(&q, FIRST + 99));
    assert_int_equal(q.chunks.count, 2);
    assert_true(send_queue_acked(&q, FIRST + 100));
    assert_int_equal(q.chunks.count, 1);
    assert_true(send_queue_acked(&q, FIRST + 301)); /* acknowledges the FIN, too */
    assert_true(send_queue_is_empty(&q));
    assert_int_equal(heap_used(), 0);
    fifo_free(&q.chunks);
}

static void bytes_are_gathered_across_chunks(void **state) {
    (void)state;
    struct tcp_send_queue q = {.chunks = {.base = NULL}};
    uint32_t seq = 0;
    for (uint32_t i = 1; i <= 30; i++, seq += i * 10)
        push(&q, seq, (i + 1) * 10);
    assert_gathered(&q, 0, 0);
    assert_gathered(&q, 0, 20);
    assert_gathered(&q, 19, 2);
    assert_gathered(&q, 20, 30);
    assert_gathered(&q, 255, 100);
    assert_true(send_queue_acked(&q, FIRST + 25));
    assert_gathered(&q, 25, 25); /* starts in the middle of the first chunk */
    send_queue_clear(&q);
    assert_int_equal(heap_used(), 0);
    fifo_free(&q.chunks);
}

static void frame_has_a_limited_number_of_segments(void **state) {
    (void)state;
    struct tcp_send_queue q = {.chunks = {.base = NULL}};
    struct tx_packet o;
    for (uint32_t i = 0; i < 2 * INET_FRAME_SEGMENTS; i++)
        push(&q, i, 1);
    tx_init(&o);
    assert_int_equal(send_queue_gather(&q, &o, FIRST, 2 * INET_FRAME_SEGMENTS), INET_FRAME_SEGMENTS - 1);
    send_queue_clear(&q);
    fifo_free(&q.chunks);
}

static void memory_outside_the_heap_is_refused(void **state) {
    (void)state;
    struct tcp_send_queue q = {.chunks = {.base = NULL}};
    uint8_t foreign[8] = {0};
    assert_int_equal(send_queue_add(&q, &(struct inet_segment){foreign, sizeof foreign}, FIRST, false), -EINVAL);
    assert_true(send_queue_is_empty(&q));
    push(&q, 0, 8);
    assert_gathered(&q, 0, 8);
    send_queue_clear(&q);
    fifo_free(&q.chunks);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(block_is_held_until_all_its_bytes_are_acknowledged),
        cmocka_unit_test(bytes_are_gathered_across_chunks),
        cmocka_unit_test(frame_has_a_limited_number_of_segments),
        cmocka_unit_test(memory_outside_the_heap_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
