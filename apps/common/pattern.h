/* SPDX-License-Identifier: MIT */
/*
 * Payload that can be checked from any byte of a message on: 64-bit words (little-endian) that count up from the
 * message's number in large steps. A message of 8 bytes or more begins with its number.
 */
#ifndef APPS_PATTERN_H
#define APPS_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes the first len bytes of message `id`. */
void pattern_fill(void *buf, size_t len, uint64_t id);

/* Whether buf holds the len bytes of message `id` from `offset` on. */
bool pattern_check(const void *buf, size_t len, uint64_t id, size_t offset);

#endif
