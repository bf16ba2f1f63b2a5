/* SPDX-License-Identifier: MIT */
/*
 * Options as data. Core and each libos declare theirs in a table with one row for each option:
 *
 * UINT(key, field, default, min, max, unit, text)
 * ENUM(key, field, default, choices, text): choices are a NULL-terminated list of names by value
 * BOOL(key, field, default, text)
 * STRING(key, field, default, text)
 *
 * The text becomes `--help`, the manual and the error message.
 */
#ifndef CORE_OPTION_H
#define CORE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_STRING_MAX 256
#define CONFIG_KEY_MAX    64 /* bytes of a key, its NUL included */

enum config_type { CONFIG_TYPE_UINT, CONFIG_TYPE_ENUM, CONFIG_TYPE_BOOL, CONFIG_TYPE_STRING };

struct config_option {
    const char *key;
    enum config_type type;
    size_t offset; /* of the field in its group's structure */
    uint64_t def;  /* UINT, ENUM, BOOL */
    const char *def_string;
    uint64_t min, max;
    const char *unit;
    const char *const *choices;
    const char *text;
};

/* What a libos registers: its options, and the size of the structure that holds their values. */
struct config_group {
    const struct config_option *options;
    uint32_t count;
    size_t bytes;
};

/* The fields of a structure that holds the values of TABLE. */
#define CONFIG_UINT_FIELD(key, field, ...)   uint64_t field;
#define CONFIG_ENUM_FIELD(key, field, ...)   int field;
#define CONFIG_BOOL_FIELD(key, field, ...)   bool field;
#define CONFIG_STRING_FIELD(key, field, ...) char field[CONFIG_STRING_MAX];

#define CONFIG_FIELDS(TABLE) TABLE(CONFIG_UINT_FIELD, CONFIG_ENUM_FIELD, CONFIG_BOOL_FIELD, CONFIG_STRING_FIELD)

/* The rows of TABLE as an initialiser of struct config_option[]; CONFIG_VALUES is the structure with its fields. */
#define CONFIG_OFFSET(key, field)                                                                                      \
    (sizeof(char[sizeof key <= CONFIG_KEY_MAX ? 1 : -1]) - 1 + offsetof(CONFIG_VALUES, field))
#define CONFIG_UINT_ROW(key, field, def, min, max, unit, text)                                                         \
    {key, CONFIG_TYPE_UINT, CONFIG_OFFSET(key, field), def, NULL, min, max, unit, NULL, text},
#define CONFIG_ENUM_ROW(key, field, def, choices, text)                                                                \
    {key, CONFIG_TYPE_ENUM, CONFIG_OFFSET(key, field), def, NULL, 0, 0, NULL, choices, text},
#define CONFIG_BOOL_ROW(key, field, def, text)                                                                         \
    {key, CONFIG_TYPE_BOOL, CONFIG_OFFSET(key, field), def, NULL, 0, 0, NULL, NULL, text},
#define CONFIG_STRING_ROW(key, field, def, text)                                                                       \
    {key, CONFIG_TYPE_STRING, CONFIG_OFFSET(key, field), 0, def, 0, 0, NULL, NULL, text},
#define CONFIG_ROWS(TABLE) {TABLE(CONFIG_UINT_ROW, CONFIG_ENUM_ROW, CONFIG_BOOL_ROW, CONFIG_STRING_ROW)}

/* A group of the options in an array. */
#define CONFIG_GROUP(array) {(array), sizeof(array) / sizeof *(array), sizeof(CONFIG_VALUES)}

#endif
