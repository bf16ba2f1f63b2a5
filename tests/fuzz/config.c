/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: configuration. The input is read twice, as a file and as lines of KEY=VALUE. Whatever it holds, the
 * answer is "fine", and then every option is within its bounds, or one printable line that says what is wrong.
 */
#include "core/config.h"
#include "fuzz.h"
#include "libos/registry.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

static int file = -1;
static char path[32];

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    file = memfd_create("dmtr-fuzz", MFD_CLOEXEC);
    must(file >= 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return 0;
}

static void within_bounds(const char *field, const struct config_option *o) {
    uint64_t number;
    int choice, choices = 0;
    switch (o->type) {
    case CONFIG_TYPE_UINT:
        memcpy(&number, field, sizeof number);
        must(number >= o->min && number <= o->max);
        break;
    case CONFIG_TYPE_ENUM:
        memcpy(&choice, field, sizeof choice);
        while (o->choices[choices])
            choices++;
        must(choice >= 0 && choice < choices);
        break;
    case CONFIG_TYPE_BOOL:
        must(field[0] == 0 || field[0] == 1);
        break;
    case CONFIG_TYPE_STRING:
        must(field[0] != '\0' && memchr(field, '\0', CONFIG_STRING_MAX));
        break;
    }
}

static void check(const struct config *c, int r, const char error[CONFIG_ERROR_MAX], const char *where) {
    must(r == 0 || r == -EINVAL);
    if (r) {
        must(memchr(error, '\0', CONFIG_ERROR_MAX) && strncmp(error, where, strlen(where)) == 0);
        for (const char *p = error; *p; p++)
            must((unsigned char)*p >= ' ' && *p != '\x7f');
    }
    const struct config_option *o;
    size_t offset;
    for (uint32_t i = 0; (o = config_option_at(c->groups, i, &offset)); i++)
        within_bounds((const char *)c + offset, o);
}

static void as_file(const uint8_t *data, size_t size) {
    struct config c;
    char error[CONFIG_ERROR_MAX] = "";
    must(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
    config_init(&c, libos_option_groups);
    check(&c, config_load_file(&c, path, error), error, path);
}

static bool same(const struct config *a, const struct config *b) {
    static const size_t sizes[] = {[CONFIG_TYPE_UINT] = sizeof(uint64_t),
                                   [CONFIG_TYPE_ENUM] = sizeof(int),
                                   [CONFIG_TYPE_BOOL] = sizeof(bool),
                                   [CONFIG_TYPE_STRING] = CONFIG_STRING_MAX};
    const struct config_option *o;
    size_t offset;
    for (uint32_t i = 0; (o = config_option_at(a->groups, i, &offset)); i++)
        if (memcmp((const char *)a + offset, (const char *)b + offset, sizes[o->type]) != 0) return false;
    return true;
}

static void as_settings(char *text) {
    struct config c, before;
    char error[CONFIG_ERROR_MAX] = "", *rest = text;
    config_init(&c, libos_option_groups);
    for (char *line; (line = strsep(&rest, "\n"));) {
        char *value = strchr(line, '=');
        if (!value) continue;
        *value++ = '\0';
        before = c;
        int r = config_set(&c, line, value, "here", error);
        check(&c, r, error, "here");
        must(r == 0 || same(&c, &before));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = calloc(1, size + 1);
    must(text);
    if (size) memcpy(text, data, size);
    as_file(data, size);
    as_settings(text);
    free(text);
    return 0;
}
