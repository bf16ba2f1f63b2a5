/* SPDX-License-Identifier: MIT */
/* Conversion between the structures of <demi/types.h> and of <dmtr/types.h>. */
#ifndef DEMI_CONVERT_H
#define DEMI_CONVERT_H

#include <demi/types.h>
#include <dmtr/dmtr.h>

/* Converts an array to be pushed. EINVAL unless it is one segment of 1 ... DEMI_SGASEG_MAXLEN bytes; else 0. */
int convert_sga_in(dmtr_sgarray_t *to, const demi_sgarray_t *from);

/* Moves a result to `to`. A pop becomes a failed one if there is no memory to join its segments. */
void convert_result(demi_qresult_t *to, dmtr_qresult_t *from);

#endif
