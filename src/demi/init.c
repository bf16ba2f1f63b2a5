/* SPDX-License-Identifier: MIT */
/* demi_init: translates the environment and the arguments into arguments of dmtr_init. */
#include "init.h"
#include "backend.h"

#include <demi/libos.h>
#include <dmtr/libos.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Thread_local struct settings init_settings = SETTINGS_NONE;

static int complain(int code, const char *text) {
    fprintf(stderr, "demikernel: %s\n", text);
    return code;
}

/* The value of an environment variable; NULL: it is unset or empty. */
static const char *variable(const char *name) {
    const char *value = secure_getenv(name);
    return value && *value ? value : NULL;
}

static int load_settings(struct file_settings *s) {
    char error[SETTINGS_ERROR_MAX];
    int r = settings_load(s, variable("CONFIG_PATH"), error);
    return r ? complain(r, error) : 0;
}

static int choose_backend(struct backend_options *options, const struct network *network) {
    const char *name = variable("LIBOS");
    char error[BACKEND_ERROR_MAX];
    options->count = 0;
    int r = name ? backend_choose(options, name, network, error) : 0;
    return r ? complain(r, error) : 0;
}

/* Puts the backend's options before the program's arguments, so that the latter take precedence. */
static int start(int argc, char *const argv[], struct backend_options *options) {
    const int before = 2 * options->count;
    if (before == 0) return dmtr_init(argc, (char **)argv);
    char **all = calloc((size_t)argc + (size_t)before + 1, sizeof *all);
    if (!all) return ENOMEM;
    char **next = all;
    for (int i = 0; i < options->count; i++) {
        *next++ = "--dmtr-set";
        *next++ = options->text[i];
    }
    if (argc) memcpy(next, argv, (size_t)argc * sizeof *argv);
    int r = dmtr_init(argc + before, all);
    free(all);
    return r;
}

int demi_init(const struct demi_args *args) {
    const int argc = args ? args->argc : 0;
    char *const *argv = args ? args->argv : NULL;
    struct backend_options options;
    dmtr_runtime_t running;
    struct file_settings settings;
    if (argc < 0 || argc > INT32_MAX - 2 * BACKEND_OPTIONS_MAX - 1 || (argc > 0 && !argv)) return EINVAL;
    if (!dmtr_runtime_current(&running)) return EEXIST;
    int r = load_settings(&settings);
    if (!r) r = choose_backend(&options, &settings.network);
    if (!r) r = start(argc, argv, &options);
    if (r) return r;
    init_settings = settings.sockets;
    if (settings.linger)
        dmtr_log(DMTR_LOG_INFO,
                 "demikernel: tcp_socket_options.linger has no effect: a close delivers what was pushed");
    return 0;
}
