/* SPDX-License-Identifier: MIT */
/* Fault points: a counter per thread. Built only with the option `fault`. */
#include "base/fault.h"

#include "base/sys.h"

#include <stddef.h>
#include <string.h>

static _Thread_local struct {
    uint64_t count, fail_at;
    const char *name;
    int error;
} fault;

void fault_arm(uint64_t n, const char *name, int error) {
    fault.count = 0;
    fault.fail_at = n;
    fault.name = name;
    fault.error = error;
}

uint64_t fault_count(void) {
    return fault.count;
}

int fault_point(const char *name) {
    if (fault.name && strcmp(fault.name, name) != 0) return 0;
    return ++fault.count == fault.fail_at ? fault.error : 0;
}
