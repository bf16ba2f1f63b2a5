/* dmtr: looks at running programs and at the library itself. */
#include "dmtr.h"
#include "options.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char *argv[]);
    const char *text;
} commands[] = {
    {"ss", command_ss, "the counters of all running programs"},
    {"options", command_options, "the options of the library"},
    {"version", command_version, "the version"},
};

static void print_help(FILE *f) {
    fprintf(f, "Usage: dmtr COMMAND [options]\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(f, "  %-10s %s\n", commands[i].name, commands[i].text);
    fprintf(f, "\n`dmtr COMMAND --help` tells its options.\n");
}

int main(int argc, char *argv[]) {
    const char *name = argc > 1 ? argv[1] : "";
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(name, commands[i].name) == 0) return commands[i].run(argc - 1, argv + 1);
    bool help = strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0;
    if (!help && *name) fprintf(stderr, "dmtr: no command \"%s\"\n", name);
    print_help(help ? stdout : stderr);
    return help ? 0 : EXIT_USAGE;
}
