/* SPDX-License-Identifier: MIT */
/* Functions in which callgrind counts: it finds them by name, so the compiler may neither inline nor clone them. */
#ifndef BENCH_COUNTED_H
#define BENCH_COUNTED_H

#ifdef __clang__ /* does not clone what it may not inline */
#define COUNTED __attribute__((noinline))
#else
#define COUNTED __attribute__((noipa))
#endif

#endif
