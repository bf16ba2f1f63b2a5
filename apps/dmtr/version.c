/* SPDX-License-Identifier: MIT */
/* dmtr version. */
#include "dmtr.h"
#include "options.h"

#include <stdio.h>

int command_version(int argc, char *argv[]) {
    static const struct option_spec none[] = {{0}};
    enum options_result o = options_parse(argc, argv, "Prints the version.", none, NULL);
    if (o != OPTIONS_RUN) return (int)o;
    printf("dmtr %s\n", DMTR_VERSION);
    return options_flush("dmtr version");
}
