/* SPDX-License-Identifier: MIT */
/* Shared by the tests of parts of a TCP connection, which need no stack and no connection. */
#ifndef TESTS_INET_PART_H
#define TESTS_INET_PART_H

#include "../base/test.h"

#define MS  1000000ull
#define SEC (1000 * MS)

#endif
