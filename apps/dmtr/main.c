/* SPDX-License-Identifier: MIT */
/* dmtr: shows running programs and the library's options. */
#include "dmtr.h"
#include "options.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name; /* with the program's name, for messages */
    int (*run)(int argc, char *argv[]);
    const char *text;
} commands[] = {
    {"dmtr ss", command_ss, "the counters of all running programs"},
    {"dmtr options", command_options, "the options of the library and of its network devices"},
    {"dmtr version", command_version, "the version"},
};
#define COMMANDS (sizeof commands / sizeof *commands)

static const char *name_of(size_t i) {
    return commands[i].name + strlen("dmtr ");
}

static void print_help(FILE *f) {
    fprintf(f, "Usage: dmtr COMMAND [options]\n\n");
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(f, "  %-10s %s\n", name_of(i), commands[i].text);
    fprintf(f, "\n`dmtr COMMAND --help` lists its options.\n");
}

static int refuse(const char *given) {
    const char *names[COMMANDS + 1] = {NULL}, *nearest;
    for (size_t i = 0; i < COMMANDS; i++)
        names[i] = name_of(i);
    nearest = options_nearest(given, names);
    fprintf(stderr, "dmtr: there is no command \"%s\"", given);
    if (nearest) fprintf(stderr, "; did you mean \"%s\"?", nearest);
    fprintf(stderr, "%s see dmtr --help\n", nearest ? "" : ";");
    return EXIT_USAGE;
}

int main(int argc, char *argv[]) {
    const char *name = argc > 1 ? argv[1] : "";
    bool help = strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0;
    if (strcmp(name, "--version") == 0) name = "version";
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(name, name_of(i)) != 0) continue;
        argv[1] = (char *)(uintptr_t)commands[i].name;
        return commands[i].run(argc - 1, argv + 1);
    }
    if (!help && *name) return refuse(name);
    print_help(help ? stdout : stderr);
    return help ? options_flush("dmtr") : EXIT_USAGE;
}
