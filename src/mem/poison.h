/* SPDX-License-Identifier: MIT */
/* Under AddressSanitizer, poisons memory that is not allocated, so that a use of it is reported. Otherwise no-ops. */
#ifndef MEM_POISON_H
#define MEM_POISON_H

#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEM_POISON 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define MEM_POISON 1
#endif

#ifdef MEM_POISON
#include <sanitizer/asan_interface.h>
#define poison(p, bytes)   ASAN_POISON_MEMORY_REGION(p, bytes)
#define unpoison(p, bytes) ASAN_UNPOISON_MEMORY_REGION(p, bytes)
#else
static inline void poison(const void *p, size_t bytes) {
    (void)p, (void)bytes;
}
static inline void unpoison(const void *p, size_t bytes) {
    (void)p, (void)bytes;
}
#endif

#endif
