/* SPDX-License-Identifier: MIT */
/*
 * Plug-ins: shared objects that the library loads at run time, so that a program which does not use a part does not
 * load that part's libraries.
 *
 * A plug-in does not link the library. It exports one function, plugin_entry_fn, and the library passes it a table of
 * the functions that the plug-in may call. The table begins with struct plugin_host. Library and plug-in must be of one
 * version, because they share the internal structures.
 */
#ifndef BASE_PLUGIN_H
#define BASE_PLUGIN_H

#include <stddef.h>

/* Names the folder of plug-ins, in place of the compiled-in one. Ignored in setuid programs (secure_getenv). */
#define PLUGIN_PATH_VARIABLE "DMTR_PLUGIN_PATH"

struct plugin_host {
    const char *version; /* DMTR_VERSION */
    size_t bytes;        /* of the whole table */
};

/* Filled in by the plug-in's entry function. */
struct plugin {
    const char *version; /* DMTR_VERSION of its build; always set */
    size_t host_bytes;   /* the table size that it expects; always set */
    const void *ops;     /* its function table; NULL if the versions or sizes differ */
};

#define PLUGIN_ENTRY "dmtr_plugin"
typedef void plugin_entry_fn(const struct plugin_host *host, struct plugin *plugin);

/*
 * Loads the plug-in `name` (such as "netdev-dpdk") and passes it `host`. It stays loaded for the life of the process.
 * Returns 0 and sets *ops, or returns -ENOENT (the file is missing), -ELIBACC (it cannot be loaded, or is not a
 * plug-in), -ELIBBAD (it has another version), -ENOEXEC (the program is linked statically and cannot load plug-ins) or
 * -ENAMETOOLONG. After an error `why` holds one line that names the path. Any thread may call this; a second call
 * returns the same ops.
 */
int plugin_load(const char *name, const struct plugin_host *host, const void **ops, char *why, size_t why_bytes);

#endif
