/* SPDX-License-Identifier: MIT */
/* Plays a script against a backend. */
#ifndef TESTS_SCRIPT_PLAY_H
#define TESTS_SCRIPT_PLAY_H

#include "backend.h"

/* False: prints what was expected and what came, as lines of TAP comment. */
bool play(const struct script *s, const struct backend_ops *ops);

#endif
