/* SPDX-License-Identifier: MIT */
/* A million idle connections: each uses a bounded amount of memory, and all memory is freed. */
#include "tcp_script.h"

#include "inet/tcp/conn.h"

#include <malloc.h>
#include <stdlib.h>

#define LISTENERS 20u
#define EACH      50000u /* connections of one listener, each from another port of the peer */
#define BYTES     736u   /* limit per connection: 544 for itself, allocator overhead, the growing table */

#ifdef TEST_SANITIZED
#define CONNS 20000u
#else
#define CONNS (LISTENERS * EACH)
#endif

static size_t memory_used(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static struct tcp_conn *accept_one(struct script *s, struct tcp_listener *l, uint32_t i) {
    struct tcp_conn *c;
    s->port = (uint16_t)(1 + i / EACH);
    s->peer_port = (uint16_t)(1024 + i % EACH);
    in(s, (struct seg){.flags = TCP_SYN, .window = 65535, .options = {.mss = 1460, .sack_permitted = true}});
    expect(s, TCP_SYN | TCP_ACK, 0, 0, 1);
    in_ack(s, 1);
    assert_int_equal(tcp_accept(l, &c, NULL), 0);
    return c;
}

static void idle_connections_use_bounded_memory_and_free_it(void **state) {
    (void)state;
    struct script *s = script_new();
    struct tcp_listener *listeners[LISTENERS];
    struct tcp_conn **conns = calloc(CONNS, sizeof(struct tcp_conn *));
    struct heap_stats stats;
    for (uint32_t i = 0; i < LISTENERS; i++) {
        struct inet_endpoint any = {.port = (uint16_t)(1 + i)};
        assert_int_equal(tcp_listen(s->h->stack, &listeners[i], &any, 16, NULL, NULL), 0);
    }
    size_t before = memory_used();
    for (uint32_t i = 0; i < CONNS; i++)
        conns[i] = accept_one(s, listeners[i / EACH], i);
    pass(s, 10 * SEC);
    heap_get_stats(&stats);
    assert_int_equal(stats.used_bytes, 0);
    size_t each = (memory_used() - before) / CONNS;
    printf("# %u connections, %zu bytes each\n", CONNS, each);
#ifndef TEST_SANITIZED
    assert_true(each <= BYTES);
#endif
    for (uint32_t i = 0; i < CONNS; i += CONNS / 100) { /* 100 of them receive data */
        struct inet_slice slice;
        s->port = (uint16_t)(1 + i / EACH);
        s->peer_port = (uint16_t)(1024 + i % EACH);
        s->iss = conns[i]->send.iss;
        in_data(s, 1, 100, 1);
        expect(s, TCP_ACK, 1, 0, 101);
        assert_int_equal(tcp_pop(conns[i], &slice, 1000, s->w->now), 0);
        assert_int_equal(slice.len, 100);
        heap_free(slice.base);
    }
    for (uint32_t i = 0; i < CONNS; i++) {
        tcp_abort(conns[i], s->w->now);
        drain(s);
    }
    for (uint32_t i = 0; i < LISTENERS; i++)
        tcp_listener_close(listeners[i], s->w->now);
    assert_int_equal(hash_count(&s->h->stack->tcp_conns), 0);
    free(conns);
    script_delete(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(idle_connections_use_bounded_memory_and_free_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
