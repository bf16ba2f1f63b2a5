/* Prints the page dmtr_config(5): its source, argv[1], with the table of options for the line @OPTIONS@. */
#include "core/config.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char *argv[]) {
    char line[1024];
    FILE *f = argc == 2 ? fopen(argv[1], "r") : NULL;
    int r = 0;
    if (!f) {
        fprintf(stderr, "usage: config_page FILE\n");
        return 1;
    }
    while (!r && fgets(line, sizeof line, f)) {
        if (strcmp(line, "@OPTIONS@\n") == 0)
            r = config_print(stdout, CONFIG_MDOC);
        else
            fputs(line, stdout);
    }
    fclose(f);
    return r || fflush(stdout) ? 1 : 0;
}
