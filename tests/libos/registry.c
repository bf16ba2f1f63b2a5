/* SPDX-License-Identifier: MIT */
/* libos/registry.h */
#include "libos/registry.h"

#include "../base/test.h"

#include <string.h>

static void every_libos_is_found_by_its_name(void **state) {
    (void)state;
    const struct libos *libos;
    for (size_t i = 0; (libos = libos_at(i)); i++)
        assert_ptr_equal(libos_find(libos->name), libos);
    assert_null(libos_find("no-such"));
}

static void what_is_not_there_is_explained(void **state) {
    (void)state;
    char why[160];
    libos_explain("lwip", why, sizeof why);
    assert_non_null(strstr(why, "scripts/setup/lwip.sh"));
    libos_explain("no-such", why, sizeof why);
    assert_non_null(strstr(why, " posix inet"));
    libos_explain("no-such", why, 12); /* cut, and no more */
    assert_string_equal(why, "there is no");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_libos_is_found_by_its_name),
        cmocka_unit_test(what_is_not_there_is_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
