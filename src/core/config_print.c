/* SPDX-License-Identifier: MIT */
/* Prints the option table as text. */
#include "core/config.h"

#define VALUES_MAX 128

/* Formats the valid values ("0...100 us", "a|b|c") and the default of an option. */
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

int config_print(FILE *f, const struct config_group *const *groups, enum doc_format format) {
    const struct config_option *o;
    char valid[VALUES_MAX], def[VALUES_MAX], env[CONFIG_ENV_MAX];
    doc_list_begin(f, format);
    for (uint32_t i = 0; (o = config_option_at(groups, i, NULL)); i++) {
        values(o, valid, def);
        config_env_name(o, env);
        doc_option(
            f, format,
            &(struct doc_option){.key = o->key, .values = valid, .def = def, .environment = env, .text = o->text});
    }
    doc_list_end(f, format);
    return doc_finish(f);
}
