/* SPDX-License-Identifier: MIT */
/* Options of devices: "key=value,key=value" read into a structure by a table. */
#ifndef NETDEV_OPTIONS_H
#define NETDEV_OPTIONS_H

#include "netdev/netdev.h"

#include "base/doc.h"

enum netdev_option_type {
    NETDEV_OPTION_NUMBER, /* uint64_t; decimal, hexadecimal with 0x */
    NETDEV_OPTION_FLAG,   /* bool; yes or no */
    NETDEV_OPTION_TEXT,   /* char[], without a comma in it */
    NETDEV_OPTION_CHANCE, /* uint32_t, parts in a million; written as parts of one, such as 0.01 */
    NETDEV_OPTION_MAC,    /* uint8_t[6]; 02:00:00:00:00:01 */
};

/*
 * The one place where an option of a device is described. min and max bound a number; of a text, max is the array's
 * size. An option with neither `def` nor `otherwise` must be given.
 */
struct netdev_option {
    const char *name;
    enum netdev_option_type type;
    size_t offset; /* of the field in the device's own structure */
    uint64_t min, max;
    const char *unit;      /* of a number; of a text what it is, such as PATH */
    const char *def;       /* the default, as it would be given; NULL: none */
    const char *otherwise; /* where there is no default: what the device chooses, in words */
    const char *text;      /* one sentence without its full stop */
};

#define NETDEV_CHANCE_ONE 1000000u

/*
 * Writes the defaults of the table to `to`, then reads args->options into it. A field without a default keeps its
 * value. 0; -EINVAL and args->why: a key that is not in the table, a value that is out of bounds, or an option that
 * must be given is not.
 */
int netdev_options(const struct netdev_args *args, const struct netdev_option *table, size_t n, void *to);

/*
 * Copies the value of a key out, also of one within another's value, where semicolons stand for commas. False: it is
 * not there, or too long. For what is looked at before a device reads all of them.
 */
bool netdev_option_find(const struct netdev_args *args, const char *key, char *to, size_t bytes);

/* Prints every device of this build with its options, for people. 0, or -EIO. */
int netdev_print(FILE *f, enum doc_format format);

#endif
