/* The option table as text for people: plain, mdoc(7) and Markdown. */
#include "core/config_table.h"

#include <errno.h>

#define VALUES_MAX 128

/* "0...100 us", "a|b|c": what may be given, and what is the default. */
static void values(const struct config_option *o, char buf[VALUES_MAX], char def[VALUES_MAX]) {
    size_t n = 0;
    snprintf(def, VALUES_MAX, "%llu", (unsigned long long)o->def);
    switch (o->type) {
    case CONFIG_TYPE_UINT:
        snprintf(buf, VALUES_MAX, "%llu...%llu %s", (unsigned long long)o->min, (unsigned long long)o->max, o->unit);
        break;
    case CONFIG_TYPE_ENUM:
        buf[0] = '\0';
        for (size_t i = 0; o->choices[i] && n < VALUES_MAX; i++)
            n += (size_t)snprintf(buf + n, VALUES_MAX - n, "%s%s", i ? "|" : "", o->choices[i]);
        snprintf(def, VALUES_MAX, "%s", o->choices[o->def]);
        break;
    case CONFIG_TYPE_BOOL:
        snprintf(buf, VALUES_MAX, "true|false");
        snprintf(def, VALUES_MAX, "%s", o->def ? "true" : "false");
        break;
    case CONFIG_TYPE_STRING:
        snprintf(buf, VALUES_MAX, "name");
        snprintf(def, VALUES_MAX, "%s", o->def_string);
        break;
    }
}

static void print_markdown(FILE *f, const struct config_option *o, const char *valid, const char *def) {
    fprintf(f, "| `%s` | `%s` | ", o->key, def);
    for (const char *p = valid; *p; p++)
        fprintf(f, "%s%c", *p == '|' ? "\\" : "", *p); /* a bar would end the table's cell */
    fprintf(f, " | %s |\n", o->text);
}

int config_print(FILE *f, enum config_format format) {
    char valid[VALUES_MAX], def[VALUES_MAX], env[CONFIG_ENV_MAX];
    if (format == CONFIG_MARKDOWN) fputs("| key | default | values | meaning |\n|---|---|---|---|\n", f);
    if (format == CONFIG_MDOC) fputs(".Bl -tag -width Ds\n", f);
    for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
        const struct config_option *o = &config_options[i];
        values(o, valid, def);
        config_env_name(o, env);
        switch (format) {
        case CONFIG_PLAIN:
            fprintf(f, "%s  (%s; default %s; %s)\n    %s.\n", o->key, valid, def, env, o->text);
            break;
        case CONFIG_MDOC:
            fprintf(f, ".It Cm %s\n%s.\n%s; the default is\n.Cm %s .\nEnvironment:\n.Ev %s .\n", o->key, o->text, valid,
                    def, env);
            break;
        case CONFIG_MARKDOWN:
            print_markdown(f, o, valid, def);
            break;
        }
    }
    if (format == CONFIG_MDOC) fputs(".El\n", f);
    return ferror(f) ? -EIO : 0;
}
