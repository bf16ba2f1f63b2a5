/* SPDX-License-Identifier: MIT */
/*
 * Every system call and every internal allocation of the library goes through this file, so that a test can make
 * the Nth of them fail. Each sys_* returns the call's result or a negative errno. In builds with the option
 * `fault`, a call asks fault_point() first.
 */
#ifndef BASE_SYS_H
#define BASE_SYS_H

#include <errno.h>
#include <stddef.h>
#include <sys/types.h>

#ifdef DMTR_FAULT
/* 0, or the errno with which this call is to fail. Chosen by fault_arm; see fault.h. */
int fault_point(const char *name);
#define FAULT_POINT(name) fault_point(name)
#else
#define FAULT_POINT(name) 0
#endif

/* Turns a libc result into the result or a negative errno: SYS(read, fd, buf, n). */
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

/* The library's own metadata (not payload: that is mem/). NULL: no memory. */
void *sys_calloc(size_t count, size_t size);
void sys_free(void *p);

/* mmap of anonymous private memory, anywhere; NULL and *error on failure. */
void *sys_map(size_t bytes, int prot, int flags, int *error);

/* mmap; NULL and *error on failure. */
void *sys_mmap(void *at, size_t bytes, int prot, int flags, int fd, int *error);

/* What a descriptor has from an offset on, to read and write; NULL and *error on failure. */
void *sys_map_shared(size_t bytes, int fd, off_t offset, int *error);

#endif
