/* SPDX-License-Identifier: MIT */
/*
 * The dpdk device in a process that has started DPDK itself: it uses the running DPDK and does not touch what it does
 * not own.
 */
#include "netdev_test.h"

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_mbuf.h>

static void a_process_that_uses_dpdk_keeps_using_it(void **state) {
    static char *words[] = {"test", "--no-telemetry", "--no-huge", "--no-shconf", "--no-pci", "-m", "128", NULL};
    struct netdev_buffer frames[8];
    struct rte_mempool *own;
    struct netdev *dev;
    char why[256] = "";
    (void)state;
    assert_true(rte_eal_init(sizeof words / sizeof *words - 1, words) >= 0);
    own = rte_pktmbuf_pool_create("own", 63, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    assert_non_null(own);
    FILE *log = rte_log_get_stream();
    for (int round = 0; round < 2; round++) {
        struct netdev_args args = {.options = "vdev=net_null0", .why = why, .why_bytes = sizeof why};
        if (netdev_open("dpdk", &args, &dev)) fail_msg("%s", why);
        assert_ptr_equal(rte_log_get_stream(), log);
        assert_int_equal(netdev_update(dev, 0), 0);
        int n = netdev_rx(dev, frames, 8, 0);
        assert_true(n > 0); /* this port always has frames */
        while (n > 0)
            heap_free(frames[--n].data);
        netdev_close(dev);
        assert_int_equal(rte_eth_dev_count_avail(), 0);
        assert_int_equal(rte_mempool_avail_count(own), 63);
    }
    rte_mempool_free(own);
    assert_int_equal(rte_eal_cleanup(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_process_that_uses_dpdk_keeps_using_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
