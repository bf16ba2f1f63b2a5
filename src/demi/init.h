/* SPDX-License-Identifier: MIT */
/* State that demi_init keeps for later calls. */
#ifndef DEMI_INIT_H
#define DEMI_INIT_H

#include "settings.h"

/* This thread's, set by demi_init. */
extern _Thread_local struct settings init_settings;

#endif
