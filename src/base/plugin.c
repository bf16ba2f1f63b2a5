/* SPDX-License-Identifier: MIT */
/* Finds, loads and checks the shared object of a plug-in. */
#include "base/plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Serialises loading, because a plug-in's entry function stores the host's table. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int fail(char *why, size_t why_bytes, int error, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static int fail(char *why, size_t why_bytes, int error, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, why_bytes, fmt, args);
    va_end(args);
    return error;
}

/* The loader reports the program itself first; returning 1 stops there. */
static int find_interpreter(struct dl_phdr_info *info, size_t bytes, void *found) {
    (void)bytes;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_INTERP) *(bool *)found = true;
    return 1;
}

static bool is_linked_statically(void) {
    bool interpreter = false;
    dl_iterate_phdr(find_interpreter, &interpreter);
    return !interpreter;
}

static int load(const char *path, const struct plugin_host *host, const void **ops, char *why, size_t why_bytes) {
    /*
     * Looked up by name: with a direct reference the linker would warn in every statically linked program, which never
     * gets here.
     */
    void *(*open)(const char *path, int flags) = (void *(*)(const char *, int))dlsym(RTLD_DEFAULT, "dlopen");
    void *object = open ? open(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) : NULL;
    if (!object) return fail(why, why_bytes, -ELIBACC, "plug-in %s does not load: %s", path, dlerror());
    plugin_entry_fn *entry = (plugin_entry_fn *)dlsym(object, PLUGIN_ENTRY);
    if (!entry) return fail(why, why_bytes, -ELIBACC, "%s is not a plug-in: it does not export " PLUGIN_ENTRY, path);
    struct plugin plugin = {.ops = NULL};
    entry(host, &plugin);
    if (strcmp(plugin.version, host->version) != 0)
        return fail(why, why_bytes, -ELIBBAD, "plug-in %s has version %s and the library has version %s", path,
                    plugin.version, host->version);
    if (plugin.host_bytes != host->bytes)
        return fail(why, why_bytes, -ELIBBAD, "plug-in %s and the library come from different builds of version %s",
                    path, host->version);
    *ops = plugin.ops;
    return 0;
}

int plugin_load(const char *name, const struct plugin_host *host, const void **ops, char *why, size_t why_bytes) {
    char path[PATH_MAX];
    const char *folder = secure_getenv(PLUGIN_PATH_VARIABLE);
    if (!folder || !*folder) folder = DMTR_PLUGIN_FOLDER;
    int len = snprintf(path, sizeof path, "%s/%s.so", folder, name);
    if (len < 0 || (size_t)len >= sizeof path)
        return fail(why, why_bytes, -ENAMETOOLONG, "the name of the plug-in folder is too long: %.40s...", folder);
    if (is_linked_statically())
        return fail(why, why_bytes, -ENOEXEC, "a statically linked program cannot load the plug-in %s", path);
    if (access(path, F_OK) != 0)
        return fail(why, why_bytes, -ENOENT, "the plug-in %s is missing (%s)", path, strerror(errno));
    pthread_mutex_lock(&lock);
    int r = load(path, host, ops, why, why_bytes);
    pthread_mutex_unlock(&lock);
    return r;
}
