/* SPDX-License-Identifier: MIT */
/* Edit distance between names. */
#include "base/nearest.h"

#include <string.h>

unsigned edit_distance(const char *a, const char *b) {
    unsigned row[NEAREST_NAME_MAX + 1];
    size_t na = strnlen(a, (size_t)2 * NEAREST_NAME_MAX), nb = strnlen(b, NEAREST_NAME_MAX);
    for (size_t j = 0; j <= nb; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= na; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[nb];
}
