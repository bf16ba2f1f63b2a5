/* SPDX-License-Identifier: MIT */
/* Configuration: finds options, sets their values, and reads the sources in order. */
#include "core/config.h"

#include "base/nearest.h"
#include "base/sys.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

const char *const config_wait_policies[] = {"spin", "adaptive", "block", NULL};
const char *const config_log_levels[] = {"error", "warn", "info", "debug", NULL};
const char *const config_log_sinks[] = {"stderr", "syslog", "none", NULL};

#define CONFIG_VALUES struct config
static const struct config_option core_options[] = CONFIG_ROWS(CORE_OPTIONS);
#define CORE_OPTION_COUNT (uint32_t)(sizeof core_options / sizeof *core_options)

const struct config_option *config_option_at(const struct config_group *const *groups, uint32_t i, size_t *offset) {
    size_t at = 0;
    const struct config_option *o = i < CORE_OPTION_COUNT ? &core_options[i] : NULL;
    if (!o) {
        i -= CORE_OPTION_COUNT;
        at = offsetof(struct config, values);
        for (; *groups && i >= (*groups)->count; groups++) {
            i -= (*groups)->count;
            at += (*groups)->bytes;
        }
        if (!*groups) return NULL;
        o = &(*groups)->options[i];
    }
    if (offset) *offset = at + o->offset;
    return o;
}

const void *config_values(const struct config *c, const struct config_group *group) {
    size_t at = 0;
    for (const struct config_group *const *g = c->groups; *g != group; at += (*g++)->bytes)
        assert(*g);
    return c->values + at;
}

int config_fail(char error[CONFIG_ERROR_MAX], int code, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(error, CONFIG_ERROR_MAX, fmt, ap);
    va_end(ap);
    for (char *p = error; *p; p++) /* user input may contain anything; keep terminals and logs to one printable line */
        if ((unsigned char)*p < ' ' || *p == '\x7f') *p = '?';
    return code;
}

int config_find(const struct config *c, const char *key) {
    const struct config_option *o;
    for (uint32_t i = 0; (o = config_option_at(c->groups, i, NULL)); i++)
        if (strcmp(o->key, key) == 0) return (int)i;
    return -1;
}

bool config_is_group(const struct config *c, const char *key) {
    const struct config_option *o;
    size_t n = strlen(key);
    for (uint32_t i = 0; (o = config_option_at(c->groups, i, NULL)); i++)
        if (strncmp(o->key, key, n) == 0 && o->key[n] == '.') return true;
    return false;
}

bool config_takes_suffix(const struct config_option *o) {
    return o->type == CONFIG_TYPE_UINT && strcmp(o->unit, "bytes") == 0;
}

void config_env_name(const struct config_option *o, char name[CONFIG_ENV_MAX]) {
    snprintf(name, CONFIG_ENV_MAX, "DMTR_%s", o->key);
    for (char *p = name; *p; p++)
        *p = *p == '.' ? '_' : (char)toupper((unsigned char)*p);
}

/* A part of the key between dots ("wait", "policy") has distance 0, nearer than any misspelling. */
static unsigned key_distance(const char *given, const char *key) {
    size_t n = strlen(given), len = strlen(key);
    if (n > 0 && n < len) {
        if (strncmp(key, given, n) == 0 && key[n] == '.') return 0;
        if (strcmp(key + len - n, given) == 0 && key[len - n - 1] == '.') return 0;
    }
    return edit_distance(given, key);
}

static const char *nearest_key(const struct config *c, const char *given) {
    const struct config_option *o;
    const char *nearest = NULL;
    unsigned best = 0;
    for (uint32_t i = 0; (o = config_option_at(c->groups, i, NULL)); i++) {
        unsigned d = key_distance(given, o->key);
        if (nearest && d >= best) continue;
        nearest = o->key;
        best = d;
    }
    return nearest;
}

/* Parses digits and, if `suffix`, an optional K, M, G or T (also KiB ...). False: anything else, or above 64 bits. */
static bool parse_uint(const char *s, bool suffix, uint64_t *out) {
    static const char units[] = "KMGT";
    uint64_t v = 0;
    if (!isdigit((unsigned char)*s)) return false;
    for (; isdigit((unsigned char)*s); s++)
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v)) return false;
    if (suffix && *s) {
        const char *u = strchr(units, toupper((unsigned char)*s));
        unsigned shift = u ? 10u * (unsigned)(u - units + 1) : 0;
        if (!u || (v << shift) >> shift != v) return false;
        v <<= shift;
        s++;
        if (strcmp(s, "iB") == 0) s += 2;
    }
    *out = v;
    return *s == '\0';
}

static bool parse_bool(const char *s, bool *out) {
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(s, words[i]) != 0) continue;
        *out = i % 2;
        return true;
    }
    return false;
}

/* Describes the valid values of an option, for the end of an error message. */
static void describe_values(const struct config_option *o, char *buf, size_t size) {
    size_t n = 0;
    switch (o->type) {
    case CONFIG_TYPE_UINT:
        snprintf(buf, size, "%llu to %llu %s%s", (unsigned long long)o->min, (unsigned long long)o->max, o->unit,
                 config_takes_suffix(o) ? " (K, M, G, T may follow)" : "");
        break;
    case CONFIG_TYPE_ENUM:
        buf[0] = '\0';
        for (size_t i = 0; o->choices[i] && n < size; i++)
            n += (size_t)snprintf(buf + n, size - n, "%s%s",
                                  i == 0              ? ""
                                  : o->choices[i + 1] ? ", "
                                                      : " or ",
                                  o->choices[i]);
        break;
    case CONFIG_TYPE_BOOL:
        snprintf(buf, size, "true or false");
        break;
    case CONFIG_TYPE_STRING:
        snprintf(buf, size, "1 to %d characters", CONFIG_STRING_MAX - 1);
        break;
    }
}

static bool store(void *field, const struct config_option *o, const char *value) {
    uint64_t number;
    size_t len = strlen(value);
    switch (o->type) {
    case CONFIG_TYPE_UINT:
        if (!parse_uint(value, config_takes_suffix(o), &number) || number < o->min || number > o->max) return false;
        *(uint64_t *)field = number;
        return true;
    case CONFIG_TYPE_ENUM:
        for (int i = 0; o->choices[i]; i++) {
            if (strcmp(o->choices[i], value) != 0) continue;
            *(int *)field = i;
            return true;
        }
        return false;
    case CONFIG_TYPE_BOOL:
        return parse_bool(value, field);
    case CONFIG_TYPE_STRING:
        if (len == 0 || len >= CONFIG_STRING_MAX) return false;
        memcpy(field, value, len + 1);
        return true;
    }
    return false;
}

static void set_default(void *field, const struct config_option *o) {
    switch (o->type) {
    case CONFIG_TYPE_UINT:
        *(uint64_t *)field = o->def;
        break;
    case CONFIG_TYPE_ENUM:
        *(int *)field = (int)o->def;
        break;
    case CONFIG_TYPE_BOOL:
        *(bool *)field = o->def != 0;
        break;
    case CONFIG_TYPE_STRING:
        memcpy(field, o->def_string, strlen(o->def_string) + 1);
        break;
    }
}

void config_init(struct config *c, const struct config_group *const *groups) {
    const struct config_option *o;
    size_t bytes = 0, offset;
    uint32_t i;
    for (const struct config_group *const *g = groups; *g; g++) {
        assert((*g)->bytes % sizeof(uint64_t) == 0); /* for the alignment of the next one */
        bytes += (*g)->bytes;
    }
    assert(bytes <= CONFIG_VALUES_BYTES);
    memset(c, 0, sizeof *c);
    c->groups = groups;
    for (i = 0; (o = config_option_at(groups, i, &offset)); i++)
        set_default((char *)c + offset, o);
    assert(i <= CONFIG_OPTIONS_MAX);
}

int config_set(struct config *c, const char *key, const char *value, const char *where, char error[CONFIG_ERROR_MAX]) {
    int found = config_find(c, key);
    size_t offset;
    char values[128];
    if (found < 0)
        return config_fail(error, -EINVAL, "%s: unknown key \"%.80s\"; did you mean \"%s\"?", where, key,
                           nearest_key(c, key));
    const struct config_option *o = config_option_at(c->groups, (uint32_t)found, &offset);
    if (store((char *)c + offset, o, value)) return 0;
    describe_values(o, values, sizeof values);
    return config_fail(error, -EINVAL, "%s: %s cannot be \"%.80s\"; it takes %s", where, key, value, values);
}

/*
 * An environment variable with the library's prefix that belongs to no option. Other programs may use the prefix too
 * (DMTR_HEAP_* is the heap's), so only names that look like a misspelt option are refused.
 */
static int check_stranger(const struct config *c, const char *name, char error[CONFIG_ERROR_MAX]) {
    const struct config_option *o;
    char known[CONFIG_ENV_MAX] = "DMTR_CONFIG";
    if (strcmp(name, known) == 0 || strncmp(name, "DMTR_HEAP_", 10) == 0) return 0;
    for (uint32_t i = 0;; i++) {
        if (edit_distance(name, known) <= 2)
            return config_fail(error, -EINVAL, "environment: unknown variable %.80s; did you mean %s?", name, known);
        if (!(o = config_option_at(c->groups, i, NULL))) return 0;
        config_env_name(o, known);
    }
}

static int load_environment(struct config *c, char error[CONFIG_ERROR_MAX]) {
    for (char **e = environ; e && *e; e++) {
        char name[2 * CONFIG_ENV_MAX], known[CONFIG_ENV_MAX];
        const char *value = strchr(*e, '=');
        const struct config_option *o;
        size_t len = value ? (size_t)(value - *e) : 0;
        if (strncmp(*e, "DMTR_", 5) != 0 || len == 0 || len >= sizeof name) continue;
        memcpy(name, *e, len);
        name[len] = '\0';
        for (uint32_t i = 0; (o = config_option_at(c->groups, i, NULL)); i++) {
            config_env_name(o, known);
            if (strcmp(name, known) == 0) break;
        }
        int r = o ? config_set(c, o->key, value + 1, name, error) : check_stranger(c, name, error);
        if (r < 0) return r;
    }
    return 0;
}

/*
 * Finds the next `name VALUE` or `name=VALUE` from argv[*i] on and moves *i past it. 1: found; 0: no more;
 * -EINVAL: the value is missing.
 */
static int next_argument(int argc, char *const argv[], int *i, const char *name, const char **value,
                         char error[CONFIG_ERROR_MAX]) {
    size_t n = strlen(name);
    while (*i < argc && argv[*i] && strcmp(argv[*i], "--") != 0) {
        const char *arg = argv[(*i)++];
        if (strncmp(arg, name, n) != 0) continue;
        if (arg[n] == '=') {
            *value = arg + n + 1;
            return 1;
        }
        if (arg[n] != '\0') continue;
        if (*i >= argc || !argv[*i]) return config_fail(error, -EINVAL, "%s: a value must follow", name);
        *value = argv[(*i)++];
        return 1;
    }
    return 0;
}

static int load_files(struct config *c, int argc, char *const argv[], char error[CONFIG_ERROR_MAX]) {
    const char *path = NULL;
    bool given = false;
    int i = 0, r;
    while ((r = next_argument(argc, argv, &i, "--dmtr-config", &path, error)) > 0) {
        given = true;
        r = config_load_file(c, path, error);
        if (r < 0) return r;
    }
    if (r < 0 || given) return r;
    path = secure_getenv("DMTR_CONFIG");
    return path && *path ? config_load_file(c, path, error) : 0;
}

static int load_settings(struct config *c, int argc, char *const argv[], char error[CONFIG_ERROR_MAX]) {
    const char *setting = NULL;
    int i = 0, r;
    while ((r = next_argument(argc, argv, &i, "--dmtr-set", &setting, error)) > 0) {
        char key[CONFIG_KEY_MAX + 16];
        const char *value = strchr(setting, '=');
        if (!value || value == setting)
            return config_fail(error, -EINVAL, "--dmtr-set: \"%.80s\" is not KEY=VALUE", setting);
        size_t len = (size_t)(value - setting);
        if (len >= sizeof key) len = sizeof key - 1; /* longer than any key, so unknown even when truncated */
        memcpy(key, setting, len);
        key[len] = '\0';
        r = config_set(c, key, value + 1, "--dmtr-set", error);
        if (r < 0) return r;
    }
    return r;
}

int config_load(struct config *c, const struct config_group *const *groups, int argc, char *const argv[],
                char error[CONFIG_ERROR_MAX]) {
    error[0] = '\0';
    if (!argv) argc = 0;
    config_init(c, groups);
    int r = load_files(c, argc, argv, error);
    if (r == 0 && !getauxval(AT_SECURE)) r = load_environment(c, error); /* AT_SECURE: an untrusted caller set it */
    if (r == 0) r = load_settings(c, argc, argv, error);
    return r;
}
