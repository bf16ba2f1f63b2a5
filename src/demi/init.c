/* demi_init: the environment and the arguments, turned into what dmtr_init understands. */
#include "init.h"

#include <ctype.h>
#include <demi/libos.h>
#include <dmtr/libos.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIBOS_MAX    64
#define LIBOS_OPTION "libos="

_Thread_local struct settings init_settings = SETTINGS_NONE;

static int complain(int code, const char *text) {
    fprintf(stderr, "demikernel: %s\n", text);
    return code;
}

/* "libos=NAME" for the name in LIBOS in lower case; empty if there is none. 0 or EINVAL. */
static int libos_setting(char setting[sizeof LIBOS_OPTION + LIBOS_MAX]) {
    const char *name = secure_getenv("LIBOS");
    setting[0] = '\0';
    if (!name || !*name) return 0;
    if (strlen(name) > LIBOS_MAX) return complain(EINVAL, "LIBOS: the name is too long");
    size_t n = sizeof LIBOS_OPTION - 1;
    memcpy(setting, LIBOS_OPTION, n);
    do
        setting[n++] = (char)tolower((unsigned char)*name);
    while (*name++);
    return 0;
}

static int load_settings(struct settings *s) {
    const char *path = secure_getenv("CONFIG_PATH");
    char error[SETTINGS_ERROR_MAX];
    if (!path || !*path) return 0;
    int r = settings_load(s, path, error);
    return r ? complain(r, error) : 0;
}

/* LIBOS goes before the program's own options, so that these win. */
static int start(int argc, char *const argv[], char *libos) {
    if (!*libos) return dmtr_init(argc, (char **)argv);
    char **with_libos = calloc((size_t)argc + 3, sizeof *with_libos);
    if (!with_libos) return ENOMEM;
    with_libos[0] = "--dmtr-set";
    with_libos[1] = libos;
    if (argc) memcpy(&with_libos[2], argv, (size_t)argc * sizeof *argv);
    int r = dmtr_init(argc + 2, with_libos);
    free(with_libos);
    return r;
}

int demi_init(const struct demi_args *args) {
    const int argc = args ? args->argc : 0;
    char *const *argv = args ? args->argv : NULL;
    char libos[sizeof LIBOS_OPTION + LIBOS_MAX];
    dmtr_runtime_t running;
    struct settings settings = SETTINGS_NONE;
    if (argc < 0 || argc > INT32_MAX - 2 || (argc > 0 && !argv)) return EINVAL;
    if (!dmtr_runtime_current(&running)) return EEXIST;
    int r = libos_setting(libos);
    if (!r) r = load_settings(&settings);
    if (!r) r = start(argc, argv, libos);
    if (!r) init_settings = settings;
    return r;
}
