/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share. An input is read as a string of decisions; where it is used up every further decision
 * is 0. What must hold is checked with `must`, which ends the process as libFuzzer expects it of a finding.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define must(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                    \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

struct input {
    const uint8_t *data;
    size_t left;
};

static inline uint8_t take_byte(struct input *in) {
    if (!in->left) return 0;
    in->left--;
    return *in->data++;
}

/* libFuzzer's interface. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
