/* SPDX-License-Identifier: MIT */
/* base/log.h: tests replace stderr by a pipe and read the lines from it. */
#include "base/log.h"

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int pipe_fds[2], saved_stderr;
static char captured[65536];

static int redirect(void **state) {
    (void)state;
    saved_stderr = dup(STDERR_FILENO);
    if (pipe2(pipe_fds, O_NONBLOCK) < 0) return -1;
    return dup2(pipe_fds[1], STDERR_FILENO) < 0 ? -1 : 0;
}

static int restore(void **state) {
    (void)state;
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return 0;
}

static const char *capture(void) {
    ssize_t n = read(pipe_fds[0], captured, sizeof captured - 1);
    captured[n > 0 ? n : 0] = '\0';
    return captured;
}

static int count_lines(const char *text) {
    int n = 0;
    while ((text = strchr(text, '\n'))) {
        text++;
        n++;
    }
    return n;
}

static void line_has_time_level_and_text(void **state) {
    (void)state;
    struct log l = {LOG_LEVEL_INFO, LOG_SINK_STDERR};
    int year, month, day, hour, minute, used = 0;
    double second;
    errno = EBUSY;
    log_warn(&l, "queue %d is %s", 7, "full");
    assert_int_equal(errno, EBUSY);
    const char *line = capture();
    assert_int_equal(sscanf(line, "dmtr %d-%d-%dT%d:%d:%lfZ%n", &year, &month, &day, &hour, &minute, &second, &used),
                     6);
    assert_uint_in_range(year, 2020, 9999);
    assert_string_equal(line + used, " warning: queue 7 is full\n");
}

static void disabled_levels_do_not_evaluate_their_arguments(void **state) {
    (void)state;
    struct log l = {LOG_LEVEL_WARN, LOG_SINK_STDERR};
    int evaluated = 0;
    log_info(&l, "%d", ++evaluated);
    log_debug(&l, "%d", ++evaluated);
    assert_int_equal(evaluated, 0);
    log_error(&l, "%d", ++evaluated);
    assert_int_equal(evaluated, 1);
    assert_int_equal(count_lines(capture()), 1);
}

static void none_and_syslog_sinks_do_not_write_to_stderr(void **state) {
    (void)state;
    struct log none = {LOG_LEVEL_DEBUG, LOG_SINK_NONE}, sys = {LOG_LEVEL_DEBUG, LOG_SINK_SYSLOG};
    log_error(&none, "discarded");
    log_debug(&sys, "a test of the log");
    assert_string_equal(capture(), "");
}

static void long_text_is_truncated_to_one_line(void **state) {
    (void)state;
    struct log l = {LOG_LEVEL_INFO, LOG_SINK_STDERR};
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_info(&l, "%s", text);
    const char *line = capture();
    assert_int_equal(count_lines(line), 1);
    assert_uint_in_range(strlen(line), 500, 600);
}

static void repeating_site_is_limited_and_reports_suppressed_lines(void **state) {
    (void)state;
    struct log l = {LOG_LEVEL_INFO, LOG_SINK_STDERR};
    struct log_site site = {0};
    for (int i = 0; i < LOG_BURST + 25; i++)
        log_write(&l, LOG_LEVEL_INFO, &site, "line %d", i);
    assert_int_equal(count_lines(capture()), LOG_BURST);
    site.window_start_ns -= 2000000000; /* as if two seconds had passed */
    log_write(&l, LOG_LEVEL_INFO, &site, "last");
    const char *lines = capture();
    assert_int_equal(count_lines(lines), 2);
    assert_non_null(strstr(lines, "25 more lines"));
    assert_non_null(strstr(lines, "last"));
    log_write(&l, LOG_LEVEL_INFO, &site, "next");
    assert_int_equal(count_lines(capture()), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(line_has_time_level_and_text, redirect, restore),
        cmocka_unit_test_setup_teardown(disabled_levels_do_not_evaluate_their_arguments, redirect, restore),
        cmocka_unit_test_setup_teardown(none_and_syslog_sinks_do_not_write_to_stderr, redirect, restore),
        cmocka_unit_test_setup_teardown(long_text_is_truncated_to_one_line, redirect, restore),
        cmocka_unit_test_setup_teardown(repeating_site_is_limited_and_reports_suppressed_lines, redirect, restore),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
