/* SPDX-License-Identifier: MIT */
/* Message framing over TCP, both engines: message boundaries are kept, malicious peers are bounded. */
#include "posix_test.h"

static void framed(int qd) {
    int on = 1;
    assert_ok(dmtr_setsockopt(qd, DMTR_SOL_QUEUE, DMTR_SO_FRAMED, &on, sizeof on));
}

static struct ends framed_ends(void) {
    struct ends e = connected();
    framed(e.client);
    framed(e.server);
    return e;
}

static struct raw_ends raw_framed(void) {
    struct raw_ends e = raw_connected();
    framed(e.server);
    return e;
}

static void put32(uint8_t *to, uint32_t value) {
    value = htonl(value);
    memcpy(to, &value, sizeof value);
}

/* Encodes a message of one segment as sent on the wire. Returns its length. */
static size_t wire(uint8_t *to, const char *text) {
    uint32_t len = (uint32_t)strlen(text);
    put32(to, DMTR_HEADER_MAGIC);
    put32(to + 4, len + 4);
    put32(to + 8, 1);
    put32(to + 12, len);
    memcpy(to + 16, text, len);
    return len + 16;
}

static void a_pop_returns_one_message_with_its_segments(void **state) {
    (void)state;
    skip_without_engine();
    struct ends e = framed_ends();
    dmtr_sgarray_t sga = {.sga_numsegs = 4,
                          .sga_segs = {{.sgaseg_buf = "one", .sgaseg_len = 3},
                                       {.sgaseg_buf = NULL, .sgaseg_len = 0},
                                       {.sgaseg_buf = "three", .sgaseg_len = 5},
                                       {.sgaseg_buf = NULL, .sgaseg_len = 0}}};
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    for (int i = 0; i < 3; i++) {
        assert_ok(dmtr_push(&qt, e.client, &sga));
        expect_wait_error(qt, 0);
    }
    for (int i = 0; i < 3; i++) {
        wait_ok(pop_begin(e.server), &qr);
        dmtr_sgarray_t *got = &qr.qr_value.sga;
        assert_int_equal(got->sga_numsegs, 4);
        assert_int_equal(got->sga_segs[1].sgaseg_len, 0);
        assert_int_equal(got->sga_segs[3].sgaseg_len, 0);
        assert_memory_equal(got->sga_segs[0].sgaseg_buf, "one", 3);
        assert_memory_equal(got->sga_segs[2].sgaseg_buf, "three", 5);
        expect_text(&qr, "onethree");
    }
    struct dmtr_queue_info info;
    socklen_t len = sizeof info;
    assert_ok(dmtr_getsockopt(e.server, DMTR_SOL_QUEUE, DMTR_SO_INFO, &info, &len));
    assert_int_equal(info.pops, 3);
    close_ends(&e);
}

static void messages_of_all_sizes_arrive_equal(void **state) {
    (void)state;
    skip_without_engine();
    struct ends e = framed_ends();
    for (uint32_t len = 1; len < (8u << 20); len = len * 3 + 7) {
        dmtr_sgarray_t sga = {.sga_numsegs = DMTR_SGARRAY_MAXSIZE};
        dmtr_qtoken_t qts[2];
        dmtr_qresult_t qrs[2];
        uint64_t at = 0;
        for (uint32_t i = 0; i < DMTR_SGARRAY_MAXSIZE; i++) {
            uint32_t part = i + 1 < DMTR_SGARRAY_MAXSIZE ? len / 20 * (i % 3) : len - (uint32_t)at;
            void *p;
            assert_ok(dmtr_malloc(&p, part));
            fill_pattern(p, part, at);
            sga.sga_segs[i] = (dmtr_sgaseg_t){.sgaseg_buf = p, .sgaseg_len = part};
            at += part;
        }
        qts[0] = pop_begin(e.server);
        assert_ok(dmtr_push(&qts[1], e.client, &sga));
        dmtr_sgarray_t sent = sga;
        assert_ok(dmtr_sgafree(&sga));
        assert_ok(dmtr_wait_all_timed(qrs, qts, 2, HANG));
        dmtr_sgarray_t *got = &qrs[0].qr_value.sga;
        assert_int_equal(got->sga_numsegs, DMTR_SGARRAY_MAXSIZE);
        at = 0;
        for (uint32_t i = 0; i < DMTR_SGARRAY_MAXSIZE; i++) {
            assert_int_equal(got->sga_segs[i].sgaseg_len, sent.sga_segs[i].sgaseg_len);
            assert_true(has_pattern(got->sga_segs[i].sgaseg_buf, got->sga_segs[i].sgaseg_len, at));
            at += got->sga_segs[i].sgaseg_len;
        }
        assert_ok(dmtr_sgafree(got));
    }
    close_ends(&e);
}

static void many_small_messages_in_one_receive_are_not_copied(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_framed();
    uint8_t buf[64 * 20];
    size_t len = 0;
    for (int i = 0; i < 20; i++)
        len += wire(buf + len, "message");
    raw_send(e.fd, buf, len);
    for (int i = 0; i < 20; i++)
        expect_pop_text(e.server, "message");
    struct dmtr_queue_info info;
    socklen_t size = sizeof info;
    assert_ok(dmtr_getsockopt(e.server, DMTR_SOL_QUEUE, DMTR_SO_INFO, &info, &size));
    assert_int_equal(info.copies, 0);
    raw_close(&e);
}

static void messages_sent_byte_by_byte_are_parsed(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_framed();
    uint8_t buf[64];
    int one = 1;
    size_t len = wire(buf, "byte by byte");
    dmtr_qtoken_t qt = pop_begin(e.server);
    dmtr_qresult_t qr;
    setsockopt(e.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (size_t i = 0; i < len; i++) {
        raw_send(e.fd, buf + i, 1);
        int r = dmtr_wait_timed(&qr, qt, MS);
        assert_int_equal(r, i + 1 < len ? ETIMEDOUT : r);
        if (r == 0) break;
        assert_int_equal(r, ETIMEDOUT);
    }
    if (qr.qr_qt != qt) wait_ok(qt, &qr);
    expect_text(&qr, "byte by byte");
    raw_close(&e);
}

static void the_wire_format_is_demikernels(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_framed();
    uint8_t expected[64], got[64];
    size_t len = wire(expected, "format");
    push_wait(e.server, "format");
    assert_int_equal(recv(e.fd, got, len, MSG_WAITALL), (ssize_t)len);
    assert_memory_equal(got, expected, len);
    raw_close(&e);
}

/* Invalid headers: the words of the header, then the first length. */
static void bad_headers_end_the_queue_for_ever(void **state) {
    static const uint32_t bad[][4] = {
        {0x47455420, 0x2f204854, 0x54502f31, 0x2e310d0a}, /* not a header */
        {DMTR_HEADER_MAGIC, 8, 0, 0},                     /* no segment */
        {DMTR_HEADER_MAGIC, 400, 11, 4},                  /* too many segments */
        {DMTR_HEADER_MAGIC, 7, 2, 0},                     /* fewer bytes than lengths */
        {DMTR_HEADER_MAGIC, 0xffffffff, 1, 4},            /* too large */
        {DMTR_HEADER_MAGIC, (16u << 20) + 5, 1, 4},       /* just too large */
        {DMTR_HEADER_MAGIC, 8, 1, 5},                     /* a segment exceeds the message */
        {DMTR_HEADER_MAGIC, 8, 1, 3},                     /* the segments end before the message */
    };
    (void)state;
    skip_without_engine();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct raw_ends e = raw_framed();
        uint8_t buf[64] = {0};
        dmtr_qtoken_t qt = pop_begin(e.server);
        for (int k = 0; k < 4; k++)
            put32(buf + 4 * k, bad[i][k]);
        raw_send(e.fd, buf, sizeof buf);
        expect_wait_error(qt, EILSEQ);
        expect_wait_error(pop_begin(e.server), EILSEQ);
        raw_close(&e);
    }
    assert_int_equal(counter_value("frame_bad_header"), 6);
    assert_int_equal(counter_value("frame_too_large"), 2);
}

static void a_stream_that_ends_between_messages_ends_normally(void **state) {
    (void)state;
    skip_without_engine();
    struct raw_ends e = raw_framed();
    uint8_t buf[64];
    raw_send(e.fd, buf, wire(buf, "only"));
    close(e.fd);
    expect_pop_text(e.server, "only");
    for (int i = 0; i < 2; i++)
        expect_end(e.server);
    assert_ok(dmtr_close(e.server));
    assert_ok(dmtr_close(e.listener));
}

static void a_stream_that_ends_inside_a_message_is_an_error(void **state) {
    (void)state;
    skip_without_engine();
    for (size_t cut = 1; cut < 23; cut += 5) {
        struct raw_ends e = raw_framed();
        uint8_t buf[64];
        wire(buf, "missing");
        raw_send(e.fd, buf, cut);
        close(e.fd);
        for (int i = 0; i < 2; i++)
            expect_wait_error(pop_begin(e.server), ECONNRESET);
        assert_ok(dmtr_close(e.server));
        assert_ok(dmtr_close(e.listener));
    }
}

static void a_message_too_long_for_a_limited_pop_stays(void **state) {
    (void)state;
    skip_without_engine();
    struct ends e = framed_ends();
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    push_wait(e.client, "eleven long");
    assert_ok(dmtr_pop2(&qt, e.server, 10));
    expect_wait_error(qt, EMSGSIZE);
    assert_ok(dmtr_pop2(&qt, e.server, 11));
    wait_ok(qt, &qr);
    expect_text(&qr, "eleven long");
    close_ends(&e);
}

static void a_message_above_the_limit_is_refused_at_the_push(void **state) {
    (void)state;
    skip_without_engine();
    restart_engine_with("frame.max_bytes=100");
    struct ends e = framed_ends();
    static char data[101];
    dmtr_qtoken_t qt;
    dmtr_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{.sgaseg_buf = data, .sgaseg_len = sizeof data}}};
    assert_int_equal(dmtr_push(&qt, e.client, &sga), EMSGSIZE);
    expect_wait_error(push_bytes(e.client, data, 100), 0);
    dmtr_qresult_t qr;
    wait_ok(pop_begin(e.server), &qr);
    assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    close_ends(&e);
}

static size_t resident_bytes(void) {
    unsigned long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lu %lu", &pages, &resident), 2);
    fclose(f);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void an_announced_size_uses_no_memory_before_its_data_arrives(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in addr;
    int l = listener(&addr), fds[32], qds[32];
    dmtr_qtoken_t pops[32];
    uint8_t buf[17];
    size_t before = resident_bytes();
    put32(buf, DMTR_HEADER_MAGIC);
    put32(buf + 4, (16u << 20) + 4);
    put32(buf + 8, 1);
    put32(buf + 12, 16u << 20);
    buf[16] = 1;
    for (int i = 0; i < 32; i++) {
        fds[i] = raw_connect(&addr);
        qds[i] = accept_wait(l);
        framed(qds[i]);
        pops[i] = pop_begin(qds[i]);
        raw_send(fds[i], buf, sizeof buf);
    }
    run_for(20 * MS);
    assert_true(resident_bytes() - before < (100u << 20)); /* not 512 MiB */
    for (int i = 0; i < 32; i++) {
        close(fds[i]);
        expect_wait_error(pops[i], ECONNRESET);
        assert_ok(dmtr_close(qds[i]));
    }
    assert_ok(dmtr_close(l));
}

static void dropping_and_closing_leave_nothing_behind(void **state) {
    (void)state;
    skip_without_engine();
    struct ends e = framed_ends();
    dmtr_qtoken_t first = pop_begin(e.server), second = pop_begin(e.server);
    dmtr_qresult_t qr;
    assert_int_equal(dmtr_poll(&qr, first), EAGAIN);
    assert_ok(dmtr_drop(first));
    push_wait(e.client, "for the second");
    expect_wait_text(second, "for the second");
    push_wait(e.client, "popped by nobody");
    second = pop_begin(e.client);
    dmtr_qtoken_t push = push_text(e.server, "last words");
    assert_ok(dmtr_close(e.server));
    expect_wait_error(push, 0);
    expect_wait_text(second, "last words");
    first = pop_begin(e.client);
    assert_ok(dmtr_close(e.client));
    dmtr_wait_timed(&qr, first, HANG);
    assert_ok(dmtr_close(e.listener));
}

static void a_push_dropped_after_its_queue_was_closed_is_delivered(void **state) {
    (void)state;
    skip_without_engine();
    struct ends e = framed_ends();
    dmtr_qtoken_t push = push_text(e.client, "nobody asks");
    assert_ok(dmtr_close(e.client));
    assert_ok(dmtr_drop(push));
    expect_pop_text(e.server, "nobody asks");
    expect_end(e.server);
    assert_ok(dmtr_close(e.server));
    assert_ok(dmtr_close(e.listener));
}

static void framing_requires_a_stream_and_is_inherited(void **state) {
    (void)state;
    skip_without_engine();
    struct sockaddr_in addr;
    int on = 1, qd, l = listener(&addr);
    uint8_t buf[64];
    assert_ok(dmtr_socket(&qd, AF_INET, SOCK_DGRAM, 0));
    assert_true(dmtr_setsockopt(qd, DMTR_SOL_QUEUE, DMTR_SO_FRAMED, &on, sizeof on) != 0);
    assert_ok(dmtr_close(qd));
    framed(l);
    int fd = raw_connect(&addr);
    qd = accept_wait(l);
    raw_send(fd, buf, wire(buf, "inherited"));
    expect_pop_text(qd, "inherited");
    raw_reset(fd);
    expect_wait_error(pop_begin(qd), ECONNRESET);
    assert_ok(dmtr_close(qd));
    assert_ok(dmtr_close(l));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        both_engines(a_pop_returns_one_message_with_its_segments),
        both_engines(messages_of_all_sizes_arrive_equal),
        both_engines(many_small_messages_in_one_receive_are_not_copied),
        both_engines(messages_sent_byte_by_byte_are_parsed),
        both_engines(the_wire_format_is_demikernels),
        both_engines(bad_headers_end_the_queue_for_ever),
        both_engines(a_stream_that_ends_between_messages_ends_normally),
        both_engines(a_stream_that_ends_inside_a_message_is_an_error),
        both_engines(a_message_too_long_for_a_limited_pop_stays),
        both_engines(a_message_above_the_limit_is_refused_at_the_push),
        both_engines(an_announced_size_uses_no_memory_before_its_data_arrives),
        both_engines(dropping_and_closing_leave_nothing_behind),
        both_engines(a_push_dropped_after_its_queue_was_closed_is_delivered),
        both_engines(framing_requires_a_stream_and_is_inherited),
    };
    return cmocka_run_group_tests_name("posix framing", tests, NULL, NULL);
}
