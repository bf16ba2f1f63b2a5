/* SPDX-License-Identifier: MIT */
/*
 * Runs a scenario again and again, each time with another of its system calls or allocations failing, until it
 * passes fewer of them. A scenario stops at its first error and ends what it began; what holds in every run:
 *   - nothing breaks, leaks (the sanitizer tells) or hangs,
 *   - a failure that was not made good is reported: without an error every step succeeds,
 *   - what was reported complete is there.
 */
#ifndef TESTS_FAULT_TEST_H
#define TESTS_FAULT_TEST_H

#include "api_test.h"
#include "base/fault.h"

#define STEP_TIME (3000 * MS)

/* What a scenario does with a call: goes on if it succeeded, else gives up, remembering why. */
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((failed = (call))) goto out;                                                                               \
    } while (0)

struct scenario {
    const char *name;
    int argc;
    char *argv[6];
    /* Between dmtr_init and dmtr_fini. 0, or the error that ended it. */
    int (*run)(void);
};

static inline int scenario_once(struct scenario *s) {
    int r = dmtr_init(s->argc, s->argv);
    if (r) return r;
    r = s->run();
    assert_ok(dmtr_fini());
    return r;
}

static inline void scenario_sweep(struct scenario *s, int error) {
    uint64_t n = 1, reported = 0;
    for (;; n++) {
        fault_arm(n, NULL, error);
        int r = scenario_once(s);
        uint64_t passed = fault_count();
        fault_arm(0, NULL, 0);
        if (r == ETIMEDOUT) fail_msg("%s: call %d failing with %s went unreported", s->name, (int)n, strerror(error));
        reported += r != 0;
        if (passed < n) {
            if (r) fail_msg("%s: fails by itself: %s", s->name, strerror(r));
            break;
        }
    }
    print_message("# %s: %d calls failed with %s, %d of them reported\n", s->name, (int)n - 1, strerror(error),
                  (int)reported);
    assert_true(n > 1);
}

static inline void scenario_all_errors(struct scenario *s) {
    static const int errors[] = {ENOMEM, EINTR, EAGAIN, EMFILE, EIO};
    assert_int_equal(scenario_once(s), 0);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        scenario_sweep(s, errors[i]);
}

#endif
