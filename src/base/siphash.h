/* SPDX-License-Identifier: MIT */
/*
 * SipHash (Aumasson & Bernstein, 2012): a keyed hash that somebody who does not know the key cannot make collide.
 * 2-4 where a guess would do harm (sequence numbers, cookies), 1-3 for tables.
 */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define SIPHASH_KEY_BYTES 16

uint64_t siphash24(const uint8_t key[SIPHASH_KEY_BYTES], const void *data, size_t bytes);
uint64_t siphash13(const uint8_t key[SIPHASH_KEY_BYTES], const void *data, size_t bytes);

#endif
