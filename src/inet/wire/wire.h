/* SPDX-License-Identifier: MIT */
/* Reads and writes numbers in network order at any alignment. */
#ifndef INET_WIRE_WIRE_H
#define INET_WIRE_WIRE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t wire_get16(const uint8_t *p) {
    uint16_t x;
    memcpy(&x, p, sizeof x);
    return be16toh(x);
}

static inline uint32_t wire_get32(const uint8_t *p) {
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return be32toh(x);
}

static inline void wire_put16(uint8_t *p, uint16_t x) {
    x = htobe16(x);
    memcpy(p, &x, sizeof x);
}

static inline void wire_put32(uint8_t *p, uint32_t x) {
    x = htobe32(x);
    memcpy(p, &x, sizeof x);
}

/* The same for numbers that stay in network order: addresses and checksums. */
static inline uint32_t wire_load32(const uint8_t *p) {
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

static inline uint16_t wire_load16(const uint8_t *p) {
    uint16_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

static inline void wire_store32(uint8_t *p, uint32_t x) {
    memcpy(p, &x, sizeof x);
}

static inline void wire_store16(uint8_t *p, uint16_t x) {
    memcpy(p, &x, sizeof x);
}

#endif
