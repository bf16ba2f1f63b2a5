/* SPDX-License-Identifier: MIT */
/* script BACKEND FILE|FOLDER...: plays scripts, those of a folder in order of name. Speaks TAP. */
#include "play.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>

static bool play_file(const struct backend_ops *ops, const char *file, int number) {
    char error[1024];
    struct script s;
    const char *name = strrchr(file, '/');
    bool ok = script_read(&s, file, error, sizeof error);
    if (!ok) printf("# %s\n", error);
    ok = ok && play(&s, ops);
    script_free(&s);
    printf("%sok %d - %s\n", ok ? "" : "not ", number, name ? name + 1 : file);
    fflush(stdout);
    return ok;
}

/* The files meant by the arguments. */
static bool collect(glob_t *files, char **paths) {
    int flags = 0;
    for (; *paths; paths++, flags = GLOB_APPEND) {
        char pattern[4096];
        const char *dot = strrchr(*paths, '.');
        bool file = dot && strcmp(dot, ".pkt") == 0;
        snprintf(pattern, sizeof pattern, file ? "%s" : "%s/*.pkt", *paths);
        if (glob(pattern, flags, NULL, files)) {
            fprintf(stderr, "script: there is no %s\n", pattern);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv) {
    static const struct backend_ops *const backends[] = {&backend_frames, &backend_virtual, &backend_real};
    const struct backend_ops *ops = NULL;
    glob_t files = {.gl_pathc = 0};
    int failed = 0;
    for (size_t i = 0; argc > 1 && i < sizeof backends / sizeof *backends; i++)
        if (strcmp(backends[i]->name, argv[1]) == 0) ops = backends[i];
    if (!ops || argc < 3) {
        fprintf(stderr, "usage: script frames|virtual|real FILE|FOLDER...\n");
        return 2;
    }
    if (!collect(&files, argv + 2)) return 2;
    printf("1..%zu\n", files.gl_pathc);
    for (size_t i = 0; i < files.gl_pathc; i++)
        failed += !play_file(ops, files.gl_pathv[i], (int)i + 1);
    globfree(&files);
    return failed > 0;
}
