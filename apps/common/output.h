/* SPDX-License-Identifier: MIT */
/* Result files that the user has requested; the path "-" is stdout. */
#ifndef APPS_OUTPUT_H
#define APPS_OUTPUT_H

#include <stdio.h>

/* Checks before the run that the file can be written; NULL: no file. 0, or -1 with the reason on stderr. */
int output_check(const char *path);

/* Replaces the file's content. 0, or -1 with the reason on stderr. */
int output_write(const char *path, void (*write)(FILE *f, const void *arg), const void *arg);

#endif
