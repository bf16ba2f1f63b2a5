/* SPDX-License-Identifier: MIT */
/* Prints tables of options for readers. */
#include "base/doc.h"

#include <errno.h>

const char *const doc_formats[] = {[DOC_PLAIN] = "plain", [DOC_MDOC] = "mdoc", [DOC_MARKDOWN] = "markdown", NULL};

/*
 * A plain-text heading must not look like an option, which starts in the first column and has its values in
 * parentheses.
 */
void doc_section(FILE *f, enum doc_format format, const char *name, const char *text) {
    static const char *const forms[] = {
        [DOC_PLAIN] = "%s: %s.\n", [DOC_MDOC] = ".Ss %s\n%s.\n", [DOC_MARKDOWN] = "## %s\n\n%s.\n\n"};
    fprintf(f, forms[format], name, text);
}

void doc_list_begin(FILE *f, enum doc_format format) {
    if (format == DOC_MARKDOWN) fputs("| key | default | values | meaning |\n|---|---|---|---|\n", f);
    if (format == DOC_MDOC) fputs(".Bl -tag -width Ds\n", f);
}

void doc_list_end(FILE *f, enum doc_format format) {
    if (format == DOC_MDOC) fputs(".El\n", f);
    if (format == DOC_MARKDOWN) fputc('\n', f);
}

static void print_plain(FILE *f, const struct doc_option *o) {
    fprintf(f, "%s  (%s; ", o->key, o->values);
    if (o->def || o->def_text)
        fprintf(f, "default %s", o->def ? o->def : o->def_text);
    else
        fputs("required", f);
    if (o->environment) fprintf(f, "; %s", o->environment);
    fprintf(f, ")\n    %s.\n", o->text);
}

static void print_mdoc(FILE *f, const struct doc_option *o) {
    fprintf(f, ".It Cm %s\n%s.\n%s; ", o->key, o->text, o->values);
    if (o->def)
        fprintf(f, "the default is\n.Cm %s .\n", o->def);
    else if (o->def_text)
        fprintf(f, "the default is %s.\n", o->def_text);
    else
        fputs("required.\n", f);
    if (o->environment) fprintf(f, "Environment:\n.Ev %s .\n", o->environment);
}

static void print_markdown(FILE *f, const struct doc_option *o) {
    const char *mark = o->def ? "`" : "", *def_text = o->def_text ? o->def_text : "required";
    fprintf(f, "| `%s` | %s%s%s | ", o->key, mark, o->def ? o->def : def_text, mark);
    for (const char *p = o->values; *p; p++)
        fprintf(f, "%s%c", *p == '|' ? "\\" : "", *p); /* an unescaped bar would end the table cell */
    fprintf(f, " | %s |\n", o->text);
}

void doc_option(FILE *f, enum doc_format format, const struct doc_option *o) {
    static void (*const print[])(FILE *, const struct doc_option *) = {
        [DOC_PLAIN] = print_plain, [DOC_MDOC] = print_mdoc, [DOC_MARKDOWN] = print_markdown};
    print[format](f, o);
}

int doc_finish(FILE *f) {
    return ferror(f) ? -EIO : 0;
}
