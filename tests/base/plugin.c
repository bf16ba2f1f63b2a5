/* SPDX-License-Identifier: MIT */
/* base/plugin.h: a shared object that fits, and every kind that does not. */
#include "plugin_fake.h"

#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char why[512];

static int add(int a, int b) {
    return a + b;
}

static int load(const char *name, const void **ops) {
    static const struct fake_host host = {{DMTR_VERSION, sizeof host}, add};
    why[0] = '\0';
    return plugin_load(name, &host.head, ops, why, sizeof why);
}

static void a_plugin_calls_the_library_through_its_table(void **state) {
    const void *ops, *again;
    (void)state;
    if (load("fake-good", &ops)) fail_msg("%s", why);
    assert_int_equal(((const struct fake_ops *)ops)->twice(21), 42);
    assert_int_equal(load("fake-good", &again), 0);
    assert_ptr_equal(ops, again);
}

static void refused(const char *name, int error, const char *reason) {
    const void *ops = NULL;
    char file[64];
    assert_int_equal(load(name, &ops), error);
    assert_null(ops);
    snprintf(file, sizeof file, "/%s.so", name);
    if (!strstr(why, file) || !strstr(why, reason)) fail_msg("%s", why);
}

static void a_plugin_of_another_version_is_refused(void **state) {
    (void)state;
    refused("fake-version", -ELIBBAD, "has version 0.0.0 and the library has version " DMTR_VERSION);
}

static void a_plugin_with_another_table_is_refused(void **state) {
    (void)state;
    refused("fake-size", -ELIBBAD, "different builds");
}

static void an_object_without_an_entry_is_refused(void **state) {
    (void)state;
    refused("fake-empty", -ELIBACC, "is not a plug-in");
}

static void a_missing_file_is_refused(void **state) {
    (void)state;
    refused("fake-nosuch", -ENOENT, "is missing");
}

static void a_file_that_is_not_an_object_is_refused(void **state) {
    char folder[] = "/tmp/dmtr-test-plugin-XXXXXX", path[64], *before = strdup(getenv(PLUGIN_PATH_VARIABLE));
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/fake-text.so", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("text\n", f);
    fclose(f);
    setenv(PLUGIN_PATH_VARIABLE, folder, 1);
    refused("fake-text", -ELIBACC, "does not load");
    setenv(PLUGIN_PATH_VARIABLE, before, 1);
    free(before);
    remove(path);
    remove(folder);
}

static void a_folder_whose_name_is_too_long_is_refused(void **state) {
    static char folder[8192];
    const void *ops;
    char *before = strdup(getenv(PLUGIN_PATH_VARIABLE));
    (void)state;
    memset(folder, 'x', sizeof folder - 1);
    setenv(PLUGIN_PATH_VARIABLE, folder, 1);
    assert_int_equal(load("fake-good", &ops), -ENAMETOOLONG);
    setenv(PLUGIN_PATH_VARIABLE, before, 1);
    free(before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plugin_calls_the_library_through_its_table),
        cmocka_unit_test(a_plugin_of_another_version_is_refused),
        cmocka_unit_test(a_plugin_with_another_table_is_refused),
        cmocka_unit_test(an_object_without_an_entry_is_refused),
        cmocka_unit_test(a_missing_file_is_refused),
        cmocka_unit_test(a_file_that_is_not_an_object_is_refused),
        cmocka_unit_test(a_folder_whose_name_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
