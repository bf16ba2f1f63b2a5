/* SPDX-License-Identifier: MIT */
/* dmtr_push_buf: whose the memory is, in every case, over every kind of queue. Argument: the network. */
#include "push_test.h"

static dmtr_qtoken_t push_buf(int qd, void *buf, size_t len) {
    dmtr_qtoken_t qt = 0;
    assert_ok(dmtr_push_buf(&qt, qd, buf, len));
    assert_true(qt != 0);
    return qt;
}

static void the_block_is_freed_when_all_has_arrived(void **state) {
    (void)state;
    static const size_t offsets[] = {0, 1, 4096, BLOCK_BYTES - 1000};
    for (enum kind kind = 0; kind < KINDS; kind++)
        for (size_t i = 0; applies(kind) && i < sizeof offsets / sizeof *offsets; i++) {
            struct ends e = open_ends(kind);
            size_t before = blocks_bytes();
            dmtr_qtoken_t qt = push_buf(e.in, filled(offsets[i], 1000), 1000);
            expect_wait_error(qt, 0);
            expect_arrival(&e, 1000);
            until_blocks(before);
            close_ends(&e);
        }
}

static void a_whole_block_arrives(void **state) {
    (void)state;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        if (kind == UDP || !applies(kind)) continue;
        struct ends e = open_ends(kind);
        size_t before = blocks_bytes();
        dmtr_qtoken_t qt = push_buf(e.in, filled(0, BLOCK_BYTES), BLOCK_BYTES);
        if (kind == DISK) expect_wait_error(qt, 0); /* a file has as much as was written */
        expect_arrival(&e, BLOCK_BYTES);
        if (kind != DISK) expect_wait_error(qt, 0);
        until_blocks(before);
        close_ends(&e);
    }
}

static void a_block_with_other_owners_outlives_the_push(void **state) {
    (void)state;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        if (!applies(kind)) continue;
        struct ends e = open_ends(kind);
        char *p = filled(0, 500);
        assert_true(heap_share(p));
        expect_wait_error(push_buf(e.in, p, 500), 0);
        expect_arrival(&e, 500);
        for (size_t i = 0; i < 500; i++)
            assert_int_equal(p[i], pattern(i));
        assert_ok(dmtr_free(p));
        until_blocks(0);
        close_ends(&e);
    }
}

static void what_was_popped_can_be_pushed_on(void **state) {
    (void)state;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        if (kind == DISK) continue; /* it would read and write the same bytes */
        struct ends from = open_ends(MEMORY), to = open_ends(kind);
        dmtr_qresult_t qr;
        expect_wait_error(push_buf(from.in, filled(100, 200), 200), 0);
        assert_ok(dmtr_wait_timed(&qr, pop_begin(from.out), HANG));
        assert_int_equal(qr.qr_value.sga.sga_numsegs, 1);
        expect_wait_error(push_buf(to.in, qr.qr_value.sga.sga_segs[0].sgaseg_buf, 200), 0);
        expect_arrival(&to, 200);
        until_blocks(0);
        close_ends(&from);
        close_ends(&to);
    }
}

static void nothing_can_be_sent_as_a_block_and_is_a_message_where_messages_are(void **state) {
    (void)state;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        if (!applies(kind)) continue;
        struct ends e = open_ends(kind);
        expect_wait_error(push_buf(e.in, new_block(), 0), 0);
        assert_int_equal(blocks_bytes(), 0);
        if (kind <= UDP || kind == FRAMED) expect_arrival(&e, 0);
        expect_wait_error(push_buf(e.in, filled(0, 10), 10), 0);
        expect_arrival(&e, 10);
        until_blocks(0);
        close_ends(&e);
    }
}

static void refused(int qd, void *buf, size_t len, int error) {
    dmtr_qtoken_t qt = 1;
    assert_int_equal(dmtr_push_buf(&qt, qd, buf, len), error);
    assert_true(qt == 1);
    assert_int_equal(dmtr_push_buf_quiet(qd, buf, len), error);
}

/* The caller can write to it, push it elsewhere, and free it, once. */
static void expect_ours(char *block) {
    assert_int_equal(blocks_bytes(), BLOCK_BYTES);
    memset(block, 1, BLOCK_BYTES);
    assert_ok(dmtr_free(block));
    assert_int_equal(blocks_bytes(), 0);
}

static void a_refused_push_leaves_the_block_to_the_caller(void **state) {
    (void)state;
    size_t limit = 1000;
    struct sockaddr_in at;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        if (!applies(kind)) continue;
        struct ends e = open_ends(kind);
        char *block = new_block();
        refused(e.in, block, BLOCK_BYTES + 1, EINVAL);
        refused(e.in, block + 10, BLOCK_BYTES - 9, EINVAL);
        refused(e.in, block, SIZE_MAX, EINVAL);
        assert_int_equal(dmtr_push_buf(NULL, e.in, block, 1), EINVAL);
        assert_ok(dmtr_setsockopt(e.in, DMTR_SOL_QUEUE, DMTR_SO_PUSH_LIMIT, &limit, sizeof limit));
        /* A queue in memory looks at its limit only where a push has to wait. */
        if (kind != MEMORY) refused(e.in, block, 1001, EMSGSIZE);
        close_ends(&e);
        refused(e.in, block, 1, EBADF);
        expect_ours(block);
    }
    char *block = new_block();
    int listener = bound_socket(SOCK_STREAM, &at), datagrams = bound_socket(SOCK_DGRAM, &at), fresh;
    assert_ok(dmtr_listen(listener, 1));
    assert_ok(dmtr_socket(&fresh, AF_INET, SOCK_STREAM, 0));
    dmtr_qtoken_t qt;
    int r = dmtr_push_buf(&qt, listener, block, 1);
    assert_true(r == EOPNOTSUPP || r == ENOTCONN);
    refused(fresh, block, 1, ENOTCONN);
    refused(fresh, block, 0, ENOTCONN);
    refused(datagrams, block, 1, EDESTADDRREQ);
    refused(datagrams, block, 70000, EMSGSIZE);
    expect_ours(block);
}

static void memory_that_is_not_the_heaps_is_refused(void **state) {
    (void)state;
    static char fixed[100];
    char local[100], *other = malloc(100);
    for (enum kind kind = 0; kind < KINDS; kind++) {
        if (!applies(kind)) continue;
        struct ends e = open_ends(kind);
        char *const buffers[] = {fixed, local, other, NULL, (char *)16, (char *)UINTPTR_MAX};
        for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) {
            refused(e.in, buffers[i], 100, EINVAL);
            refused(e.in, buffers[i], 0, EINVAL);
        }
        /* Nothing of it was sent. */
        expect_wait_error(push_buf(e.in, filled(0, 10), 10), 0);
        expect_arrival(&e, 10);
        close_ends(&e);
    }
    free(other);
}

/* Full: further pushes wait. The block is not the caller's any more, and is freed with the push. */
static void a_block_whose_push_fails_later_is_freed(void **state) {
    (void)state;
    assert_ok(dmtr_fini());
    assert_ok(start_network("memory.max_elements=1"));
    int qd = new_queue();
    expect_wait_error(push_buf(qd, new_block(), 10), 0);
    dmtr_qtoken_t waits = push_buf(qd, new_block(), 10);
    assert_int_equal(blocks_bytes(), 2 * BLOCK_BYTES);
    assert_ok(dmtr_close(qd));
    assert_int_equal(blocks_bytes(), 0);
    expect_wait_error(waits, ECANCELED);
}

static void a_block_that_waits_for_room_is_the_callers_if_the_limit_is_reached(void **state) {
    (void)state;
    size_t limit = 100;
    assert_ok(dmtr_fini());
    assert_ok(start_network("memory.max_elements=1"));
    int qd = new_queue();
    assert_ok(dmtr_setsockopt(qd, DMTR_SOL_QUEUE, DMTR_SO_PUSH_LIMIT, &limit, sizeof limit));
    expect_wait_error(push_buf(qd, filled(0, 10), 10), 0);
    dmtr_qtoken_t waits = push_buf(qd, filled(0, 90), 90);
    char *block = filled(0, 11);
    refused(qd, block, 11, ENOBUFS);
    refused(qd, block, 101, EMSGSIZE);
    expect_pattern(qd, 10);
    expect_wait_error(waits, 0);
    dmtr_qtoken_t again = push_buf(qd, block, 11);
    expect_pattern(qd, 90);
    expect_pattern(qd, 11);
    expect_wait_error(again, 0);
    assert_int_equal(blocks_bytes(), 0);
}

/* More than the peer takes in, then a reset: pushes fail that had begun. */
static void blocks_of_a_connection_that_is_reset_are_freed(void **state) {
    (void)state;
    static const struct linger hard = {.l_onoff = 1};
    enum { PUSHES = 32 };
    struct ends e = open_ends(TCP);
    size_t limit = (size_t)PUSHES * BLOCK_BYTES;
    dmtr_qtoken_t qts[PUSHES];
    int failed = 0, began = 0;
    assert_ok(dmtr_setsockopt(e.in, DMTR_SOL_QUEUE, DMTR_SO_PUSH_LIMIT, &limit, sizeof limit));
    for (; began < PUSHES; began++)
        qts[began] = push_buf(e.in, filled(0, 0), BLOCK_BYTES);
    assert_ok(dmtr_setsockopt(e.out, SOL_SOCKET, SO_LINGER, &hard, sizeof hard));
    assert_ok(dmtr_close(e.out));
    for (int i = 0; i < began; i++) {
        dmtr_qresult_t qr;
        int r = dmtr_wait_timed(&qr, qts[i], HANG);
        assert_true(qr.qr_qt == qts[i] && (r == 0 || r == ECONNRESET || r == EPIPE));
        failed += r != 0;
    }
    assert_true(failed > 0);
    until_blocks(0);
    char *block = new_block();
    dmtr_qtoken_t qt;
    int r = dmtr_push_buf(&qt, e.in, block, 1);
    if (r)
        assert_ok(dmtr_free(block));
    else
        assert_ok(dmtr_drop(qt));
    e.out = -1;
    close_ends(&e);
    until_blocks(0);
}

/* With operations in every state. */
static void fini_frees_what_was_pushed(void **state) {
    (void)state;
    assert_ok(dmtr_fini());
    assert_ok(start_network("core.linger_ms=10"));
    for (enum kind kind = 0; kind < KINDS; kind++) {
        if (!applies(kind)) continue;
        struct ends e = open_ends(kind);
        for (int i = 0; i < 4; i++) {
            push_buf(e.in, filled(0, 0), kind == UDP ? 1000 : 100000);
            assert_ok(dmtr_push_buf_quiet(e.in, filled(0, 0), kind == UDP ? 1000 : 100000));
            assert_ok(dmtr_drop(push_buf(e.in, filled(0, 0), 1000)));
        }
    }
    assert_ok(dmtr_fini());
    assert_int_equal(blocks_bytes(), 0);
    assert_ok(start_network(NULL));
}

int main(int argc, char *argv[]) {
    const struct CMUnitTest tests[] = {
        push_test(the_block_is_freed_when_all_has_arrived),
        push_test(a_whole_block_arrives),
        push_test(a_block_with_other_owners_outlives_the_push),
        push_test(what_was_popped_can_be_pushed_on),
        push_test(nothing_can_be_sent_as_a_block_and_is_a_message_where_messages_are),
        push_test(a_refused_push_leaves_the_block_to_the_caller),
        push_test(memory_that_is_not_the_heaps_is_refused),
        push_test(a_block_whose_push_fails_later_is_freed),
        push_test(a_block_that_waits_for_room_is_the_callers_if_the_limit_is_reached),
        push_test(blocks_of_a_connection_that_is_reset_are_freed),
        push_test(fini_frees_what_was_pushed),
    };
    return push_main(argc, argv, "push_buf", tests, sizeof tests / sizeof *tests);
}
