/* SPDX-License-Identifier: MIT */
/*
 * Prints a manual page from its source, argv[1]. Replaces the lines @OPTIONS@ and @DEVICES@ by tables of options, and
 * @FILE NAME@ by the text of a program in the folder argv[2].
 */
#include "core/config.h"
#include "libos/registry.h"
#include "netdev/options.h"

#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 1024

/* Prints the program without its first line, the licence. Returns 0, or -1 if the file cannot be read. */
static int print_program(const char *folder, const char *name) {
    char path[LINE_MAX_BYTES], line[LINE_MAX_BYTES];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = n > 0 && (size_t)n < sizeof path ? fopen(path, "r") : NULL;
    if (!f) return -1;
    if (!fgets(line, sizeof line, f)) {
        fclose(f);
        return -1;
    }
    puts(".Bd -literal -compact");
    while (fgets(line, sizeof line, f)) {
        if (*line == '.' || *line == '\'') fputs("\\&", stdout); /* else mdoc would take it for a macro */
        for (const char *p = line; *p; p++)
            fputs(*p == '\\' ? "\\e" : (char[]){*p, '\0'}, stdout);
    }
    puts(".Ed");
    fclose(f);
    return 0;
}

int main(int argc, char *argv[]) {
    char line[LINE_MAX_BYTES], name[LINE_MAX_BYTES];
    FILE *f = argc == 2 || argc == 3 ? fopen(argv[1], "r") : NULL;
    int r = 0;
    if (!f) {
        fprintf(stderr, "usage: options_page FILE [FOLDER]\n");
        return 1;
    }
    while (!r && fgets(line, sizeof line, f)) {
        if (strcmp(line, "@OPTIONS@\n") == 0)
            r = config_print(stdout, libos_option_groups, DOC_MDOC);
        else if (strcmp(line, "@DEVICES@\n") == 0)
            r = netdev_print(stdout, DOC_MDOC);
        else if (argc == 3 && sscanf(line, "@FILE %1000[^@]@", name) == 1)
            r = print_program(argv[2], name);
        else
            fputs(line, stdout);
    }
    fclose(f);
    return r || fflush(stdout) ? 1 : 0;
}
