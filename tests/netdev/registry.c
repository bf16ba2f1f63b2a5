/* netdev/netdev.h: devices by name, options, and refusals that say why. */
#include "netdev_test.h"

static void unknown_device_is_refused_with_the_names_there_are(void **state) {
    (void)state;
    char why[160] = "";
    struct netdev_args args = {.why = why, .why_bytes = sizeof why};
    struct netdev *dev = (struct netdev *)1;
    assert_int_equal(netdev_open("xdp", &args, &dev), -ENODEV);
    assert_null(dev);
    assert_non_null(strstr(why, "\"xdp\""));
    for (size_t i = 0; netdev_at(i); i++)
        assert_non_null(strstr(why, netdev_at(i)->name));
}

static void each_device_is_found_by_its_name(void **state) {
    (void)state;
    for (size_t i = 0; netdev_at(i); i++)
        assert_ptr_equal(netdev_find(netdev_at(i)->name), netdev_at(i));
    assert_null(netdev_find(""));
}

static void wrong_options_are_refused_by_every_device(void **state) {
    (void)state;
    for (size_t i = 0; netdev_at(i); i++) {
        static const char *const wrong[] = {"nonsense=1", "nonsense", "=", "host", "a=b=c"};
        if (netdev_at(i)->wraps) continue;
        for (size_t j = 0; j < sizeof wrong / sizeof *wrong; j++) {
            char why[160] = "";
            struct netdev_args args = {.options = wrong[j], .why = why, .why_bytes = sizeof why};
            struct netdev *dev;
            assert_int_equal(netdev_open(netdev_at(i)->name, &args, &dev), -EINVAL);
            assert_string_not_equal(why, "");
        }
    }
}

static void closing_nothing_does_nothing(void **state) {
    (void)state;
    netdev_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_device_is_refused_with_the_names_there_are),
        cmocka_unit_test(each_device_is_found_by_its_name),
        cmocka_unit_test(wrong_options_are_refused_by_every_device),
        cmocka_unit_test(closing_nothing_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
