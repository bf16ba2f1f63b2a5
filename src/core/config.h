/* SPDX-License-Identifier: MIT */
/*
 * Configuration. Core's own options are in the table below; each libos has a group of its own. Sources, the later ones
 * override: defaults, the YAML file (--dmtr-config, else the environment's DMTR_CONFIG), the environment (DMTR_ and the
 * key in capitals with underscores: DMTR_WAIT_POLICY), --dmtr-set KEY=VALUE.
 */
#ifndef CORE_CONFIG_H
#define CORE_CONFIG_H

#include "base/doc.h"
#include "base/log.h"
#include "core/option.h"

#include <stdio.h>

#define CONFIG_OPTIONS_MAX  128u  /* of all groups */
#define CONFIG_VALUES_BYTES 8192u /* of the structures of all groups */

enum wait_policy { WAIT_SPIN, WAIT_ADAPTIVE, WAIT_BLOCK };

#define CORE_OPTIONS(UINT, ENUM, BOOL, STRING)                                                                         \
    STRING("libos", libos, "posix", "Network for dmtr_socket, by its name or an alias")                                \
    ENUM("wait.policy", wait_policy, WAIT_ADAPTIVE, config_wait_policies,                                              \
         "How a wait idles: spin (never sleep), adaptive (spin, then sleep), block (sleep at once)")                   \
    UINT("wait.spin_us", wait_spin_us, 50, 0, 1000000, "us",                                                           \
         "Longest time that the adaptive policy spins before it sleeps")                                               \
    UINT("wait.turn_us", wait_turn_us, 20, 0, 1000000, "us",                                                           \
         "Time after the last poll from which each push is sent at once; 0: every push is")                            \
    UINT("core.max_operations", max_operations, 1048576, 16, 4194303, "operations",                                    \
         "Maximum number of outstanding operations in a runtime")                                                      \
    UINT("core.max_queues", max_queues, 1048576, 4, 2097151, "queues", "Maximum number of open queues in a runtime")   \
    UINT("core.linger_ms", linger_ms, 1000, 0, 600000, "ms",                                                           \
         "Longest time that dmtr_fini waits for pushed data to be delivered and for peers to finish")                  \
    UINT("queue.push_limit_bytes", push_limit_bytes, 67108864, 1, 1099511627776, "bytes",                              \
         "Maximum bytes of outstanding pushes on a queue (DMTR_SO_PUSH_LIMIT)")                                        \
    UINT("frame.max_bytes", frame_max_bytes, 16777216, 1, 67108864, "bytes",                                           \
         "Largest message accepted on a framed stream")                                                                \
    BOOL("stats.share", stats_share, true, "Let `dmtr ss` read the counters of this process")                          \
    ENUM("log.level", log_level, LOG_LEVEL_WARN, config_log_levels, "Lowest level logged: error, warn, info, debug")   \
    ENUM("log.sink", log_sink, LOG_SINK_STDERR, config_log_sinks, "Where the log goes: stderr, syslog, none")

extern const char *const config_wait_policies[];
extern const char *const config_log_levels[];
extern const char *const config_log_sinks[];

struct config {
    CONFIG_FIELDS(CORE_OPTIONS)
    const struct config_group *const *groups;            /* those of libOSes; ends with NULL */
    _Alignas(uint64_t) char values[CONFIG_VALUES_BYTES]; /* of the groups, in their order */
};

#define CONFIG_ERROR_MAX 512

/* Sets every option to its default. `groups` ends with NULL and must stay valid as long as c is used. */
void config_init(struct config *c, const struct config_group *const *groups);

/* The structure with the values of a group, which must be one of c->groups. */
const void *config_values(const struct config *c, const struct config_group *group);

/*
 * Reads all sources in order, after config_init; ignores other arguments in argv. 0, or a negative errno with
 * one line in `error` that names file, line or variable, the key, and the remedy: the nearest valid key, or the
 * valid values. -EINVAL: wrong content; -ENOENT and the like: the file cannot be read.
 */
int config_load(struct config *c, const struct config_group *const *groups, int argc, char *const argv[],
                char error[CONFIG_ERROR_MAX]);

/* Sets one option, with the same errors; the text begins with `where` ("--dmtr-set", "file:line"). */
int config_set(struct config *c, const char *key, const char *value, const char *where, char error[CONFIG_ERROR_MAX]);

/* Reads one file, with the same errors. */
int config_load_file(struct config *c, const char *path, char error[CONFIG_ERROR_MAX]);

/* Prints core's options and those of the groups in `format`. 0, or -EIO. */
int config_print(FILE *f, const struct config_group *const *groups, enum doc_format format);

/* ---- for config_file.c and config_print.c ---- */

/*
 * The i-th option, from 0: core's, then those of the groups in order. NULL: there are no more. If offset is not NULL,
 * *offset becomes the offset of the option's field in struct config.
 */
const struct config_option *config_option_at(const struct config_group *const *groups, uint32_t i, size_t *offset);

/* The number of the option with this key; -1: no such option. */
int config_find(const struct config *c, const char *key);

/* Whether `key` is the first part of some option's key, before the dot. */
bool config_is_group(const struct config *c, const char *key);

/* Writes the printf-like text to `error` as one line of printable characters; returns code. */
int config_fail(char error[CONFIG_ERROR_MAX], int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The environment variable of an option: DMTR_WAIT_POLICY for wait.policy. */
#define CONFIG_ENV_MAX (CONFIG_KEY_MAX + 8)
void config_env_name(const struct config_option *o, char name[CONFIG_ENV_MAX]);

/* Whether a value may end with K, M, G or T. */
bool config_takes_suffix(const struct config_option *o);

#endif
