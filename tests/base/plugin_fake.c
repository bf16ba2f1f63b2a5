/* SPDX-License-Identifier: MIT */
/*
 * A plug-in that doubles numbers with the host's add; also built with a wrong version, with a wrong size and without an
 * entry function.
 */
#include "plugin_fake.h"

#include <string.h>

#ifndef FAKE_VERSION
#define FAKE_VERSION DMTR_VERSION
#endif
#ifndef FAKE_BYTES
#define FAKE_BYTES sizeof(struct fake_host)
#endif

#ifdef FAKE_EMPTY
__attribute__((visibility("default"))) int nothing_here(void);
int nothing_here(void) {
    return 0;
}
#else
static const struct fake_host *host;

static int twice(int n) {
    return host->add(n, n);
}

__attribute__((visibility("default"))) plugin_entry_fn dmtr_plugin;
void dmtr_plugin(const struct plugin_host *library, struct plugin *plugin) {
    static const struct fake_ops ops = {twice};
    *plugin = (struct plugin){.version = FAKE_VERSION, .host_bytes = FAKE_BYTES};
    if (library->bytes != FAKE_BYTES || strcmp(library->version, FAKE_VERSION) != 0) return;
    host = (const struct fake_host *)library;
    plugin->ops = &ops;
}
#endif
