/* Scatter-gather arrays from the outside: checked, held while in flight, released. */
#ifndef CORE_SGA_H
#define CORE_SGA_H

#include "dmtr/types.h"

#include <stdbool.h>

/* Whether sga may be pushed: 1 ... DMTR_SGARRAY_MAXSIZE segments, each with a buffer where it has bytes. */
bool sga_valid(const dmtr_sgarray_t *sga);

/* Copies what is in use of `from`. */
void sga_copy(dmtr_sgarray_t *to, const dmtr_sgarray_t *from);

uint64_t sga_bytes(const dmtr_sgarray_t *sga);

/* Takes a hold on each segment that is the heap's; false if none was. */
bool sga_hold(const dmtr_sgarray_t *sga);
/* Gives those holds up. */
void sga_release_held(const dmtr_sgarray_t *sga);

/* Frees the array's memory and empties it. -EINVAL, with nothing freed, if it is malformed or not the heap's. */
int sga_release(dmtr_sgarray_t *sga);

#endif
