/* SPDX-License-Identifier: MIT */
/* Result files. */
#include "output.h"

#include <errno.h>
#include <string.h>

static int fail(const char *path, int error) {
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, path, strerror(error));
    return -1;
}

int output_check(const char *path) {
    FILE *f;
    if (!path || strcmp(path, "-") == 0) return 0;
    f = fopen(path, "a"); /* append mode keeps the old content until there is a result */
    if (!f) return fail(path, errno);
    fclose(f);
    return 0;
}

int output_write(const char *path, void (*write)(FILE *f, const void *arg), const void *arg) {
    FILE *f = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    int error = 0;
    if (!f) return fail(path, errno);
    write(f, arg);
    errno = 0;
    if (fflush(f) != 0 || ferror(f)) error = errno ? errno : EIO;
    if (f != stdout && fclose(f) != 0 && !error) error = errno;
    return error ? fail(path, error) : 0;
}
