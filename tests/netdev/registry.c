/* SPDX-License-Identifier: MIT */
/* netdev/netdev.h: devices by name, options, and refusals with a reason. */
#include "netdev_test.h"

#include "base/fault.h"
#include "base/plugin.h"
#include "netdev/options.h"
#include "netdev/sim/sim.h"

#include <stdlib.h>
#include <unistd.h>

static void unknown_device_is_refused_with_the_known_names(void **state) {
    (void)state;
    char why[160] = "";
    struct netdev_args args = {.why = why, .why_bytes = sizeof why};
    struct netdev *dev = (struct netdev *)1;
    assert_int_equal(netdev_open("nosuch", &args, &dev), -ENODEV);
    assert_null(dev);
    assert_non_null(strstr(why, "\"nosuch\""));
    for (size_t i = 0; netdev_at(i); i++)
        assert_non_null(strstr(why, netdev_at(i)->name));
}

static void each_device_is_found_by_its_name(void **state) {
    (void)state;
    for (size_t i = 0; netdev_at(i); i++)
        assert_ptr_equal(netdev_find(netdev_at(i)->name), netdev_at(i));
#ifdef DMTR_DPDK
    assert_non_null(netdev_find("dpdk"));
#endif
    assert_null(netdev_find(""));
}

static void more_queues_than_a_device_has_are_refused(void **state) {
    (void)state;
    for (size_t i = 0; netdev_at(i); i++) {
        const struct netdev_ops *ops = netdev_at(i);
        char why[160] = "";
        uint32_t most = ops->queues_max > 1 ? ops->queues_max : 1;
        struct netdev_args args = {.why = why, .why_bytes = sizeof why, .queues = most + 1};
        struct netdev *dev;
        if (ops->wraps) continue; /* as many as the lower device */
        assert_int_equal(netdev_open(ops->name, &args, &dev), -EINVAL);
        if (!strstr(why, "are requested")) fail_msg("%s: %s", ops->name, why);
    }
}

static void a_missing_plugin_is_refused_with_its_path_and_its_package(void **state) {
    char *before = strdup(getenv(PLUGIN_PATH_VARIABLE)), why[400] = "";
    struct netdev_args args = {.why = why, .why_bytes = sizeof why};
    struct netdev *dev = (struct netdev *)1;
    (void)state;
    setenv(PLUGIN_PATH_VARIABLE, "/nonexistent", 1);
    assert_int_equal(netdev_open("dpdk", &args, &dev), -ENODEV);
    assert_null(dev);
    assert_non_null(strstr(why, "/nonexistent/netdev-dpdk.so"));
    assert_non_null(strstr(why, "libdpdk-dev"));
    assert_null(netdev_find("dpdk"));
    setenv(PLUGIN_PATH_VARIABLE, before, 1);
    free(before);
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
            assert_int_equal(netdev_open_kind(netdev_at(i), &args, &dev), -EINVAL);
            assert_string_not_equal(why, "");
        }
    }
}

static void every_device_describes_itself_and_its_options(void **state) {
    const struct netdev_ops *ops;
    (void)state;
    for (size_t i = 0; (ops = netdev_at(i)); i++) {
        assert_non_null(ops->text);
        assert_true(*ops->text && ops->text[strlen(ops->text) - 1] != '.');
        for (size_t k = 0; k < ops->options_count; k++) {
            const struct netdev_option *o = &ops->options[k];
            assert_true(*o->text && o->text[strlen(o->text) - 1] != '.');
            if (o->type == NETDEV_OPTION_TEXT) assert_string_not_equal(o->unit, "");
            if (!o->def && !o->def_text) assert_int_equal(o->type, NETDEV_OPTION_TEXT);
            if (o->def) assert_null(o->def_text);
        }
    }
}

static void missing_options_have_their_defaults(void **state) {
    struct {
        uint64_t number, kept;
        bool flag;
        char text[8];
        uint32_t chance;
    } to = {.kept = 7};
    const struct netdev_option table[] = {
        {"number", NETDEV_OPTION_NUMBER, offsetof(__typeof__(to), number), 1, 9, "", "5", NULL, "A number"},
        {"kept", NETDEV_OPTION_NUMBER, offsetof(__typeof__(to), kept), 1, 9, "", NULL, "seven", "Another"},
        {"flag", NETDEV_OPTION_FLAG, offsetof(__typeof__(to), flag), 0, 0, "", "yes", NULL, "A flag"},
        {"text", NETDEV_OPTION_TEXT, offsetof(__typeof__(to), text), 0, 8, "WORD", "auto", NULL, "A text"},
        {"chance", NETDEV_OPTION_CHANCE, offsetof(__typeof__(to), chance), 0, 0, "", "0.5", NULL, "A chance"},
    };
    struct netdev_args args = {.options = NULL};
    (void)state;
    assert_int_equal(netdev_options(&args, table, sizeof table / sizeof *table, &to), 0);
    assert_int_equal(to.number, 5);
    assert_int_equal(to.kept, 7);
    assert_true(to.flag);
    assert_string_equal(to.text, "auto");
    assert_int_equal(to.chance, NETDEV_CHANCE_ONE / 2);
    args.options = "number=6,flag=no";
    assert_int_equal(netdev_options(&args, table, sizeof table / sizeof *table, &to), 0);
    assert_int_equal(to.number, 6);
    assert_false(to.flag);
}

static void an_unknown_option_is_refused_with_the_nearest_name(void **state) {
    char why[160] = "";
    const struct netdev_args args = {.options = "slotz=3", .why = why, .why_bytes = sizeof why};
    struct netdev *dev;
    (void)state;
    assert_int_equal(netdev_open("packet", &args, &dev), -EINVAL);
    assert_string_equal(why, "there is no option \"slotz\"; did you mean \"slots\"?");
}

static void every_format_prints_every_device_and_option(void **state) {
    (void)state;
    for (int format = DOC_PLAIN; doc_formats[format]; format++) {
        char *text = NULL;
        size_t len = 0;
        FILE *f = open_memstream(&text, &len);
        assert_non_null(f);
        assert_int_equal(netdev_print(f, (enum doc_format)format), 0);
        fclose(f);
        for (size_t i = 0; netdev_at(i); i++) {
            assert_non_null(strstr(text, netdev_at(i)->text));
            for (size_t k = 0; k < netdev_at(i)->options_count; k++) {
                assert_non_null(strstr(text, netdev_at(i)->options[k].name));
                assert_non_null(strstr(text, netdev_at(i)->options[k].text));
            }
        }
        assert_null(strstr(text, "(null)"));
        free(text);
    }
}

static void closing_null_has_no_effect(void **state) {
    (void)state;
    netdev_close(NULL);
}

#ifdef DMTR_FAULT
/* Opens a host of a simulated network and both ends of a link, sends a frame, closes. Any step may fail. */
static void use_devices(void) {
    char listening[96], calling[80];
    struct sim *sim = sim_new(&(struct sim_config){.seed = 1});
    struct netdev *dev[4] = {NULL};
    struct netdev_args args = {.options = "host=a", .sim = sim};
    snprintf(calling, sizeof calling, "path=/dev/shm/dmtr-test-faults.%d", (int)getpid());
    snprintf(listening, sizeof listening, "%s,listen=yes", calling);
    if (sim) {
        int a = sim_add_host(sim, "a", mac_a, 1500), b = sim_add_host(sim, "b", mac_b, 1500);
        if (a >= 0 && b >= 0) sim_connect(sim, a, b, NULL, NULL);
        netdev_open("sim", &args, &dev[0]);
    }
    args = (struct netdev_args){.options = "loss=0.1", .lower = dev[0]};
    if (dev[0] && netdev_open("fault", &args, &dev[3]) == 0) dev[0] = NULL;
    args = (struct netdev_args){.options = listening};
    netdev_open("shm", &args, &dev[1]);
    args.options = calling;
    netdev_open("shm", &args, &dev[2]);
    for (int i = 0; i < 4; i++) {
        struct netdev_buffer b;
        if (!dev[i]) continue;
        netdev_update(dev[i], 0);
        test_send(dev[i], mac_b, 1, 60, 0);
        if (netdev_rx(dev[i], &b, 1, 0) == 1) heap_free(b.data);
    }
    for (int i = 0; i < 4; i++)
        netdev_close(dev[i]);
    sim_free(sim);
}

static void every_call_and_allocation_may_fail_once(void **state) {
    (void)state;
    for (uint64_t n = 1; n < 10000; n++) {
        uint64_t passed;
        fault_arm(n, NULL, ENOMEM);
        use_devices();
        passed = fault_count();
        fault_arm(0, NULL, 0);
        if (passed < n) return;
    }
    fail_msg("the number of fault points never ends");
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_device_is_refused_with_the_known_names),
        cmocka_unit_test(each_device_is_found_by_its_name),
        cmocka_unit_test(more_queues_than_a_device_has_are_refused),
        cmocka_unit_test(a_missing_plugin_is_refused_with_its_path_and_its_package),
        cmocka_unit_test(wrong_options_are_refused_by_every_device),
        cmocka_unit_test(every_device_describes_itself_and_its_options),
        cmocka_unit_test(missing_options_have_their_defaults),
        cmocka_unit_test(an_unknown_option_is_refused_with_the_nearest_name),
        cmocka_unit_test(every_format_prints_every_device_and_option),
        cmocka_unit_test(closing_null_has_no_effect),
#ifdef DMTR_FAULT
        cmocka_unit_test(every_call_and_allocation_may_fail_once),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
