/* SPDX-License-Identifier: MIT */
/*
 * Receive-side scaling with the symmetric Toeplitz hash: both directions of a flow have the same hash (Woo & Park,
 * "Scalable TCP session monitoring with symmetric receive-side scaling", 2012). The key repeats every 16 bits, so the
 * hash depends only on the exclusive or of all 16-bit words of addresses and ports, and is cheap to compute.
 */
#ifndef BASE_TOEPLITZ_H
#define BASE_TOEPLITZ_H

#include <stdint.h>

#define TOEPLITZ_KEY_BYTES 40

/* The hash key, to configure devices with. */
extern const uint8_t toeplitz_key[TOEPLITZ_KEY_BYTES];

/*
 * The Toeplitz hash under this key of any 16-bit words in network order whose exclusive or, in host order, is `words`.
 */
uint32_t toeplitz_words(uint16_t words);

/* The hash of an IPv4 flow: addresses in network order, ports in host order. Symmetric. */
static inline uint32_t toeplitz_ip4(uint32_t a, uint32_t b, uint16_t a_port, uint16_t b_port) {
    uint32_t both = __builtin_bswap32(a ^ b);
    return toeplitz_words((uint16_t)(both >> 16 ^ both ^ a_port ^ b_port));
}

/* The queue that a device selects for this hash with a round-robin indirection table of 128 entries. */
static inline uint32_t toeplitz_queue(uint32_t hash, uint32_t queues) {
    return hash % 128 % queues;
}

#endif
