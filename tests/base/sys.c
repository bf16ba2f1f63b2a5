/* SPDX-License-Identifier: MIT */
/* base/sys.h and base/fault.h */
#include "base/sys.h"
#include "base/array.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/rng.h"

#include "test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void failed_call_returns_a_negative_errno(void **state) {
    (void)state;
    char byte;
    assert_int_equal(SYS(open, "/does/not/exist", O_RDONLY), -ENOENT);
    assert_int_equal(SYS(read, -1, &byte, 1), -EBADF);
    int fd = SYS(open, "/dev/zero", O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(SYS(read, fd, &byte, 1), 1);
    assert_int_equal(SYS(close, fd), 0);
}

static void mappings_are_zero_and_failures_set_the_error(void **state) {
    (void)state;
    int error;
    char *p = sys_map(8192, PROT_READ | PROT_WRITE, 0, &error);
    assert_non_null(p);
    assert_int_equal(p[0] | p[8191], 0);
    munmap(p, 8192);
    assert_null(sys_map(0, PROT_READ, 0, &error));
    assert_int_equal(error, EINVAL);
    sys_free(NULL);
}

#ifdef DMTR_FAULT
static void only_the_nth_point_of_the_name_fails(void **state) {
    (void)state;
    char byte;
    int fd = SYS(open, "/dev/zero", O_RDONLY);
    fault_arm(2, "read", EIO);
    assert_int_equal(SYS(read, fd, &byte, 1), 1);
    assert_int_equal(SYS(lseek, fd, 0, SEEK_SET), 0);
    assert_int_equal(SYS(read, fd, &byte, 1), -EIO);
    assert_int_equal(SYS(read, fd, &byte, 1), 1);
    assert_int_equal(fault_count(), 3);
    fault_arm(1, NULL, ENOMEM);
    assert_null(sys_calloc(1, 1));
    fault_arm(0, NULL, 0);
    void *p = sys_calloc(1, 1);
    assert_non_null(p);
    sys_free(p);
    close(fd);
}

static void arrays_survive_any_failing_call(void **state) {
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct array a;
        int64_t r;
        fault_arm(n, NULL, ENOMEM);
        r = array_init(&a, 4096, 1000);
        for (int i = 0; r >= 0 && i < 1000; i++) {
            r = array_grow(&a, 1);
            if (r >= 0) memset(array_at(&a, (uint32_t)r), 1, 4096);
        }
        uint64_t passed = fault_count();
        fault_arm(0, NULL, 0);
        array_fini(&a);
        assert_int_equal(r, passed < n ? 999 : -ENOMEM);
        if (passed < n) break;
    }
}

static void failure_of_getrandom_is_reported(void **state) {
    (void)state;
    struct rng r;
    fault_arm(1, "getrandom", ENOSYS);
    assert_int_equal(rng_init_random(&r), -ENOSYS);
    fault_arm(0, NULL, 0);
}

/* Must run before anything else in this process reads the time, because calibration runs once. */
static void clock_without_a_trusted_counter_uses_the_kernel(void **state) {
    (void)state;
    fault_arm(1, "open", EACCES);
    uint64_t a = clock_now_ns(), b = clock_now_ns();
    fault_arm(0, NULL, 0);
    assert_false(clock_uses_tsc());
    assert_true(a > 0 && b >= a);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
#ifdef DMTR_FAULT
        cmocka_unit_test(clock_without_a_trusted_counter_uses_the_kernel),
        cmocka_unit_test(only_the_nth_point_of_the_name_fails),
        cmocka_unit_test(arrays_survive_any_failing_call),
        cmocka_unit_test(failure_of_getrandom_is_reported),
#endif
        cmocka_unit_test(failed_call_returns_a_negative_errno),
        cmocka_unit_test(mappings_are_zero_and_failures_set_the_error),
    };
    return cmocka_run_group_tests_name("sys", tests, NULL, NULL);
}
