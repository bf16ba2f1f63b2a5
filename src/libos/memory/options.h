/* SPDX-License-Identifier: MIT */
/* Options of memory queues. */
#ifndef LIBOS_MEMORY_OPTIONS_H
#define LIBOS_MEMORY_OPTIONS_H

#include "core/runtime.h"

#define MEMORY_OPTIONS(UINT, ENUM, BOOL, STRING)                                                                       \
    UINT("memory.max_elements", max_elements, 1048576, 1, 16777216, "elements",                                        \
         "Limit of elements that an in-memory queue or a sort operator holds; a further push waits")

struct memory_options {
    CONFIG_FIELDS(MEMORY_OPTIONS)
};

extern const struct config_group memory_options_group;

static inline uint32_t memory_max_elements(const struct dmtr_runtime *rt) {
    const struct memory_options *o = config_values(&rt->config, &memory_options_group);
    return (uint32_t)o->max_elements;
}

#endif
