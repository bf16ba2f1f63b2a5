/* SPDX-License-Identifier: MIT */
/* dmtr options: prints the options of the library, or of its network devices, in the formats for documentation. */
#include "core/config.h"
#include "dmtr.h"
#include "libos/registry.h"
#include "netdev/options.h"
#include "options.h"

#include <string.h>

int command_options(int argc, char *argv[]) {
    const char *format = "plain";
    bool devices = false;
    const struct option_spec specs[] = {
        {"devices", OPTION_FLAG, &devices, NULL, "print the network devices and their options instead", 0, 0},
        {"format", OPTION_STRING, &format, "FORMAT", "plain, mdoc or markdown", 0, 0},
        {0}};
    enum options_result o = options_parse(argc, argv, "Prints the options of the library.", specs, NULL);
    if (o != OPTIONS_RUN) return (int)o;
    for (int i = 0; doc_formats[i]; i++) {
        if (strcmp(format, doc_formats[i]) != 0) continue;
        (void)(devices ? netdev_print(stdout, (enum doc_format)i)
                       : config_print(stdout, libos_option_groups, (enum doc_format)i));
        return options_flush("dmtr options"); /* also reports earlier write errors */
    }
    fprintf(stderr, "dmtr options: --format takes plain, mdoc or markdown, not \"%s\"\n", format);
    return EXIT_USAGE;
}
