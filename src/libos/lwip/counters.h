/* SPDX-License-Identifier: MIT */
/* Counters of libos lwip: a name and one sentence each. `dmtr ss` shows them with the prefix "lwip_". */
#ifndef LIBOS_LWIP_COUNTERS_H
#define LIBOS_LWIP_COUNTERS_H

#define LW_COUNTERS(X)                                                                                                 \
    X(receive_limit, "Datagrams dropped because too many waited for dmtr_pop, over lwIP")                              \
    X(datagrams_truncated, "Datagrams truncated to the pop's count, over lwIP")

enum lw_counter {
#define X(name, text) LW_COUNTER_##name,
    LW_COUNTERS(X)
#undef X
        LW_COUNTER_COUNT
};

/* `owner` is the structure of the libos, which has the values. */
#define lw_count(owner, name)        lw_count_add(owner, name, 1)
#define lw_count_add(owner, name, n) ((owner)->counters[LW_COUNTER_##name] += (uint64_t)(n))

#endif
