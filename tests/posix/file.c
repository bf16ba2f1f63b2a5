/* SPDX-License-Identifier: MIT */
/* Files over both engines: order, cursor, append, durability, limits, errors. */
#include "posix_test.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static char path[64];

static int new_file(int flags) {
    int qd;
    snprintf(path, sizeof path, "/tmp/dmtr-test-file.%d", (int)getpid());
    unlink(path);
    assert_ok(dmtr_open2(&qd, path, flags | O_CREAT, 0600));
    return qd;
}

static void end_file(int qd) {
    assert_ok(dmtr_close(qd));
    assert_int_equal(unlink(path), 0);
}

static void seek(int qd, off_t offset) {
    off_t at;
    assert_ok(dmtr_lseek(qd, offset, SEEK_SET, &at));
    assert_int_equal(at, offset);
}

static void pushes_and_pops_move_the_cursor(void **state) {
    (void)state;
    skip_without_engine();
    int qd = new_file(O_RDWR);
    off_t at;
    push_wait(qd, "first ");
    push_wait(qd, "second");
    assert_ok(dmtr_lseek(qd, 0, SEEK_CUR, &at));
    assert_int_equal(at, 12);
    expect_end(qd);
    seek(qd, 0);
    expect_pop_text(qd, "first second");
    expect_end(qd);
    seek(qd, 6);
    push_wait(qd, "SEC");
    expect_pop_text(qd, "ond");
    end_file(qd);
}

static void operations_run_in_order_when_many_are_outstanding(void **state) {
    (void)state;
    skip_without_engine();
    int qd = new_file(O_RDWR);
    dmtr_qtoken_t qts[20];
    dmtr_qresult_t qrs[20];
    for (int i = 0; i < 20; i++)
        qts[i] = push_text(qd, "0123456789");
    assert_ok(dmtr_wait_all_timed(qrs, qts, 20, HANG));
    seek(qd, 0);
    for (int i = 0; i < 20; i++)
        assert_ok(dmtr_pop2(&qts[i], qd, 3));
    assert_ok(dmtr_wait_all_timed(qrs, qts, 20, HANG));
    for (int i = 0; i < 20; i++) {
        char expected[4] = {(char)('0' + (i * 3) % 10), (char)('0' + (i * 3 + 1) % 10), (char)('0' + (i * 3 + 2) % 10)};
        expect_text(&qrs[i], expected);
    }
    end_file(qd);
}

static void appending_writes_at_the_end(void **state) {
    (void)state;
    skip_without_engine();
    int qd = new_file(O_RDWR);
    push_wait(qd, "base");
    assert_ok(dmtr_close(qd));
    assert_ok(dmtr_open(&qd, path, O_RDWR | O_APPEND));
    push_wait(qd, "+more");
    seek(qd, 0);
    expect_pop_text(qd, "base+more");
    end_file(qd);
}

static void synchronous_files_accept_pushes_and_fsync(void **state) {
    (void)state;
    skip_without_engine();
    int qd = new_file(O_RDWR | O_DSYNC);
    push_wait(qd, "durable");
    assert_ok(dmtr_fsync(qd));
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 7);
    end_file(qd);
}

static void creat_and_truncate_set_the_length(void **state) {
    (void)state;
    skip_without_engine();
    int qd = new_file(O_RDWR);
    struct stat st;
    push_wait(qd, "some text");
    assert_ok(dmtr_truncate(qd, 4));
    seek(qd, 0);
    expect_pop_text(qd, "some");
    assert_int_equal(dmtr_truncate(qd, -1), EINVAL);
    assert_ok(dmtr_close(qd));
    assert_ok(dmtr_creat(&qd, path, 0600));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 0);
    dmtr_qtoken_t qt = pop_begin(qd); /* the file is open only for writing */
    expect_wait_error(qt, EBADF);
    end_file(qd);
}

static void large_gathered_pushes_come_back_equal(void **state) {
    (void)state;
    skip_without_engine();
    int qd = new_file(O_RDWR);
    const uint32_t piece = 700000;
    dmtr_sgarray_t sga = {.sga_numsegs = DMTR_SGARRAY_MAXSIZE};
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    for (uint32_t i = 0; i < DMTR_SGARRAY_MAXSIZE; i++) {
        void *p;
        assert_ok(dmtr_malloc(&p, piece));
        fill_pattern(p, piece, (uint64_t)i * piece);
        sga.sga_segs[i] = (dmtr_sgaseg_t){.sgaseg_buf = p, .sgaseg_len = piece};
    }
    assert_ok(dmtr_push(&qt, qd, &sga));
    assert_ok(dmtr_sgafree(&sga));
    expect_wait_error(qt, 0);
    seek(qd, 0);
    uint64_t got = 0;
    while (got < (uint64_t)piece * DMTR_SGARRAY_MAXSIZE) {
        if (got % 2)
            assert_ok(dmtr_pop(&qt, qd));
        else
            assert_ok(dmtr_pop2(&qt, qd, 10000001)); /* returns what it can */
        wait_ok(qt, &qr);
        assert_int_equal(qr.qr_value.sga.sga_numsegs, 1);
        dmtr_sgaseg_t *seg = &qr.qr_value.sga.sga_segs[0];
        assert_true(seg->sgaseg_len > 0 && has_pattern(seg->sgaseg_buf, seg->sgaseg_len, got));
        got += seg->sgaseg_len;
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    }
    expect_end(qd);
    end_file(qd);
}

static void a_push_without_bytes_completes(void **state) {
    (void)state;
    skip_without_engine();
    int qd = new_file(O_RDWR);
    expect_wait_error(push_bytes(qd, "", 0), 0);
    end_file(qd);
}

static void control_calls_are_refused_while_operations_are_outstanding(void **state) {
    (void)state;
    skip_without_engine();
    int qd = new_file(O_RDWR);
    dmtr_qtoken_t qt = push_text(qd, "x");
    off_t at;
    if (on_io_uring()) { /* with the other engine the operation is already complete */
        assert_int_equal(dmtr_lseek(qd, 0, SEEK_SET, &at), EBUSY);
        assert_int_equal(dmtr_truncate(qd, 0), EBUSY);
        assert_int_equal(dmtr_fsync(qd), EBUSY);
    }
    expect_wait_error(qt, 0);
    assert_ok(dmtr_lseek(qd, 0, SEEK_SET, &at));
    assert_int_equal(dmtr_lseek(qd, -1, SEEK_SET, &at), EINVAL);
    end_file(qd);
}

static void dropped_pops_leave_the_data_for_the_next_pop(void **state) {
    (void)state;
    skip_without_engine();
    int qd = new_file(O_RDWR);
    dmtr_qtoken_t qts[3];
    push_wait(qd, "abc");
    seek(qd, 0);
    for (int i = 0; i < 3; i++)
        assert_ok(dmtr_pop2(&qts[i], qd, 1));
    if (on_io_uring()) {
        assert_ok(dmtr_drop(qts[0]));
        assert_ok(dmtr_drop(qts[1]));
        expect_wait_text(qts[2], "a");
        expect_pop_text(qd, "bc");
    } else {
        for (int i = 0; i < 3; i++)
            assert_ok(dmtr_drop(qts[i]));
    }
    end_file(qd);
}

static void closing_writes_pushed_data_and_cancels_pops(void **state) {
    (void)state;
    skip_without_engine();
    int qd = new_file(O_RDWR);
    dmtr_qtoken_t pushes[3], pops[2], closed;
    char text[64] = "";
    pops[0] = pop_begin(qd);
    for (int i = 0; i < 3; i++)
        pushes[i] = push_text(qd, "word ");
    pops[1] = pop_begin(qd);
    assert_ok(dmtr_async_close(&closed, qd));
    expect_wait_error(closed, 0);
    for (int i = 0; i < 3; i++)
        expect_wait_error(pushes[i], 0);
    for (int i = 0; i < 2; i++) {
        dmtr_qresult_t qr;
        int r = dmtr_wait_timed(&qr, pops[i], HANG);
        assert_true(r == ECANCELED || (r == 0 && !on_io_uring()));
    }
    int fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, text, sizeof text), 15);
    assert_string_equal(text, "word word word ");
    close(fd);
    unlink(path);
}

/* With the time to linger over, the engine still runs the operations that are queued, which is one after another. */
static void the_end_of_the_runtime_writes_all_that_was_pushed(void **state) {
    (void)state;
    skip_without_engine();
    enum { PUSHES = 1000 };
    struct stat st;
    restart_engine_with("core.linger_ms=0");
    int qd = new_file(O_RDWR);
    for (int i = 0; i < PUSHES; i++)
        push_text(qd, "0123456789");
    restart_engine_with(NULL);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 10 * PUSHES);
    unlink(path);
}

static void a_full_device_is_reported_and_later_operations_work(void **state) {
    (void)state;
    skip_without_engine();
    int qd;
    assert_ok(dmtr_open(&qd, "/dev/full", O_RDWR));
    expect_wait_error(push_text(qd, "x"), ENOSPC);
    expect_wait_error(push_text(qd, "y"), ENOSPC);
    dmtr_qresult_t qr;
    wait_ok(pop_begin(qd), &qr);
    assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    assert_ok(dmtr_close(qd));
}

/* In a child process, because the limit applies to the process. */
static void a_file_at_its_size_limit_accepts_what_fits_and_reports_the_rest(void **state) {
    (void)state;
    skip_without_engine();
    assert_ok(dmtr_fini());
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit limit = {.rlim_cur = 1000, .rlim_max = 1000};
        static char data[600];
        struct stat st;
        dmtr_qresult_t qr;
        signal(SIGXFSZ, SIG_IGN);
        /* The counters' page is a file too. */
        char *argv[] = {"test", "--dmtr-set", "stats.share=false", "--dmtr-set",
                        (char *)(on_io_uring() ? "posix.engine=io_uring" : "posix.engine=epoll")};
        if (dmtr_init(5, argv)) _exit(1);
        int qd = new_file(O_RDWR);
        if (setrlimit(RLIMIT_FSIZE, &limit)) _exit(2);
        if (dmtr_wait(&qr, push_bytes(qd, data, sizeof data))) _exit(3);
        if (dmtr_wait(&qr, push_bytes(qd, data, sizeof data)) != EFBIG) _exit(4);
        if (dmtr_wait(&qr, push_bytes(qd, data, sizeof data)) != EFBIG) _exit(5);
        if (stat(path, &st) || st.st_size != 1000 || dmtr_close(qd)) _exit(6);
        unlink(path);
        _exit(dmtr_fini());
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_ok(start_with(NULL));
}

static void directories_and_other_non_files_are_refused(void **state) {
    (void)state;
    skip_without_engine();
    int qd;
    char fifo[64];
    snprintf(fifo, sizeof fifo, "/tmp/dmtr-test-fifo.%d", (int)getpid());
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(dmtr_open(&qd, "/nonexistent/file", O_RDONLY), ENOENT);
    assert_int_equal(dmtr_open(&qd, "/tmp", O_RDONLY), EISDIR);
    assert_int_equal(dmtr_open(&qd, fifo, O_RDONLY), EOPNOTSUPP);
    unlink(fifo);
    qd = new_file(O_RDWR);
    dmtr_qtoken_t qt;
    struct sockaddr_in addr = loopback(1);
    assert_int_equal(dmtr_accept(&qt, qd), ENOTSOCK);
    assert_int_equal(dmtr_connect(&qt, qd, (struct sockaddr *)&addr, sizeof addr), ENOTSOCK);
    assert_int_equal(dmtr_shutdown(qd, SHUT_WR), ENOTSOCK);
    end_file(qd);
}

static void descriptors_beyond_the_registered_ones_work_too(void **state) {
    (void)state;
    skip_without_engine();
    restart_engine_with("posix.registered_files=2");
    int qds[5];
    for (int i = 0; i < 5; i++) {
        qds[i] = new_file(O_RDWR);
        push_wait(qds[i], "text");
    }
    for (int i = 0; i < 5; i++) {
        seek(qds[i], 0);
        expect_pop_text(qds[i], "text");
        assert_ok(dmtr_close(qds[i]));
    }
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        both_engines(pushes_and_pops_move_the_cursor),
        both_engines(operations_run_in_order_when_many_are_outstanding),
        both_engines(appending_writes_at_the_end),
        both_engines(synchronous_files_accept_pushes_and_fsync),
        both_engines(creat_and_truncate_set_the_length),
        both_engines(large_gathered_pushes_come_back_equal),
        both_engines(a_push_without_bytes_completes),
        both_engines(control_calls_are_refused_while_operations_are_outstanding),
        both_engines(dropped_pops_leave_the_data_for_the_next_pop),
        both_engines(closing_writes_pushed_data_and_cancels_pops),
        both_engines(the_end_of_the_runtime_writes_all_that_was_pushed),
        both_engines(a_full_device_is_reported_and_later_operations_work),
        both_engines(a_file_at_its_size_limit_accepts_what_fits_and_reports_the_rest),
        both_engines(directories_and_other_non_files_are_refused),
        both_engines(descriptors_beyond_the_registered_ones_work_too),
    };
    return cmocka_run_group_tests_name("posix file", tests, NULL, NULL);
}
