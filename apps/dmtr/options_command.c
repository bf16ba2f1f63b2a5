/* dmtr options: the table of the library's options, in the formats that documentation needs. */
#include "core/config.h"
#include "dmtr.h"
#include "options.h"

#include <string.h>

int command_options(int argc, char *argv[]) {
    static const char *const formats[] = {
        [CONFIG_PLAIN] = "plain", [CONFIG_MDOC] = "mdoc", [CONFIG_MARKDOWN] = "markdown"};
    const char *format = "plain";
    const struct option_spec specs[] = {{"format", OPTION_STRING, &format, "FORMAT", "plain, mdoc or markdown", 0, 0},
                                        {0}};
    enum options_result o = options_parse(argc, argv, "Prints the options of the library.", specs, NULL);
    if (o != OPTIONS_RUN) return o == OPTIONS_HELP ? 0 : EXIT_USAGE;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(format, formats[i]) == 0) return config_print(stdout, (enum config_format)i) == 0 ? 0 : 1;
    fprintf(stderr, "dmtr options: --format takes plain, mdoc or markdown, not \"%s\"\n", format);
    return EXIT_USAGE;
}
