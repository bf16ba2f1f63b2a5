/* SPDX-License-Identifier: MIT */
/* The whole API. */
#ifndef DMTR_DMTR_H
#define DMTR_DMTR_H

#include <dmtr/latency.h>
#include <dmtr/libos.h>
#include <dmtr/mem.h>
#include <dmtr/sga.h>
#include <dmtr/types.h>
#include <dmtr/wait.h>

#endif
