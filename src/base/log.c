/* SPDX-License-Identifier: MIT */
/* Log lines: formatted into a buffer on the stack, then written with one call each. */
#include "base/log.h"

#include "base/clock.h"
#include "base/sys.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_BYTES 512 /* longer lines are truncated */
#define LOG_WINDOW_NS  1000000000ull

static const struct {
    const char *name;
    int syslog_priority;
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", LOG_ERR},
    [LOG_LEVEL_WARN] = {"warning", LOG_WARNING},
    [LOG_LEVEL_INFO] = {"info", LOG_INFO},
    [LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
};

/* "dmtr 2026-01-31T12:00:00.123456Z warning: text", in UTC */
static void emit_stderr(enum log_level level, const char *text) {
    char line[LOG_LINE_BYTES + 64], stamp[32];
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    int len =
        snprintf(line, sizeof line, "dmtr %s.%06ldZ %s: %s\n", stamp, now.tv_nsec / 1000, levels[level].name, text);
    if (len < 0) return;
    if ((size_t)len >= sizeof line) len = (int)sizeof line - 1;
    (void)SYS(write, STDERR_FILENO, line, (size_t)len); /* a failed log write cannot be reported anywhere */
}

static void emit(const struct log *l, enum log_level level, const char *text) {
    if (l->sink == LOG_SINK_STDERR) emit_stderr(level, text);
    if (l->sink == LOG_SINK_SYSLOG) syslog(LOG_USER | levels[level].syslog_priority, "dmtr: %s", text);
}

/*
 * Whether the site may log a line now. *suppressed is the number of lines suppressed since the last one, if not
 * reported yet.
 */
static bool site_allows(struct log_site *site, uint32_t *suppressed) {
    uint64_t now = clock_now_ns();
    *suppressed = 0;
    if (site->in_window == 0 || now - site->window_start_ns >= LOG_WINDOW_NS) {
        *suppressed = site->suppressed;
        site->window_start_ns = now;
        site->in_window = site->suppressed = 0;
    }
    if (site->in_window == LOG_BURST) {
        site->suppressed++;
        return false;
    }
    site->in_window++;
    return true;
}

void log_vwrite(const struct log *l, enum log_level level, struct log_site *site, const char *fmt, va_list args) {
    char text[LOG_LINE_BYTES];
    uint32_t suppressed;
    int saved_errno = errno;
    if (l->sink == LOG_SINK_NONE || !site_allows(site, &suppressed)) return;
    if (suppressed) {
        snprintf(text, sizeof text, "%u more lines like the next were suppressed", suppressed);
        emit(l, level, text);
    }
    vsnprintf(text, sizeof text, fmt, args);
    emit(l, level, text);
    errno = saved_errno;
}

void log_write(const struct log *l, enum log_level level, struct log_site *site, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    log_vwrite(l, level, site, fmt, args);
    va_end(args);
}
