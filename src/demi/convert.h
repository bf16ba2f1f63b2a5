/* SPDX-License-Identifier: MIT */
/* Between the structures of <demi/types.h> and those of <dmtr/types.h>. */
#ifndef DEMI_CONVERT_H
#define DEMI_CONVERT_H

#include <demi/types.h>
#include <dmtr/dmtr.h>

/* An array to be pushed. 0, or EINVAL unless it is one segment of 1 ... DEMI_SGASEG_MAXLEN bytes. */
int convert_sga_in(dmtr_sgarray_t *to, const demi_sgarray_t *from);

/* A result; what it holds goes over to `to`. A pop whose segments cannot be joined for lack of memory has failed. */
void convert_result(demi_qresult_t *to, dmtr_qresult_t *from);

#endif
