/* SPDX-License-Identifier: MIT */
/*
 * Every call returns the documented errno for every bad argument and changes nothing. The tables are lists of calls.
 * Each call is made once, and a wrong result prints the call.
 */
#include "api_test.h"

#include <arpa/inet.h>
#include <poll.h>

struct row {
    const char *call;
    int expected, got;
};

#define REFUSE(errno_, call) {#call, errno_, call}

static void check(const struct row *rows, size_t n) {
    int wrong = 0;
    for (size_t i = 0; i < n; i++) {
        if (rows[i].got == rows[i].expected) continue;
        wrong++;
        print_error("%s: %s (%d), not %s (%d)\n", rows[i].call, strerror(rows[i].got), rows[i].got,
                    strerror(rows[i].expected), rows[i].expected);
    }
    assert_int_equal(wrong, 0);
}

#define CHECK_ROWS(rows) check(rows, sizeof(rows) / sizeof *(rows))

static bool keep_all(const dmtr_sgarray_t *sga, void *arg) {
    (void)sga, (void)arg;
    return true;
}

static bool never_less(const dmtr_sgarray_t *a, const dmtr_sgarray_t *b, void *arg) {
    (void)a, (void)b, (void)arg;
    return false;
}

static int keep_array(dmtr_sgarray_t *sga, void *arg) {
    (void)sga, (void)arg;
    return 0;
}

static const struct sockaddr_in addr = {.sin_family = AF_INET};
#define ADDR (const struct sockaddr *)&addr, sizeof addr

static int qd_out, offset, got, value, file_fd;
static socklen_t len = sizeof value;
static off_t off;
static dmtr_qtoken_t qt;
static dmtr_qresult_t qr;
static dmtr_runtime_t runtime;
static struct sockaddr_storage name;
static socklen_t name_len = sizeof name;
#define NAME (struct sockaddr *)&name, &name_len

static void every_call_before_init_is_enosys(void **state) {
    (void)state;
    dmtr_sgarray_t sga = message("x");
    dmtr_qtoken_t one[1] = {1};
    const struct row rows[] = {
        REFUSE(ENOSYS, dmtr_fini()),
        REFUSE(ENOSYS, dmtr_log(DMTR_LOG_INFO, "text")),
        REFUSE(ENOSYS, dmtr_runtime_current(&runtime)),
        REFUSE(ENOSYS, dmtr_socket(&qd_out, AF_INET, SOCK_STREAM, 0)),
        REFUSE(ENOSYS, dmtr_socket_on(&qd_out, "posix", AF_INET, SOCK_STREAM, 0)),
        REFUSE(ENOSYS, dmtr_bind(1, ADDR)),
        REFUSE(ENOSYS, dmtr_listen(1, 1)),
        REFUSE(ENOSYS, dmtr_getsockname(1, NAME)),
        REFUSE(ENOSYS, dmtr_getpeername(1, NAME)),
        REFUSE(ENOSYS, dmtr_shutdown(1, SHUT_WR)),
        REFUSE(ENOSYS, dmtr_setsockopt(1, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof value)),
        REFUSE(ENOSYS, dmtr_getsockopt(1, SOL_SOCKET, SO_KEEPALIVE, &value, &len)),
        REFUSE(ENOSYS, dmtr_queue(&qd_out)),
        REFUSE(ENOSYS, dmtr_merge(&qd_out, 1, 2)),
        REFUSE(ENOSYS, dmtr_filter(&qd_out, 1, keep_all, NULL)),
        REFUSE(ENOSYS, dmtr_sort(&qd_out, 1, never_less, NULL)),
        REFUSE(ENOSYS, dmtr_map(&qd_out, 1, keep_array, NULL)),
        REFUSE(ENOSYS, dmtr_qconnect(1, 2)),
        REFUSE(ENOSYS, dmtr_open(&qd_out, "/dev/null", 0)),
        REFUSE(ENOSYS, dmtr_open2(&qd_out, "/dev/null", 0, 0)),
        REFUSE(ENOSYS, dmtr_creat(&qd_out, "/dev/null", 0)),
        REFUSE(ENOSYS, dmtr_lseek(1, 0, SEEK_SET, &off)),
        REFUSE(ENOSYS, dmtr_truncate(1, 0)),
        REFUSE(ENOSYS, dmtr_fsync(1)),
        REFUSE(ENOSYS, dmtr_close(1)),
        REFUSE(ENOSYS, dmtr_async_close(&qt, 1)),
        REFUSE(ENOSYS, dmtr_is_qd_valid(&value, 1)),
        REFUSE(ENOSYS, dmtr_accept(&qt, 1)),
        REFUSE(ENOSYS, dmtr_connect(&qt, 1, ADDR)),
        REFUSE(ENOSYS, dmtr_push(&qt, 1, &sga)),
        REFUSE(ENOSYS, dmtr_pushto(&qt, 1, &sga, ADDR)),
        REFUSE(ENOSYS, dmtr_push_buf(&qt, 1, sga.sga_buf, 1)),
        REFUSE(ENOSYS, dmtr_push_buf_quiet(1, sga.sga_buf, 1)),
        REFUSE(ENOSYS, dmtr_push_quiet(1, &sga)),
        REFUSE(ENOSYS, dmtr_pushto_quiet(1, &sga, ADDR)),
        REFUSE(ENOSYS, dmtr_flush()),
        REFUSE(ENOSYS, dmtr_set_user(1, &value)),
        REFUSE(ENOSYS, dmtr_set_token_user(1, &value)),
        REFUSE(ENOSYS, dmtr_pop(&qt, 1)),
        REFUSE(ENOSYS, dmtr_pop2(&qt, 1, 1)),
        REFUSE(ENOSYS, dmtr_poll(&qr, 1)),
        REFUSE(ENOSYS, dmtr_drop(1)),
        REFUSE(ENOSYS, dmtr_wait(&qr, 1)),
        REFUSE(ENOSYS, dmtr_wait_timed(&qr, 1, 0)),
        REFUSE(ENOSYS, dmtr_wait_any(&qr, &offset, one, 1)),
        REFUSE(ENOSYS, dmtr_wait_any_timed(&qr, &offset, one, 1, 0)),
        REFUSE(ENOSYS, dmtr_wait_all(&qr, one, 1)),
        REFUSE(ENOSYS, dmtr_wait_all_timed(&qr, one, 1, 0)),
        REFUSE(ENOSYS, dmtr_wait_next_n(&qr, 1, &got, 0)),
        REFUSE(ENOSYS, dmtr_watch(&qt, 0, POLLIN)),
        REFUSE(ENOSYS, dmtr_timer(&qt, 0)),
        REFUSE(ENOSYS, dmtr_timer_periodic(&qt, 0, 1)),
        REFUSE(ENOSYS, dmtr_event_fd(&file_fd)),
        REFUSE(EINVAL, dmtr_init(-1, NULL)),
        REFUSE(EINVAL, dmtr_init(1, NULL)),
    };
    CHECK_ROWS(rows);
    assert_ok(dmtr_sgafree(&sga));
}

static void null_arguments_are_einval(void **state) {
    (void)state;
    int q1 = new_queue(), q2 = new_queue(), sock;
    assert_ok(dmtr_socket(&sock, AF_INET, SOCK_DGRAM, 0));
    dmtr_sgarray_t sga = message("x");
    dmtr_qtoken_t pending = pop_begin(q1);
    const struct row rows[] = {
        REFUSE(EINVAL, dmtr_log(DMTR_LOG_INFO, NULL)),
        REFUSE(EINVAL, dmtr_log(-1, "text")),
        REFUSE(EINVAL, dmtr_log(DMTR_LOG_DEBUG + 1, "text")),
        REFUSE(EINVAL, dmtr_runtime_current(NULL)),
        REFUSE(EINVAL, dmtr_socket(NULL, AF_INET, SOCK_STREAM, 0)),
        REFUSE(EINVAL, dmtr_socket_on(NULL, "posix", AF_INET, SOCK_STREAM, 0)),
        REFUSE(EINVAL, dmtr_socket_on(&qd_out, NULL, AF_INET, SOCK_STREAM, 0)),
        REFUSE(EINVAL, dmtr_bind(sock, NULL, sizeof addr)),
        REFUSE(EINVAL, dmtr_bind(sock, (const struct sockaddr *)&addr, 1)),
        REFUSE(EINVAL, dmtr_getsockname(sock, NULL, &name_len)),
        REFUSE(EINVAL, dmtr_getsockname(sock, (struct sockaddr *)&name, NULL)),
        REFUSE(EINVAL, dmtr_getpeername(sock, NULL, &name_len)),
        REFUSE(EINVAL, dmtr_getpeername(sock, (struct sockaddr *)&name, NULL)),
        REFUSE(EINVAL, dmtr_setsockopt(sock, SOL_SOCKET, SO_KEEPALIVE, NULL, 4)),
        REFUSE(EINVAL, dmtr_getsockopt(sock, SOL_SOCKET, SO_KEEPALIVE, NULL, &len)),
        REFUSE(EINVAL, dmtr_getsockopt(sock, SOL_SOCKET, SO_KEEPALIVE, &value, NULL)),
        REFUSE(EINVAL, dmtr_queue(NULL)),
        REFUSE(EINVAL, dmtr_merge(NULL, q1, q2)),
        REFUSE(EINVAL, dmtr_filter(NULL, q1, keep_all, NULL)),
        REFUSE(EINVAL, dmtr_filter(&qd_out, q1, NULL, NULL)),
        REFUSE(EINVAL, dmtr_sort(NULL, q1, never_less, NULL)),
        REFUSE(EINVAL, dmtr_sort(&qd_out, q1, NULL, NULL)),
        REFUSE(EINVAL, dmtr_map(NULL, q1, keep_array, NULL)),
        REFUSE(EINVAL, dmtr_map(&qd_out, q1, NULL, NULL)),
        REFUSE(EINVAL, dmtr_open(NULL, "/dev/null", 0)),
        REFUSE(EINVAL, dmtr_open(&qd_out, NULL, 0)),
        REFUSE(EINVAL, dmtr_creat(NULL, "/dev/null", 0)),
        REFUSE(EINVAL, dmtr_lseek(q1, 0, SEEK_SET, NULL)),
        REFUSE(EINVAL, dmtr_async_close(NULL, q1)),
        REFUSE(EINVAL, dmtr_is_qd_valid(NULL, q1)),
        REFUSE(EINVAL, dmtr_accept(NULL, sock)),
        REFUSE(EINVAL, dmtr_connect(NULL, sock, ADDR)),
        REFUSE(EINVAL, dmtr_connect(&qt, sock, NULL, sizeof addr)),
        REFUSE(EINVAL, dmtr_connect(&qt, sock, (const struct sockaddr *)&addr, 0)),
        REFUSE(EINVAL, dmtr_push(NULL, q1, &sga)),
        REFUSE(EINVAL, dmtr_push(&qt, q1, NULL)),
        REFUSE(EINVAL, dmtr_pushto(NULL, sock, &sga, ADDR)),
        REFUSE(EINVAL, dmtr_pushto(&qt, sock, NULL, ADDR)),
        REFUSE(EINVAL, dmtr_pushto(&qt, sock, &sga, NULL, sizeof addr)),
        REFUSE(EINVAL, dmtr_pushto(&qt, sock, &sga, (const struct sockaddr *)&addr, 3)),
        REFUSE(EINVAL, dmtr_push_buf(NULL, q1, sga.sga_buf, 1)),
        REFUSE(EINVAL, dmtr_push_buf(&qt, q1, NULL, 0)),
        REFUSE(EINVAL, dmtr_push_buf_quiet(q1, NULL, 0)),
        REFUSE(EINVAL, dmtr_push_quiet(q1, NULL)),
        REFUSE(EINVAL, dmtr_pushto_quiet(sock, NULL, ADDR)),
        REFUSE(EINVAL, dmtr_pushto_quiet(sock, &sga, NULL, sizeof addr)),
        REFUSE(EINVAL, dmtr_pushto_quiet(sock, &sga, (const struct sockaddr *)&addr, 3)),
        REFUSE(EINVAL, dmtr_pop(NULL, q1)),
        REFUSE(EINVAL, dmtr_pop2(NULL, q1, 1)),
        REFUSE(EINVAL, dmtr_pop2(&qt, q1, 0)),
        REFUSE(EINVAL, dmtr_poll(NULL, pending)),
        REFUSE(EINVAL, dmtr_wait(NULL, pending)),
        REFUSE(EINVAL, dmtr_wait_timed(NULL, pending, 0)),
        REFUSE(EINVAL, dmtr_wait_any(NULL, &offset, &pending, 1)),
        REFUSE(EINVAL, dmtr_wait_any(&qr, NULL, &pending, 1)),
        REFUSE(EINVAL, dmtr_wait_any(&qr, &offset, NULL, 1)),
        REFUSE(EINVAL, dmtr_wait_any(&qr, &offset, &pending, 0)),
        REFUSE(EINVAL, dmtr_wait_any(&qr, &offset, &pending, -1)),
        REFUSE(EINVAL, dmtr_wait_all(NULL, &pending, 1)),
        REFUSE(EINVAL, dmtr_wait_all(&qr, NULL, 1)),
        REFUSE(EINVAL, dmtr_wait_all(&qr, &pending, 0)),
        REFUSE(EINVAL, dmtr_wait_next_n(NULL, 1, &got, 0)),
        REFUSE(EINVAL, dmtr_wait_next_n(&qr, 0, &got, 0)),
        REFUSE(EINVAL, dmtr_wait_next_n(&qr, 1, NULL, 0)),
        REFUSE(EINVAL, dmtr_watch(NULL, 0, POLLIN)),
        REFUSE(EINVAL, dmtr_timer(NULL, 0)),
        REFUSE(EINVAL, dmtr_timer_periodic(NULL, 0, 1)),
        REFUSE(EINVAL, dmtr_timer_periodic(&qt, 0, 0)),
        REFUSE(EINVAL, dmtr_set_token_user(0, &value)),
        REFUSE(EINVAL, dmtr_event_fd(NULL)),
        REFUSE(EINVAL, dmtr_merge(&qd_out, q1, q1)),
        REFUSE(EINVAL, dmtr_qconnect(q1, q1)),
    };
    CHECK_ROWS(rows);
    assert_int_equal(dmtr_poll(&qr, pending), EAGAIN);
    assert_ok(dmtr_sgafree(&sga));
}

static void check_bad_descriptor(int bad) {
    int q1 = new_queue();
    dmtr_sgarray_t sga = message("x");
    const struct row rows[] = {
        REFUSE(EBADF, dmtr_bind(bad, ADDR)),
        REFUSE(EBADF, dmtr_listen(bad, 1)),
        REFUSE(EBADF, dmtr_getsockname(bad, NAME)),
        REFUSE(EBADF, dmtr_getpeername(bad, NAME)),
        REFUSE(EBADF, dmtr_shutdown(bad, SHUT_WR)),
        REFUSE(EBADF, dmtr_setsockopt(bad, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof value)),
        REFUSE(EBADF, dmtr_getsockopt(bad, SOL_SOCKET, SO_KEEPALIVE, &value, &len)),
        REFUSE(EBADF, dmtr_merge(&qd_out, bad, q1)),
        REFUSE(EBADF, dmtr_merge(&qd_out, q1, bad)),
        REFUSE(EBADF, dmtr_filter(&qd_out, bad, keep_all, NULL)),
        REFUSE(EBADF, dmtr_sort(&qd_out, bad, never_less, NULL)),
        REFUSE(EBADF, dmtr_map(&qd_out, bad, keep_array, NULL)),
        REFUSE(EBADF, dmtr_qconnect(bad, q1)),
        REFUSE(EBADF, dmtr_qconnect(q1, bad)),
        REFUSE(EBADF, dmtr_lseek(bad, 0, SEEK_SET, &off)),
        REFUSE(EBADF, dmtr_truncate(bad, 0)),
        REFUSE(EBADF, dmtr_fsync(bad)),
        REFUSE(EBADF, dmtr_close(bad)),
        REFUSE(EBADF, dmtr_async_close(&qt, bad)),
        REFUSE(EBADF, dmtr_accept(&qt, bad)),
        REFUSE(EBADF, dmtr_connect(&qt, bad, ADDR)),
        REFUSE(EBADF, dmtr_push(&qt, bad, &sga)),
        REFUSE(EBADF, dmtr_pushto(&qt, bad, &sga, ADDR)),
        REFUSE(EBADF, dmtr_push_buf(&qt, bad, sga.sga_buf, 1)),
        REFUSE(EBADF, dmtr_push_buf_quiet(bad, sga.sga_buf, 1)),
        REFUSE(EBADF, dmtr_push_quiet(bad, &sga)),
        REFUSE(EBADF, dmtr_pushto_quiet(bad, &sga, ADDR)),
        REFUSE(EBADF, dmtr_set_user(bad, &value)),
        REFUSE(EBADF, dmtr_pop(&qt, bad)),
        REFUSE(EBADF, dmtr_pop2(&qt, bad, 1)),
    };
    CHECK_ROWS(rows);
    assert_ok(dmtr_sgafree(&sga));
    assert_ok(dmtr_close(q1));
}

static void descriptors_that_are_not_open_are_ebadf(void **state) {
    (void)state;
    int keep_open = new_queue(), closed = new_queue();
    /* check_bad_descriptor opens a queue, which takes the number of the placeholder and not that of `closed`. */
    int placeholder = new_queue();
    assert_ok(dmtr_close(closed));
    assert_ok(dmtr_close(placeholder));
    const int bad[] = {closed, -1, 0, INT32_MIN, INT32_MAX, keep_open + (1 << 21), keep_open | 1 << 30, 1 << 20};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_bad_descriptor(bad[i]);
}

static void calls_that_do_not_apply_to_the_queue_are_refused(void **state) {
    (void)state;
    int queue = new_queue(), udp, tcp, file;
    assert_ok(dmtr_socket(&udp, AF_INET, SOCK_DGRAM, 0));
    assert_ok(dmtr_socket(&tcp, AF_INET, SOCK_STREAM, 0));
    assert_ok(dmtr_open(&file, "/proc/self/exe", 0));
    dmtr_sgarray_t sga = message("x");
    int one = 1;
    uint64_t zero = 0;
    socklen_t small = 1;
    const struct row rows[] = {
        REFUSE(EAFNOSUPPORT, dmtr_socket(&qd_out, AF_UNIX, SOCK_STREAM, 0)),
        REFUSE(ESOCKTNOSUPPORT, dmtr_socket(&qd_out, AF_INET, SOCK_RAW, 0)),
        REFUSE(EPROTONOSUPPORT, dmtr_socket(&qd_out, AF_INET, SOCK_STREAM, IPPROTO_UDP)),
        REFUSE(ENODEV, dmtr_socket_on(&qd_out, "no such network", AF_INET, SOCK_STREAM, 0)),
        REFUSE(ENOTSOCK, dmtr_bind(queue, ADDR)),
        REFUSE(ENOTSOCK, dmtr_listen(queue, 1)),
        REFUSE(ENOTSOCK, dmtr_getsockname(queue, NAME)),
        REFUSE(ENOTSOCK, dmtr_getpeername(file, NAME)),
        REFUSE(ENOTSOCK, dmtr_shutdown(queue, SHUT_WR)),
        REFUSE(ENOTSOCK, dmtr_accept(&qt, file)),
        REFUSE(ENOTSOCK, dmtr_connect(&qt, queue, ADDR)),
        REFUSE(ENOTSOCK, dmtr_pushto(&qt, queue, &sga, ADDR)),
        REFUSE(ENOTSOCK, dmtr_pushto_quiet(queue, &sga, ADDR)),
        REFUSE(ENOTSOCK, dmtr_setsockopt(queue, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one)),
        REFUSE(EINVAL, dmtr_shutdown(tcp, 77)),
        REFUSE(EOPNOTSUPP, dmtr_accept(&qt, udp)),
        REFUSE(EOPNOTSUPP, dmtr_listen(udp, 1)),
        REFUSE(EOPNOTSUPP, dmtr_pushto(&qt, tcp, &sga, ADDR)),
        REFUSE(EOPNOTSUPP, dmtr_pushto_quiet(tcp, &sga, ADDR)),
        REFUSE(EOPNOTSUPP, dmtr_setsockopt(queue, DMTR_SOL_QUEUE, DMTR_SO_FRAMED, &one, sizeof one)),
        REFUSE(EOPNOTSUPP, dmtr_setsockopt(udp, DMTR_SOL_QUEUE, DMTR_SO_FRAMED, &one, sizeof one)),
        REFUSE(ENOPROTOOPT, dmtr_setsockopt(queue, DMTR_SOL_QUEUE, 9999, &one, sizeof one)),
        REFUSE(ENOPROTOOPT, dmtr_getsockopt(queue, DMTR_SOL_QUEUE, 9999, &one, &len)),
        REFUSE(EINVAL, dmtr_setsockopt(tcp, DMTR_SOL_QUEUE, DMTR_SO_FRAMED, &one, 1)),
        REFUSE(EINVAL, dmtr_setsockopt(tcp, DMTR_SOL_QUEUE, DMTR_SO_PUSH_LIMIT, &zero, sizeof zero)),
        REFUSE(EINVAL, dmtr_setsockopt(tcp, DMTR_SOL_QUEUE, DMTR_SO_PUSH_LIMIT, &one, sizeof one)),
        REFUSE(EINVAL, dmtr_getsockopt(tcp, DMTR_SOL_QUEUE, DMTR_SO_INFO, &value, &small)),
        REFUSE(ENOTCONN, dmtr_push(&qt, tcp, &sga)),
        REFUSE(ENOTCONN, dmtr_pop(&qt, tcp)),
        REFUSE(ENOTCONN, dmtr_getpeername(tcp, NAME)),
        REFUSE(EDESTADDRREQ, dmtr_push(&qt, udp, &sga)),
        REFUSE(ESPIPE, dmtr_lseek(tcp, 0, SEEK_SET, &off)),
        REFUSE(ESPIPE, dmtr_truncate(queue, 0)),
        REFUSE(ESPIPE, dmtr_fsync(queue)),
        REFUSE(EINVAL, dmtr_truncate(file, -1)),
        REFUSE(EINVAL, dmtr_lseek(file, -1, SEEK_SET, &off)),
        REFUSE(EINVAL, dmtr_lseek(file, 0, 77, &off)),
        REFUSE(ENOENT, dmtr_open(&qd_out, "/no/such/file", 0)),
    };
    CHECK_ROWS(rows);
    assert_ok(dmtr_sgafree(&sga));
}

static void malformed_scatter_gather_arrays_are_refused(void **state) {
    (void)state;
    int q1 = new_queue();
    char byte = 'x';
    dmtr_sgarray_t none = {0}, many = {.sga_numsegs = DMTR_SGARRAY_MAXSIZE + 1}, huge = {.sga_numsegs = UINT32_MAX};
    dmtr_sgarray_t null_buf = {.sga_numsegs = 1}, foreign = {.sga_numsegs = 1}, foreign_buf = {.sga_buf = &byte};
    null_buf.sga_segs[0].sgaseg_len = 1;
    foreign.sga_segs[0] = (dmtr_sgaseg_t){.sgaseg_buf = &byte, .sgaseg_len = 1};
    size_t bytes;
    const struct row rows[] = {
        REFUSE(EINVAL, dmtr_push(&qt, q1, &none)),
        REFUSE(EINVAL, dmtr_push_quiet(q1, &none)),
        REFUSE(EINVAL, dmtr_push_quiet(q1, &many)),
        REFUSE(EINVAL, dmtr_push_quiet(q1, &huge)),
        REFUSE(EINVAL, dmtr_push_quiet(q1, &null_buf)),
        REFUSE(EINVAL, dmtr_push(&qt, q1, &many)),
        REFUSE(EINVAL, dmtr_push(&qt, q1, &huge)),
        REFUSE(EINVAL, dmtr_push(&qt, q1, &null_buf)),
        REFUSE(EINVAL, dmtr_sgafree(NULL)),
        REFUSE(EINVAL, dmtr_sgafree(&many)),
        REFUSE(EINVAL, dmtr_sgafree(&foreign)),
        REFUSE(EINVAL, dmtr_sgafree(&foreign_buf)),
        REFUSE(0, dmtr_sgafree(&none)),
        REFUSE(EINVAL, dmtr_sgalen(NULL, &none)),
        REFUSE(EINVAL, dmtr_sgalen(&bytes, NULL)),
        REFUSE(EINVAL, dmtr_sgalen(&bytes, &many)),
    };
    CHECK_ROWS(rows);
}

static void memory_and_latency_calls_refuse_bad_arguments(void **state) {
    (void)state;
    void *p = &value, *null = NULL;
    uint64_t ns;
    dmtr_latency_t *latency = NULL, *none = NULL;
    assert_ok(dmtr_new_latency(&latency, "test"));
    const struct row rows[] = {
        REFUSE(EINVAL, dmtr_malloc(NULL, 1)),
        REFUSE(EINVAL, dmtr_calloc(NULL, 1, 1)),
        REFUSE(ENOMEM, dmtr_calloc(&p, SIZE_MAX, 2)),
        REFUSE(ENOMEM, dmtr_malloc(&p, SIZE_MAX)),
        REFUSE(EINVAL, dmtr_memalign(NULL, 16, 1)),
        REFUSE(EINVAL, dmtr_memalign(&p, 0, 1)),
        REFUSE(EINVAL, dmtr_memalign(&p, 24, 1)),
        REFUSE(EINVAL, dmtr_realloc(NULL, 1)),
        REFUSE(EINVAL, dmtr_realloc(&p, 1)),
        REFUSE(EINVAL, dmtr_free(p)),
        REFUSE(0, dmtr_free(null)),
        REFUSE(0, (int)dmtr_usable_size(p)),
        REFUSE(0, (int)dmtr_sgaalloc(0).sga_numsegs),
        REFUSE(0, (int)dmtr_sgaalloc((64u << 20) + 1).sga_numsegs),
        REFUSE(EINVAL, dmtr_new_latency(NULL, "x")),
        REFUSE(EINVAL, dmtr_new_latency(&none, NULL)),
        REFUSE(EINVAL, dmtr_record_latency(NULL, 1)),
        REFUSE(EINVAL, dmtr_dump_latency(NULL, latency)),
        REFUSE(EINVAL, dmtr_dump_latency(stderr, NULL)),
        REFUSE(EINVAL, dmtr_merge_latency(NULL, latency)),
        REFUSE(EINVAL, dmtr_merge_latency(latency, NULL)),
        REFUSE(EINVAL, dmtr_latency_percentile(NULL, latency, 50)),
        REFUSE(EINVAL, dmtr_latency_percentile(&ns, NULL, 50)),
        REFUSE(EDOM, dmtr_latency_percentile(&ns, latency, -1)),
        REFUSE(EDOM, dmtr_latency_percentile(&ns, latency, 100.1)),
        REFUSE(EDOM, dmtr_latency_percentile(&ns, latency, 0.0 / 0.0)),
        REFUSE(EINVAL, dmtr_delete_latency(NULL)),
        REFUSE(EINVAL, dmtr_delete_latency(&none)),
    };
    CHECK_ROWS(rows);
    assert_ptr_equal(p, &value);
    assert_ok(dmtr_delete_latency(&latency));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_before_init_is_enosys),
        cmocka_unit_test(memory_and_latency_calls_refuse_bad_arguments),
        api_test(null_arguments_are_einval),
        api_test(descriptors_that_are_not_open_are_ebadf),
        api_test(calls_that_do_not_apply_to_the_queue_are_refused),
        api_test(malformed_scatter_gather_arrays_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
