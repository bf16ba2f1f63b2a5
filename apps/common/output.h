/* SPDX-License-Identifier: MIT */
/* Result files that the user asked for; the path "-" is stdout. */
#ifndef APPS_OUTPUT_H
#define APPS_OUTPUT_H

#include <stdio.h>

/* Before the work whose result it takes: whether a file can be written; NULL can. 0, or -1 with the reason on stderr.
 */
int output_check(const char *path);

/* Writes it anew. 0, or -1 with the reason on stderr. */
int output_write(const char *path, void (*write)(FILE *f, const void *arg), const void *arg);

#endif
