/* SPDX-License-Identifier: MIT */
/* Prints a manual page: its source, argv[1], with tables of options for the lines @OPTIONS@ and @DEVICES@. */
#include "core/config.h"
#include "libos/registry.h"
#include "netdev/options.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char *argv[]) {
    char line[1024];
    FILE *f = argc == 2 ? fopen(argv[1], "r") : NULL;
    int r = 0;
    if (!f) {
        fprintf(stderr, "usage: options_page FILE\n");
        return 1;
    }
    while (!r && fgets(line, sizeof line, f)) {
        if (strcmp(line, "@OPTIONS@\n") == 0)
            r = config_print(stdout, libos_option_groups, DOC_MDOC);
        else if (strcmp(line, "@DEVICES@\n") == 0)
            r = netdev_print(stdout, DOC_MDOC);
        else
            fputs(line, stdout);
    }
    fclose(f);
    return r || fflush(stdout) ? 1 : 0;
}
