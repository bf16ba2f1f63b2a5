/* SPDX-License-Identifier: MIT */
/*
 * Compiler attributes of the declarations. The library itself is compiled with DEMI_IMPLEMENTATION, which omits
 * promises that callers make: if the compiler assumed that an argument is never NULL, it would delete the check for
 * NULL.
 */
#ifndef DEMI_CC_H
#define DEMI_CC_H

#if defined(__GNUC__) && !defined(DEMI_IMPLEMENTATION)
#define ATTR_NONNULL(...) __attribute__((nonnull(__VA_ARGS__)))
#else
#define ATTR_NONNULL(...)
#endif

#if defined(__GNUC__)
#define ATTR_NODISCARD __attribute__((warn_unused_result))
#define ATTR_PACKED    __attribute__((packed))
#define ATTR_EXPORT    __attribute__((visibility("default")))
#else
#error "<demi/types.h> needs packed structures: compile with gcc or clang"
#endif

#endif
