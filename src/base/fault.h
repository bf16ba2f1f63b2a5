/* SPDX-License-Identifier: MIT */
/*
 * Fault points, in builds with the option `fault`: makes the Nth system call or allocation of the calling thread
 * fail. A test raises N until a run passes fewer points than N:
 *
 *     for (uint64_t n = 1;; n++) {
 *         fault_arm(n, NULL, ENOMEM);
 *         ... the code under test, which may fail but not break ...
 *         if (fault_count() < n) break;
 *     }
 *     fault_arm(0, NULL, 0);
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdint.h>

/*
 * From now on counts this thread's fault points of this name (NULL: of any), and lets the nth of them, and no
 * other, fail with `error`, a positive errno. name must stay valid. n 0: none fails.
 */
void fault_arm(uint64_t n, const char *name, int error);

/* Points counted since fault_arm, the failed one included. */
uint64_t fault_count(void);

#endif
