/* SPDX-License-Identifier: MIT */
/* Prints the devices of this build and their options. */
#include "netdev/options.h"

#include <inttypes.h>

#define VALUES_MAX 96

static void values(const struct netdev_option *o, char text[VALUES_MAX]) {
    switch (o->type) {
    case NETDEV_OPTION_NUMBER:
        if (o->max == UINT64_MAX)
            snprintf(text, VALUES_MAX, "%" PRIu64 " or more%s%s", o->min, *o->unit ? " " : "", o->unit);
        else
            snprintf(text, VALUES_MAX, "%" PRIu64 "...%" PRIu64 "%s%s", o->min, o->max, *o->unit ? " " : "", o->unit);
        return;
    case NETDEV_OPTION_FLAG:
        snprintf(text, VALUES_MAX, "yes|no");
        return;
    case NETDEV_OPTION_TEXT:
        snprintf(text, VALUES_MAX, "%s", o->unit);
        return;
    case NETDEV_OPTION_CHANCE:
        snprintf(text, VALUES_MAX, "0...1");
        return;
    case NETDEV_OPTION_MAC:
        snprintf(text, VALUES_MAX, "MAC address");
        return;
    }
}

int netdev_print(FILE *f, enum doc_format format) {
    const struct netdev_ops *ops;
    for (size_t i = 0; (ops = netdev_at(i)); i++) {
        doc_section(f, format, ops->name, ops->text);
        if (ops->options_count == 0) continue;
        doc_list_begin(f, format);
        for (size_t k = 0; k < ops->options_count; k++) {
            const struct netdev_option *o = &ops->options[k];
            char valid[VALUES_MAX];
            values(o, valid);
            doc_option(f, format,
                       &(struct doc_option){
                           .key = o->name, .values = valid, .def = o->def, .def_text = o->def_text, .text = o->text});
        }
        doc_list_end(f, format);
    }
    return doc_finish(f);
}
