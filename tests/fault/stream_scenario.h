/* SPDX-License-Identifier: MIT */
/* A conversation over sockets of any network, for sweeps of failing calls: a pattern pushed, popped and compared. */
#ifndef TESTS_STREAM_SCENARIO_H
#define TESTS_STREAM_SCENARIO_H

#include "fault_test.h"
#include "mem/heap.h"

#include <arpa/inet.h>

enum { MESSAGES = 6, BYTES = 3000 };

static inline int wait_done(dmtr_qtoken_t qt, dmtr_qresult_t *qr) {
    int r = dmtr_wait_timed(qr, qt, STEP_TIME);
    if (r == ETIMEDOUT) assert_ok(dmtr_drop(qt));
    return r;
}

static bool given_away; /* pushes take the memory over, of blocks that are counted apart */

static inline size_t blocks_bytes(void) {
    struct heap_stats stats;
    heap_get_stats(&stats);
    return stats.large_bytes;
}

static inline int push_given_away(int qd, int from, dmtr_qtoken_t *qt) {
    void *block;
    int r = dmtr_malloc(&block, 1 << 20);
    if (r) return r;
    unsigned char *p = (unsigned char *)block + 4321;
    for (int i = 0; i < BYTES; i++)
        p[i] = (unsigned char)((from + i) % 251);
    r = dmtr_push_buf(qt, qd, p, BYTES);
    if (r) assert_ok(dmtr_free(block));
    return r;
}

static inline int push_pattern(int qd, int from, dmtr_qtoken_t *qt, const struct sockaddr_in *to) {
    if (given_away && !to) return push_given_away(qd, from, qt);
    dmtr_sgarray_t sga = dmtr_sgaalloc(BYTES);
    if (sga.sga_numsegs == 0) return ENOMEM;
    unsigned char *p = sga.sga_segs[0].sgaseg_buf;
    for (int i = 0; i < BYTES; i++)
        p[i] = (unsigned char)((from + i) % 251);
    int r = to ? dmtr_pushto(qt, qd, &sga, (const struct sockaddr *)to, sizeof *to) : dmtr_push(qt, qd, &sga);
    assert_ok(dmtr_sgafree(&sga));
    return r;
}

/* The bytes of one pop continue the pattern at *at. */
static inline int pop_pattern(int qd, int *at) {
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    int r = dmtr_pop(&qt, qd);
    if (!r) r = wait_done(qt, &qr);
    if (r) return r;
    for (uint32_t s = 0; s < qr.qr_value.sga.sga_numsegs; s++) {
        const unsigned char *p = qr.qr_value.sga.sga_segs[s].sgaseg_buf;
        for (uint32_t i = 0; i < qr.qr_value.sga.sga_segs[s].sgaseg_len; i++, (*at)++)
            assert_int_equal(p[i], *at % 251);
    }
    if (qr.qr_value.sga.sga_numsegs == 0) r = EPIPE;
    assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    return r;
}

/* The address of this host that the sockets use. */
static const char *own_address = "127.0.0.1";

static inline int bound(int *qd, int type, struct sockaddr_in *addr) {
    *addr = (struct sockaddr_in){.sin_family = AF_INET};
    socklen_t len = sizeof *addr;
    inet_pton(AF_INET, own_address, &addr->sin_addr);
    int r = dmtr_socket(qd, AF_INET, type, 0);
    if (!r) r = dmtr_bind(*qd, (struct sockaddr *)addr, len);
    if (!r) r = dmtr_getsockname(*qd, (struct sockaddr *)addr, &len);
    return r;
}

static int framed;

static inline int run_tcp(void) {
    int failed = 0, listener, client, server, sent = 0, at = 0;
    struct sockaddr_in addr;
    socklen_t len = sizeof addr;
    dmtr_qtoken_t accept, connect, push;
    dmtr_qresult_t qr;
    TRY(bound(&listener, SOCK_STREAM, &addr));
    if (framed) TRY(dmtr_setsockopt(listener, DMTR_SOL_QUEUE, DMTR_SO_FRAMED, &framed, sizeof framed));
    TRY(dmtr_listen(listener, 8));
    TRY(dmtr_getsockname(listener, (struct sockaddr *)&addr, &len));
    TRY(dmtr_accept(&accept, listener));
    TRY(dmtr_socket(&client, AF_INET, SOCK_STREAM, 0));
    if (framed) TRY(dmtr_setsockopt(client, DMTR_SOL_QUEUE, DMTR_SO_FRAMED, &framed, sizeof framed));
    TRY(dmtr_connect(&connect, client, (struct sockaddr *)&addr, sizeof addr));
    TRY(wait_done(connect, &qr));
    TRY(wait_done(accept, &qr));
    server = qr.qr_value.ares.qd;
    for (int i = 0; i < MESSAGES; i++) {
        TRY(push_pattern(client, sent, &push, NULL));
        TRY(wait_done(push, &qr));
        sent += BYTES;
        while (at < sent)
            TRY(pop_pattern(server, &at));
    }
    TRY(dmtr_close(client));
    failed = pop_pattern(server, &at);
    assert_int_not_equal(failed, 0);
    if (failed == EPIPE) failed = 0;
out:
    return failed;
}

#endif
