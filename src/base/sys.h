/* SPDX-License-Identifier: MIT */
/*
 * Every system call and internal allocation of the library goes through this file, so that a test can make the Nth of
 * them fail. Each sys_* function returns the call's result or a negative errno unless its comment says otherwise. In
 * builds with the option `fault`, a call asks fault_point() first.
 */
#ifndef BASE_SYS_H
#define BASE_SYS_H

#include <errno.h>
#include <stddef.h>
#include <sys/types.h>

#define CACHE_LINE 64u /* bytes */

#ifdef DMTR_FAULT
/* Returns 0, or the errno with which this call must fail, as set by fault_arm; see fault.h. */
int fault_point(const char *name);
#define FAULT_POINT(name) fault_point(name)
#else
#define FAULT_POINT(name) 0
#endif

/* Returns the result of a libc call, or a negative errno: SYS(read, fd, buf, n). */
#define SYS(call, ...)                                                                                                 \
    __extension__({                                                                                                    \
        int sys_error_ = FAULT_POINT(#call);                                                                           \
        __typeof__(call(__VA_ARGS__)) sys_r_ = -1;                                                                     \
        if (sys_error_ > 0)                                                                                            \
            sys_r_ = (__typeof__(sys_r_))-sys_error_;                                                                  \
        else if ((sys_r_ = call(__VA_ARGS__)) == -1)                                                                   \
            sys_r_ = (__typeof__(sys_r_))-errno;                                                                       \
        sys_r_;                                                                                                        \
    })

/* Zeroed memory for the library's own metadata (payload comes from mem/). Returns NULL if there is none. */
void *sys_calloc(size_t count, size_t size);
/* The same, and it begins with a cache line: for what the datapath reads in an order that saves lines. */
void *sys_calloc_lines(size_t size);
void sys_free_lines(void *p); /* frees what sys_calloc_lines returned */
void sys_free(void *p);

/* Maps anonymous private memory at any address. Returns NULL and sets *error on failure. */
void *sys_map(size_t bytes, int prot, int flags, int *error);

/* mmap with offset 0. Returns NULL and sets *error on failure. */
void *sys_mmap(void *at, size_t bytes, int prot, int flags, int fd, int *error);

/* Maps a file from an offset on, shared, for reading and writing. Returns NULL and sets *error on failure. */
void *sys_map_shared(size_t bytes, int fd, off_t offset, int *error);

#endif
