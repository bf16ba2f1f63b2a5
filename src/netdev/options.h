/* Options of devices: "key=value,key=value" read into a structure by a table. */
#ifndef NETDEV_OPTIONS_H
#define NETDEV_OPTIONS_H

#include "netdev/netdev.h"

enum netdev_option_type {
    NETDEV_OPTION_NUMBER, /* uint64_t; decimal, hexadecimal with 0x */
    NETDEV_OPTION_FLAG,   /* bool; yes or no */
    NETDEV_OPTION_TEXT,   /* char[], without a comma in it */
    NETDEV_OPTION_CHANCE, /* uint32_t, parts in a million; written as parts of one, such as 0.01 */
    NETDEV_OPTION_MAC,    /* uint8_t[6]; 02:00:00:00:00:01 */
};

/* min and max bound a number; of a text, max is the array's size. A text with min 1 must be given. */
struct netdev_option {
    const char *name;
    enum netdev_option_type type;
    size_t offset;
    uint64_t min, max;
};

#define NETDEV_CHANCE_ONE 1000000u

/*
 * Reads args->options into `to`, which holds the defaults. 0; -EINVAL and args->why: a key that is not in the table, or
 * a value that is not as it says.
 */
int netdev_options(const struct netdev_args *args, const struct netdev_option *table, size_t n, void *to);

#endif
