/* netdev/netdev.h: devices by name, options, and refusals that say why. */
#include "netdev_test.h"

#include "base/fault.h"
#include "netdev/sim.h"

#include <unistd.h>

static void unknown_device_is_refused_with_the_names_there_are(void **state) {
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

#ifdef DMTR_FAULT
/* Opens a host of a simulated network and both ends of a wire, sends a frame, closes; any step may fail. */
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
        cmocka_unit_test(unknown_device_is_refused_with_the_names_there_are),
        cmocka_unit_test(each_device_is_found_by_its_name),
        cmocka_unit_test(wrong_options_are_refused_by_every_device),
        cmocka_unit_test(closing_nothing_does_nothing),
#ifdef DMTR_FAULT
        cmocka_unit_test(every_call_and_allocation_may_fail_once),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
