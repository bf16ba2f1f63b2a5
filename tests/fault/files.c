/* SPDX-License-Identifier: MIT */
/* Every system call and allocation failing once under files: a write reported complete is in the file, at its place. */
#include "fault_test.h"

#include <fcntl.h>
#include <unistd.h>

enum { RECORDS = 8, BYTES = 5000 };

static char path[64];

static int write_record(int qd, int i) {
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    dmtr_sgarray_t sga = dmtr_sgaalloc(BYTES);
    if (sga.sga_numsegs == 0) return ENOMEM;
    memset(sga.sga_segs[0].sgaseg_buf, 'a' + i, BYTES);
    int r = dmtr_push(&qt, qd, &sga);
    assert_ok(dmtr_sgafree(&sga));
    return r ? r : dmtr_wait_timed(&qr, qt, STEP_TIME);
}

/* All records but the last, which may have been cut by the failure, are as they were reported. */
static void check_file(int complete) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        assert_int_equal(complete, 0);
        return;
    }
    static char record[BYTES];
    for (int i = 0; i < complete; i++) {
        assert_int_equal(read(fd, record, BYTES), BYTES);
        for (int k = 0; k < BYTES; k++)
            assert_int_equal(record[k], 'a' + i);
    }
    close(fd);
}

static int run_file(void) {
    int failed = 0, qd, complete = 0, read_back = 0;
    off_t offset;
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    unlink(path);
    TRY(dmtr_open2(&qd, path, O_CREAT | O_RDWR | O_DSYNC, 0600));
    for (int i = 0; i < RECORDS; i++) {
        TRY(write_record(qd, i));
        complete++;
    }
    TRY(dmtr_fsync(qd));
    TRY(dmtr_lseek(qd, 0, SEEK_SET, &offset));
    while (read_back < RECORDS * BYTES) {
        TRY(dmtr_pop2(&qt, qd, 7000));
        TRY(dmtr_wait_timed(&qr, qt, STEP_TIME));
        assert_int_equal(qr.qr_value.sga.sga_numsegs, 1);
        const char *p = qr.qr_value.sga.sga_segs[0].sgaseg_buf;
        for (uint32_t k = 0; k < qr.qr_value.sga.sga_segs[0].sgaseg_len; k++, read_back++)
            assert_int_equal(p[k], 'a' + read_back / BYTES);
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    }
    TRY(dmtr_truncate(qd, 0));
    complete = 0;
    TRY(dmtr_close(qd));
out:
    check_file(complete);
    return failed;
}

static void files(void **state) {
    (void)state;
    static char *const engines[] = {"posix.engine=io_uring", "posix.engine=epoll"};
    snprintf(path, sizeof path, "/tmp/dmtr-fault-%d", (int)getpid());
    for (int i = 0; i < 2; i++) {
        struct scenario s = {"file", 5, {"test", "--dmtr-set", "log.sink=none", "--dmtr-set", engines[i]}, run_file};
        print_message("# %s\n", engines[i]);
        if (dmtr_init(5, s.argv)) {
            print_message("# this kernel does not have it\n");
            continue;
        }
        assert_ok(dmtr_fini());
        scenario_all_errors(&s);
    }
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
