/* SPDX-License-Identifier: MIT */
/*
 * SipHash (Aumasson & Bernstein, 2012): a keyed hash. Without the key, nobody can produce collisions. Use siphash24 for
 * values that an attacker must not guess (sequence numbers, cookies) and siphash13 for tables.
 */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define SIPHASH_KEY_BYTES 16

uint64_t siphash24(const uint8_t key[SIPHASH_KEY_BYTES], const void *data, size_t bytes);
uint64_t siphash13(const uint8_t key[SIPHASH_KEY_BYTES], const void *data, size_t bytes);

#endif
