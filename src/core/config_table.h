/* SPDX-License-Identifier: MIT */
/* The option table as data, for the files that parse and print it. */
#ifndef CORE_CONFIG_TABLE_H
#define CORE_CONFIG_TABLE_H

#include "core/config.h"

#include <stddef.h>

#define CONFIG_KEY_MAX 64 /* bytes of a key, its NUL included */

enum config_type { CONFIG_TYPE_UINT, CONFIG_TYPE_ENUM, CONFIG_TYPE_BOOL, CONFIG_TYPE_STRING };

struct config_option {
    const char *key;
    enum config_type type;
    size_t offset; /* of the field in struct config */
    uint64_t def;  /* UINT, ENUM, BOOL */
    const char *def_string;
    uint64_t min, max;
    const char *unit;
    const char *const *choices;
    const char *text;
};

enum {
#define COUNT(key, field, ...) CONFIG_INDEX_##field,
    DMTR_OPTIONS(COUNT, COUNT, COUNT, COUNT)
#undef COUNT
        CONFIG_OPTIONS
};

extern const struct config_option config_options[CONFIG_OPTIONS];

/* The option of this key, or NULL. */
const struct config_option *config_find(const char *key);

/* Whether key names a group: the first part of some option's key. */
bool config_is_group(const char *key);

/* Writes the printf-like text to `error` as one line of printable characters; returns code. */
int config_fail(char error[CONFIG_ERROR_MAX], int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The environment variable of an option: DMTR_WAIT_POLICY for wait.policy. */
#define CONFIG_ENV_MAX (CONFIG_KEY_MAX + 8)
void config_env_name(const struct config_option *o, char name[CONFIG_ENV_MAX]);

/* Sizes may be written with K, M, G, T. */
bool config_takes_suffix(const struct config_option *o);

#endif
