/* SPDX-License-Identifier: MIT */
/* Ends the program if a call fails. Every call of the library returns 0 or an errno. */
#ifndef EXAMPLES_CHECK_H
#define EXAMPLES_CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define check(call) check_error((call), #call)

static inline void check_error(int error, const char *call) {
    if (error == 0) return;
    fprintf(stderr, "%s: %s\n", call, strerror(error));
    exit(1);
}

#endif
