/* SPDX-License-Identifier: MIT */
/*
 * Fault points, in builds with the option `fault`, make the Nth system call or allocation of the calling thread fail. A
 * test increases N until a run passes fewer than N points:
 *
 *     for (uint64_t n = 1;; n++) {
 *         fault_arm(n, NULL, ENOMEM);
 *         ... the code under test, which may fail but must not break ...
 *         if (fault_count() < n) break;
 *     }
 *     fault_arm(0, NULL, 0);
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdint.h>

/*
 * From now on counts this thread's fault points with this name (NULL: any name). The nth of them, and no other, fails
 * with `error`, a positive errno. name must stay valid. If n is 0, none fails.
 */
void fault_arm(uint64_t n, const char *name, int error);

/* Points counted since fault_arm, including the one that failed. */
uint64_t fault_count(void);

#endif
