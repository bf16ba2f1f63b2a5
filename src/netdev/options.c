/* SPDX-License-Identifier: MIT */
/* Parses the options of devices. */
#include "netdev/options.h"

#include "base/nearest.h"
#include "netdev/device.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX 256

static bool read_number(const struct netdev_option *o, const char *value, void *to) {
    char *end;
    unsigned long long number;
    if (*value < '0' || *value > '9') return false; /* strtoull would accept signs and spaces */
    errno = 0;
    number = strtoull(value, &end, 0);
    if (errno || *end || number < o->min || number > o->max) return false;
    *(uint64_t *)to = number;
    return true;
}

static bool read_flag(const struct netdev_option *o, const char *value, void *to) {
    bool yes = strcmp(value, "yes") == 0;
    (void)o;
    if (!yes && strcmp(value, "no") != 0) return false;
    *(bool *)to = yes;
    return true;
}

static bool read_text(const struct netdev_option *o, const char *value, void *to) {
    size_t len = strlen(value);
    if (len == 0 || len >= o->max) return false;
    memcpy(to, value, len + 1);
    return true;
}

/* Reads digits and at most six decimals itself, because strtod depends on the locale. */
static bool read_chance(const struct netdev_option *o, const char *value, void *to) {
    uint32_t whole, parts = 0, unit = NETDEV_CHANCE_ONE / 10;
    (void)o;
    if (*value != '0' && *value != '1') return false;
    whole = (uint32_t)(*value++ - '0');
    if (*value == '.') value++;
    for (; *value >= '0' && *value <= '9' && unit; value++, unit /= 10)
        parts += (uint32_t)(*value - '0') * unit;
    if (*value || whole * NETDEV_CHANCE_ONE + parts > NETDEV_CHANCE_ONE) return false;
    *(uint32_t *)to = whole * NETDEV_CHANCE_ONE + parts;
    return true;
}

static int hex_digit(char c) {
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;
    return at ? (int)(at - digits) : -1;
}

static bool read_mac(const struct netdev_option *o, const char *value, void *to) {
    uint8_t mac[NETDEV_MAC_BYTES];
    (void)o;
    if (strlen(value) != 3 * NETDEV_MAC_BYTES - 1) return false;
    for (size_t i = 0; i < NETDEV_MAC_BYTES; i++, value += 3) {
        int high = hex_digit(value[0]), low = hex_digit(value[1]);
        if (high < 0 || low < 0 || (i + 1 < NETDEV_MAC_BYTES && value[2] != ':')) return false;
        mac[i] = (uint8_t)(high << 4 | low);
    }
    if (mac[0] & 1) return false; /* a group address cannot be a device's own */
    memcpy(to, mac, sizeof mac);
    return true;
}

static const struct {
    bool (*read)(const struct netdev_option *o, const char *value, void *to);
    const char *expected;
} types[] = {
    [NETDEV_OPTION_NUMBER] = {read_number, "a number within bounds"},
    [NETDEV_OPTION_FLAG] = {read_flag, "yes or no"},
    [NETDEV_OPTION_TEXT] = {read_text, "a text of allowed length"},
    [NETDEV_OPTION_CHANCE] = {read_chance, "a fraction of one, such as 0.01"},
    [NETDEV_OPTION_MAC] = {read_mac, "an address such as 02:00:00:00:00:01"},
};

static int refuse_name(const struct netdev_args *args, const struct netdev_option *table, size_t n, const char *name) {
    const char *nearest = NULL;
    unsigned best = UINT_MAX;
    for (size_t i = 0; i < n; i++) {
        unsigned distance = edit_distance(name, table[i].name);
        if (distance >= best) continue;
        nearest = table[i].name;
        best = distance;
    }
    return netdev_refuse(args, -EINVAL, "there is no option \"%.40s\"%s%s%s", name, nearest ? "; did you mean \"" : "",
                         nearest ? nearest : "", nearest ? "\"?" : "");
}

static int read_one(const struct netdev_args *args, const struct netdev_option *table, size_t n, char *pair, void *to) {
    char *value = strchr(pair, '=');
    if (!value) return netdev_refuse(args, -EINVAL, "option \"%.40s\" has no value", pair);
    *value++ = '\0';
    for (size_t i = 0; i < n; i++) {
        const struct netdev_option *o = &table[i];
        if (strcmp(o->name, pair) != 0) continue;
        if (types[o->type].read(o, value, (char *)to + o->offset)) return 0;
        if (o->type == NETDEV_OPTION_NUMBER)
            return netdev_refuse(args, -EINVAL, "%s=%.40s: expected a number from %llu to %llu", pair, value,
                                 (unsigned long long)o->min, (unsigned long long)o->max);
        return netdev_refuse(args, -EINVAL, "%s=%.40s: expected %s", pair, value, types[o->type].expected);
    }
    return refuse_name(args, table, n, pair);
}

static void read_defaults(const struct netdev_option *table, size_t n, void *to) {
    for (size_t i = 0; i < n; i++) {
        bool read = !table[i].def || types[table[i].type].read(&table[i], table[i].def, (char *)to + table[i].offset);
        assert(read);
        (void)read;
    }
}

/* Only a text option can be required; it is missing if it is empty. */
static int check_required(const struct netdev_args *args, const struct netdev_option *table, size_t n, const void *to) {
    for (size_t i = 0; i < n; i++)
        if (!table[i].def && !table[i].def_text && !*((const char *)to + table[i].offset))
            return netdev_refuse(args, -EINVAL, "option \"%s\" is required", table[i].name);
    return 0;
}

int netdev_options(const struct netdev_args *args, const struct netdev_option *table, size_t n, void *to) {
    const char *at = args->options ? args->options : "";
    read_defaults(table, n, to);
    while (*at) {
        char pair[VALUE_MAX];
        size_t len = strcspn(at, ",");
        int r;
        if (len >= sizeof pair) return netdev_refuse(args, -EINVAL, "option \"%.40s...\" is too long", at);
        memcpy(pair, at, len);
        pair[len] = '\0';
        r = read_one(args, table, n, pair, to);
        if (r < 0) return r;
        at += len + (at[len] == ',');
    }
    return check_required(args, table, n, to);
}

bool netdev_option_find(const struct netdev_args *args, const char *key, char *to, size_t bytes) {
    static const char separators[] = ",; ";
    size_t key_len = strlen(key);
    for (const char *at = args->options ? args->options : ""; *at; at += strspn(at, separators)) {
        size_t len = strcspn(at, separators);
        const char *value = at + key_len + 1;
        if (len > key_len && strncmp(at, key, key_len) == 0 && at[key_len] == '=') {
            len -= key_len + 1;
            if (len == 0 || len >= bytes) return false;
            memcpy(to, value, len);
            to[len] = '\0';
            return true;
        }
        at += len;
    }
    return false;
}
