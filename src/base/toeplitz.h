/* SPDX-License-Identifier: MIT */
/*
 * Receive-side scaling by the symmetric Toeplitz hash: both directions of a flow get the same number (Woo & Park,
 * "Scalable TCP session monitoring with symmetric receive-side scaling", 2012). The key repeats every 16 bits, so the
 * hash depends on the exclusive or of all 16-bit words of addresses and ports alone, and takes few steps.
 */
#ifndef BASE_TOEPLITZ_H
#define BASE_TOEPLITZ_H

#include <stdint.h>

#define TOEPLITZ_KEY_BYTES 40

/* The key, for devices that hash themselves. */
extern const uint8_t toeplitz_key[TOEPLITZ_KEY_BYTES];

/* The Toeplitz hash under that key of 16-bit words in network order whose exclusive or is `words`, in host order. */
uint32_t toeplitz_words(uint16_t words);

/* Of an IPv4 flow: addresses in network order, ports in host order. Symmetric. */
static inline uint32_t toeplitz_ip4(uint32_t a, uint32_t b, uint16_t a_port, uint16_t b_port) {
    uint32_t both = __builtin_bswap32(a ^ b);
    return toeplitz_words((uint16_t)(both >> 16 ^ both ^ a_port ^ b_port));
}

/* The queue that a device with a table of 128 places filled in turn gives it to. */
static inline uint32_t toeplitz_queue(uint32_t hash, uint32_t queues) {
    return hash % 128 % queues;
}

#endif
