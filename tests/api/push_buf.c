/* SPDX-License-Identifier: MIT */
/* dmtr_push_buf: ownership of the memory in every case, over every kind of queue. Argument: the network. */
#include "push_test.h"

static dmtr_qtoken_t push_buf(int qd, void *buf, size_t len) {
    dmtr_qtoken_t qt = 0;
    assert_ok(dmtr_push_buf(&qt, qd, buf, len));
    assert_true(qt != 0);
    return qt;
}

static void the_block_is_freed_when_all_data_has_arrived(void **state) {
    (void)state;
    static const size_t offsets[] = {0, 1, 4096, BLOCK_BYTES - 1000};
    for (enum kind kind = 0; kind < KINDS; kind++)
        for (size_t i = 0; is_supported(kind) && i < sizeof offsets / sizeof *offsets; i++) {
            struct ends e = open_ends(kind);
            size_t before = blocks_bytes();
            dmtr_qtoken_t qt = push_buf(e.in, new_pattern_block(offsets[i], 1000), 1000);
            expect_wait_error(qt, 0);
            expect_arrival(&e, 1000);
            wait_for_blocks(before);
            close_ends(&e);
        }
}

static void a_push_of_a_whole_block_arrives(void **state) {
    (void)state;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        if (kind == UDP || !is_supported(kind)) continue;
        struct ends e = open_ends(kind);
        size_t before = blocks_bytes();
        dmtr_qtoken_t qt = push_buf(e.in, new_pattern_block(0, BLOCK_BYTES), BLOCK_BYTES);
        if (kind == DISK) expect_wait_error(qt, 0); /* a file must be written before it is read */
        expect_arrival(&e, BLOCK_BYTES);
        if (kind != DISK) expect_wait_error(qt, 0);
        wait_for_blocks(before);
        close_ends(&e);
    }
}

static void a_block_with_another_owner_is_not_freed_by_the_push(void **state) {
    (void)state;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        if (!is_supported(kind)) continue;
        struct ends e = open_ends(kind);
        char *p = new_pattern_block(0, 500);
        assert_true(heap_share(p));
        expect_wait_error(push_buf(e.in, p, 500), 0);
        expect_arrival(&e, 500);
        for (size_t i = 0; i < 500; i++)
            assert_int_equal(p[i], pattern(i));
        assert_ok(dmtr_free(p));
        wait_for_blocks(0);
        close_ends(&e);
    }
}

static void a_popped_segment_can_be_pushed_to_another_queue(void **state) {
    (void)state;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        if (kind == DISK) continue; /* both ends would use the same file */
        struct ends from = open_ends(MEMORY), to = open_ends(kind);
        dmtr_qresult_t qr;
        expect_wait_error(push_buf(from.in, new_pattern_block(100, 200), 200), 0);
        assert_ok(dmtr_wait_timed(&qr, pop_begin(from.out), HANG));
        assert_int_equal(qr.qr_value.sga.sga_numsegs, 1);
        expect_wait_error(push_buf(to.in, qr.qr_value.sga.sga_segs[0].sgaseg_buf, 200), 0);
        expect_arrival(&to, 200);
        wait_for_blocks(0);
        close_ends(&from);
        close_ends(&to);
    }
}

static void an_empty_push_is_an_empty_message_on_queues_with_messages(void **state) {
    (void)state;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        if (!is_supported(kind)) continue;
        struct ends e = open_ends(kind);
        expect_wait_error(push_buf(e.in, new_block(), 0), 0);
        assert_int_equal(blocks_bytes(), 0);
        if (kind <= UDP || kind == FRAMED) expect_arrival(&e, 0);
        expect_wait_error(push_buf(e.in, new_pattern_block(0, 10), 10), 0);
        expect_arrival(&e, 10);
        wait_for_blocks(0);
        close_ends(&e);
    }
}

static void expect_refused(int qd, void *buf, size_t len, int error) {
    dmtr_qtoken_t qt = 1;
    assert_int_equal(dmtr_push_buf(&qt, qd, buf, len), error);
    assert_true(qt == 1);
    assert_int_equal(dmtr_push_buf_quiet(qd, buf, len), error);
}

/* Checks that the caller still owns the block: writes to it and frees it once. */
static void expect_caller_owns(char *block) {
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
        if (!is_supported(kind)) continue;
        struct ends e = open_ends(kind);
        char *block = new_block();
        expect_refused(e.in, block, BLOCK_BYTES + 1, EINVAL);
        expect_refused(e.in, block + 10, BLOCK_BYTES - 9, EINVAL);
        expect_refused(e.in, block, SIZE_MAX, EINVAL);
        assert_int_equal(dmtr_push_buf(NULL, e.in, block, 1), EINVAL);
        assert_ok(dmtr_setsockopt(e.in, DMTR_SOL_QUEUE, DMTR_SO_PUSH_LIMIT, &limit, sizeof limit));
        /* A queue in memory applies its limit only to pushes that wait. */
        if (kind != MEMORY) expect_refused(e.in, block, 1001, EMSGSIZE);
        close_ends(&e);
        expect_refused(e.in, block, 1, EBADF);
        expect_caller_owns(block);
    }
    char *block = new_block();
    int listener = bound_socket(SOCK_STREAM, &at), datagrams = bound_socket(SOCK_DGRAM, &at), fresh;
    assert_ok(dmtr_listen(listener, 1));
    assert_ok(dmtr_socket(&fresh, AF_INET, SOCK_STREAM, 0));
    dmtr_qtoken_t qt;
    int r = dmtr_push_buf(&qt, listener, block, 1);
    assert_true(r == EOPNOTSUPP || r == ENOTCONN);
    expect_refused(fresh, block, 1, ENOTCONN);
    expect_refused(fresh, block, 0, ENOTCONN);
    expect_refused(datagrams, block, 1, EDESTADDRREQ);
    expect_refused(datagrams, block, 70000, EMSGSIZE);
    expect_caller_owns(block);
}

static void memory_outside_the_heap_is_refused(void **state) {
    (void)state;
    static char fixed[100];
    char local[100], *other = malloc(100);
    for (enum kind kind = 0; kind < KINDS; kind++) {
        if (!is_supported(kind)) continue;
        struct ends e = open_ends(kind);
        char *const buffers[] = {fixed, local, other, NULL, (char *)16, (char *)UINTPTR_MAX};
        for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) {
            expect_refused(e.in, buffers[i], 100, EINVAL);
            expect_refused(e.in, buffers[i], 0, EINVAL);
        }
        /* The refused pushes have sent nothing. */
        expect_wait_error(push_buf(e.in, new_pattern_block(0, 10), 10), 0);
        expect_arrival(&e, 10);
        close_ends(&e);
    }
    free(other);
}

/* A push to a full queue waits. The library owns its block, and frees it when the push fails. */
static void the_block_of_a_push_that_fails_later_is_freed(void **state) {
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

static void a_push_beyond_the_limit_leaves_the_block_to_the_caller(void **state) {
    (void)state;
    size_t limit = 100;
    assert_ok(dmtr_fini());
    assert_ok(start_network("memory.max_elements=1"));
    int qd = new_queue();
    assert_ok(dmtr_setsockopt(qd, DMTR_SOL_QUEUE, DMTR_SO_PUSH_LIMIT, &limit, sizeof limit));
    expect_wait_error(push_buf(qd, new_pattern_block(0, 10), 10), 0);
    dmtr_qtoken_t waits = push_buf(qd, new_pattern_block(0, 90), 90);
    char *block = new_pattern_block(0, 11);
    expect_refused(qd, block, 11, ENOBUFS);
    expect_refused(qd, block, 101, EMSGSIZE);
    expect_pattern(qd, 10);
    expect_wait_error(waits, 0);
    dmtr_qtoken_t again = push_buf(qd, block, 11);
    expect_pattern(qd, 90);
    expect_pattern(qd, 11);
    expect_wait_error(again, 0);
    assert_int_equal(blocks_bytes(), 0);
}

/* The peer resets the connection while it has accepted only part of the data. The pushes that had begun fail. */
static void blocks_pushed_to_a_reset_connection_are_freed(void **state) {
    (void)state;
    static const struct linger hard = {.l_onoff = 1};
    enum { PUSHES = 32 };
    struct ends e = open_ends(TCP);
    size_t limit = (size_t)PUSHES * BLOCK_BYTES;
    dmtr_qtoken_t qts[PUSHES];
    int failed = 0, began = 0;
    assert_ok(dmtr_setsockopt(e.in, DMTR_SOL_QUEUE, DMTR_SO_PUSH_LIMIT, &limit, sizeof limit));
    for (; began < PUSHES; began++)
        qts[began] = push_buf(e.in, new_pattern_block(0, 0), BLOCK_BYTES);
    assert_ok(dmtr_setsockopt(e.out, SOL_SOCKET, SO_LINGER, &hard, sizeof hard));
    assert_ok(dmtr_close(e.out));
    for (int i = 0; i < began; i++) {
        dmtr_qresult_t qr;
        int r = dmtr_wait_timed(&qr, qts[i], HANG);
        assert_true(qr.qr_qt == qts[i] && (r == 0 || r == ECONNRESET || r == EPIPE));
        failed += r != 0;
    }
    assert_true(failed > 0);
    wait_for_blocks(0);
    char *block = new_block();
    dmtr_qtoken_t qt;
    int r = dmtr_push_buf(&qt, e.in, block, 1);
    if (r)
        assert_ok(dmtr_free(block));
    else
        assert_ok(dmtr_drop(qt));
    e.out = -1;
    close_ends(&e);
    wait_for_blocks(0);
}

/* Pushes are waiting, complete, or dropped when dmtr_fini is called. */
static void fini_frees_pushed_blocks(void **state) {
    (void)state;
    assert_ok(dmtr_fini());
    assert_ok(start_network("core.linger_ms=10"));
    for (enum kind kind = 0; kind < KINDS; kind++) {
        if (!is_supported(kind)) continue;
        struct ends e = open_ends(kind);
        for (int i = 0; i < 4; i++) {
            push_buf(e.in, new_pattern_block(0, 0), kind == UDP ? 1000 : 100000);
            assert_ok(dmtr_push_buf_quiet(e.in, new_pattern_block(0, 0), kind == UDP ? 1000 : 100000));
            assert_ok(dmtr_drop(push_buf(e.in, new_pattern_block(0, 0), 1000)));
        }
    }
    assert_ok(dmtr_fini());
    assert_int_equal(blocks_bytes(), 0);
    assert_ok(start_network(NULL));
}

int main(int argc, char *argv[]) {
    const struct CMUnitTest tests[] = {
        push_test(the_block_is_freed_when_all_data_has_arrived),
        push_test(a_push_of_a_whole_block_arrives),
        push_test(a_block_with_another_owner_is_not_freed_by_the_push),
        push_test(a_popped_segment_can_be_pushed_to_another_queue),
        push_test(an_empty_push_is_an_empty_message_on_queues_with_messages),
        push_test(a_refused_push_leaves_the_block_to_the_caller),
        push_test(memory_outside_the_heap_is_refused),
        push_test(the_block_of_a_push_that_fails_later_is_freed),
        push_test(a_push_beyond_the_limit_leaves_the_block_to_the_caller),
        push_test(blocks_pushed_to_a_reset_connection_are_freed),
        push_test(fini_frees_pushed_blocks),
    };
    return push_main(argc, argv, "push_buf", tests, sizeof tests / sizeof *tests);
}
