/* SPDX-License-Identifier: MIT */
/* Configuration: the option table, one value at a time, and the order of the sources. */
#include "core/config.h"

#include "base/nearest.h"
#include "base/sys.h"
#include "core/config_table.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

const char *const config_wait_policies[] = {"spin", "adaptive", "block", NULL};
const char *const config_posix_engines[] = {"auto", "io_uring", "epoll", NULL};
const char *const config_log_levels[] = {"error", "warn", "info", "debug", NULL};
const char *const config_log_sinks[] = {"stderr", "syslog", "none", NULL};

#define OFFSET(field) offsetof(struct config, field)
#define UINT_ROW(key, field, def, min, max, unit, text)                                                                \
    {key, CONFIG_TYPE_UINT, OFFSET(field), def, NULL, min, max, unit, NULL, text},
#define ENUM_ROW(key, field, def, choices, text)                                                                       \
    {key, CONFIG_TYPE_ENUM, OFFSET(field), def, NULL, 0, 0, NULL, choices, text},
#define BOOL_ROW(key, field, def, text)   {key, CONFIG_TYPE_BOOL, OFFSET(field), def, NULL, 0, 0, NULL, NULL, text},
#define STRING_ROW(key, field, def, text) {key, CONFIG_TYPE_STRING, OFFSET(field), 0, def, 0, 0, NULL, NULL, text},

const struct config_option config_options[CONFIG_OPTIONS] = {DMTR_OPTIONS(UINT_ROW, ENUM_ROW, BOOL_ROW, STRING_ROW)};

#define SHORT_KEY(key, ...) _Static_assert(sizeof key <= CONFIG_KEY_MAX, "too long: " key);
DMTR_OPTIONS(SHORT_KEY, SHORT_KEY, SHORT_KEY, SHORT_KEY)

int config_fail(char error[CONFIG_ERROR_MAX], int code, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(error, CONFIG_ERROR_MAX, fmt, ap);
    va_end(ap);
    for (char *p = error; *p; p++) /* what was given may hold anything; terminals and logs get one clean line */
        if ((unsigned char)*p < ' ' || *p == '\x7f') *p = '?';
    return code;
}

const struct config_option *config_find(const char *key) {
    for (size_t i = 0; i < CONFIG_OPTIONS; i++)
        if (strcmp(config_options[i].key, key) == 0) return &config_options[i];
    return NULL;
}

bool config_is_group(const char *key) {
    size_t n = strlen(key);
    for (size_t i = 0; i < CONFIG_OPTIONS; i++)
        if (strncmp(config_options[i].key, key, n) == 0 && config_options[i].key[n] == '.') return true;
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

/* A part of the key between dots ("wait", "policy") is nearer to it than any slip of the pen. */
static unsigned key_distance(const char *given, const char *key) {
    size_t n = strlen(given), len = strlen(key);
    if (n > 0 && n < len) {
        if (strncmp(key, given, n) == 0 && key[n] == '.') return 0;
        if (strcmp(key + len - n, given) == 0 && key[len - n - 1] == '.') return 0;
    }
    return edit_distance(given, key);
}

static const char *nearest_key(const char *given) {
    const char *nearest = NULL;
    unsigned best = 0;
    for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
        unsigned d = key_distance(given, config_options[i].key);
        if (nearest && d >= best) continue;
        nearest = config_options[i].key;
        best = d;
    }
    return nearest;
}

/* Digits alone, then, if allowed, K, M, G or T (also KiB ...). False: not that, or above 64 bits. */
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

/* What may be given for an option, to end an error with. */
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

static bool store(struct config *c, const struct config_option *o, const char *value) {
    void *field = (char *)c + o->offset;
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

void config_init(struct config *c) {
    memset(c, 0, sizeof *c);
#define SET(key, field, def, ...)        c->field = def;
#define SET_STRING(key, field, def, ...) memcpy(c->field, def, sizeof def);
    DMTR_OPTIONS(SET, SET, SET, SET_STRING)
}

int config_set(struct config *c, const char *key, const char *value, const char *where, char error[CONFIG_ERROR_MAX]) {
    const struct config_option *o = config_find(key);
    char values[128];
    if (!o)
        return config_fail(error, -EINVAL, "%s: unknown key \"%.80s\"; did you mean \"%s\"?", where, key,
                           nearest_key(key));
    if (store(c, o, value)) return 0;
    describe_values(o, values, sizeof values);
    return config_fail(error, -EINVAL, "%s: %s cannot be \"%.80s\"; it takes %s", where, key, value, values);
}

/*
 * A variable of ours that no option has. Other programs may use the prefix too (DMTR_HEAP_* is the heap's), so only
 * what looks like a misspelt name of an option is refused.
 */
static int check_stranger(const char *name, char error[CONFIG_ERROR_MAX]) {
    char known[CONFIG_ENV_MAX] = "DMTR_CONFIG";
    if (strcmp(name, known) == 0 || strncmp(name, "DMTR_HEAP_", 10) == 0) return 0;
    for (size_t i = 0; i <= CONFIG_OPTIONS; i++) {
        if (edit_distance(name, known) <= 2)
            return config_fail(error, -EINVAL, "environment: unknown variable %.80s; did you mean %s?", name, known);
        if (i < CONFIG_OPTIONS) config_env_name(&config_options[i], known);
    }
    return 0;
}

static int load_environment(struct config *c, char error[CONFIG_ERROR_MAX]) {
    for (char **e = environ; e && *e; e++) {
        char name[2 * CONFIG_ENV_MAX], known[CONFIG_ENV_MAX];
        const char *value = strchr(*e, '=');
        size_t len = value ? (size_t)(value - *e) : 0, i;
        if (strncmp(*e, "DMTR_", 5) != 0 || len == 0 || len >= sizeof name) continue;
        memcpy(name, *e, len);
        name[len] = '\0';
        for (i = 0; i < CONFIG_OPTIONS; i++) {
            config_env_name(&config_options[i], known);
            if (strcmp(name, known) == 0) break;
        }
        int r = i == CONFIG_OPTIONS ? check_stranger(name, error)
                                    : config_set(c, config_options[i].key, value + 1, name, error);
        if (r < 0) return r;
    }
    return 0;
}

/*
 * Finds the next `name VALUE` or `name=VALUE` from argv[*i] on and moves *i behind it. 1: found; 0: no more;
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
        if (len >= sizeof key) len = sizeof key - 1; /* longer than any key, so unknown either way */
        memcpy(key, setting, len);
        key[len] = '\0';
        r = config_set(c, key, value + 1, "--dmtr-set", error);
        if (r < 0) return r;
    }
    return r;
}

int config_load(struct config *c, int argc, char *const argv[], char error[CONFIG_ERROR_MAX]) {
    error[0] = '\0';
    if (!argv) argc = 0;
    config_init(c);
    int r = load_files(c, argc, argv, error);
    if (r == 0 && !getauxval(AT_SECURE)) r = load_environment(c, error); /* not from the caller of a setuid program */
    if (r == 0) r = load_settings(c, argc, argv, error);
    return r;
}
