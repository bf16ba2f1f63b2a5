/* SPDX-License-Identifier: MIT */
/* What demi_init left for the calls after it. */
#ifndef DEMI_INIT_H
#define DEMI_INIT_H

#include "settings.h"

/* This thread's, set by demi_init. */
extern _Thread_local struct settings init_settings;

#endif
