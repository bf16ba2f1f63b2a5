/* SPDX-License-Identifier: MIT */
/* The table that the test passes to its plug-ins, and the one that they return. */
#ifndef TESTS_BASE_PLUGIN_FAKE_H
#define TESTS_BASE_PLUGIN_FAKE_H

#include "base/plugin.h"

struct fake_host {
    struct plugin_host head;
    int (*add)(int a, int b);
};

struct fake_ops {
    int (*twice)(int n);
};

#endif
