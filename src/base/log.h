/* SPDX-License-Identifier: MIT */
/* Log: levels, to stderr or syslog, rate-limited per call site. Not used on the datapath. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_sink { LOG_SINK_STDERR, LOG_SINK_SYSLOG, LOG_SINK_NONE };

struct log {
    enum log_level level;
    enum log_sink sink;
};

/*
 * State of one call site: it logs at most LOG_BURST lines per second, and then a line with the number of suppressed
 * lines.
 */
#define LOG_BURST 10
struct log_site {
    uint64_t window_start_ns;
    uint32_t in_window, suppressed;
};

void log_write(const struct log *l, enum log_level level, struct log_site *site, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void log_vwrite(const struct log *l, enum log_level level, struct log_site *site, const char *fmt, va_list args)
    __attribute__((format(printf, 4, 0)));

/* Evaluates its arguments only if the level is enabled. */
#define log_at(l, lvl, ...)                                                                                            \
    do {                                                                                                               \
        static _Thread_local struct log_site log_site_;                                                                \
        if ((lvl) <= (l)->level) log_write((l), (lvl), &log_site_, __VA_ARGS__);                                       \
    } while (0)
#define log_error(l, ...) log_at(l, LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(l, ...)  log_at(l, LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(l, ...)  log_at(l, LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(l, ...) log_at(l, LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
