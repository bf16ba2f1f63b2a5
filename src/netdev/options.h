/* SPDX-License-Identifier: MIT */
/* Options of devices: parses "key=value,key=value" into a structure, by a table. */
#ifndef NETDEV_OPTIONS_H
#define NETDEV_OPTIONS_H

#include "netdev/netdev.h"

#include "base/doc.h"

enum netdev_option_type {
    NETDEV_OPTION_NUMBER, /* uint64_t; decimal, hexadecimal with 0x */
    NETDEV_OPTION_FLAG,   /* bool; yes or no */
    NETDEV_OPTION_TEXT,   /* char[]; must not contain a comma */
    NETDEV_OPTION_CHANCE, /* uint32_t in millionths; written as a fraction of one, such as 0.01 */
    NETDEV_OPTION_MAC,    /* uint8_t[6]; 02:00:00:00:00:01 */
};

/*
 * The one place that describes an option of a device. min and max bound a number; for a text, max is the size of the
 * array. An option without `def` and `def_text` is required.
 */
struct netdev_option {
    const char *name;
    enum netdev_option_type type;
    size_t offset; /* of the field in the device's own structure */
    uint64_t min, max;
    const char *unit;     /* of a number; for a text, what it is, such as PATH */
    const char *def;      /* the default as a user would write it; NULL: none */
    const char *def_text; /* describes what the device chooses if def is NULL */
    const char *text;     /* one sentence without a full stop */
};

#define NETDEV_CHANCE_ONE 1000000u

/*
 * Writes the table's defaults to `to`, then parses args->options into it. A field without a default keeps its value.
 * Returns 0, or -EINVAL and args->why: an unknown key, a value out of bounds, or a required option is missing.
 */
int netdev_options(const struct netdev_args *args, const struct netdev_option *table, size_t n, void *to);

/*
 * Copies the value of a key, for code that needs it before the device parses its options. Also finds a key inside
 * another option's value, where semicolons separate the keys. Returns false if it is missing or too long.
 */
bool netdev_option_find(const struct netdev_args *args, const char *key, char *to, size_t bytes);

/* Prints all devices of this build with their options. Returns 0 or -EIO. */
int netdev_print(FILE *f, enum doc_format format);

#endif
