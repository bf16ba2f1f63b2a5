/* SPDX-License-Identifier: MIT */
/*
 * The dpdk device over DPDK rings in this process, whose other end the test uses: what it receives and sends, mbuf by
 * mbuf, and the ownership of their memory. Also the conversion of frames to mbufs for ports with any offloads.
 */
#include "netdev_test.h"

#include "netdev/dpdk/dpdk.h"
#include "netdev/plugin.h"

#include <rte_dev.h>
#include <rte_eth_ring.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include <unistd.h>

#define EAL       "eal=--no-huge --no-shconf --no-pci -m 128,"
#define RING_SIZE 256u
#define BUFFERS   64u
#define SLOTS     32u

static struct rte_ring *to_us, *from_us;
static struct rte_mempool *buffers; /* the device's */
static struct netdev *dev;
static char why[512];

static int open_dev(const char *options, uint32_t queue, uint32_t queues, struct netdev **out) {
    struct netdev_args args = {
        .options = options, .why = why, .why_bytes = sizeof why, .queue = queue, .queues = queues};
    why[0] = '\0';
    return netdev_open_kind(netdev_plugin_ops, &args, out);
}

static void find_buffers(struct rte_mempool *mp, void *found) {
    if (strcmp(rte_mempool_get_ops(mp->ops_index)->name, "dmtr_heap") == 0) *(struct rte_mempool **)found = mp;
}

/* Opens a port over two rings; each test has its own. */
static int open_pair(const char *more) {
    static unsigned serial;
    char name[24], options[200];
    snprintf(name, sizeof name, "to_%u", ++serial);
    to_us = rte_ring_create(name, RING_SIZE, SOCKET_ID_ANY, 0);
    snprintf(name, sizeof name, "from_%u", serial);
    from_us = rte_ring_create(name, RING_SIZE, SOCKET_ID_ANY, 0);
    snprintf(name, sizeof name, "pair_%u", serial);
    if (!to_us || !from_us || rte_eth_from_rings(name, &to_us, 1, &from_us, 1, 0) < 0) return -1;
    snprintf(options, sizeof options, "port=net_ring_%s,slots=%u,buffers=%u%s", name, SLOTS, BUFFERS, more);
    if (open_dev(options, 0, 0, &dev) < 0) return -1;
    buffers = NULL;
    rte_mempool_walk(find_buffers, &buffers);
    return buffers ? 0 : -1;
}

static int set_up(void **state) {
    (void)state;
    return open_pair("");
}

#define VLAN 5u

static int set_up_vlan(void **state) {
    (void)state;
    return open_pair(",vlan=5");
}

static struct rte_mbuf *sent(void) {
    void *m = NULL;
    return rte_ring_dequeue(from_us, &m) == 0 ? m : NULL;
}

static int tear_down(void **state) {
    struct rte_mbuf *m;
    (void)state;
    while ((m = sent()))
        rte_pktmbuf_free(m);
    netdev_close(dev);
    rte_ring_free(to_us);
    rte_ring_free(from_us);
    return 0;
}

/* Does what a driver does with a received frame. Returns false if there is no buffer for it. */
static bool arrive(uint32_t number, uint32_t bytes) {
    struct rte_mbuf *m = rte_pktmbuf_alloc(buffers);
    uint8_t *frame;
    if (!m) return false;
    frame = test_frame(mac_a, mac_b, number, bytes);
    memcpy(rte_pktmbuf_append(m, (uint16_t)bytes), frame, bytes);
    heap_free(frame);
    assert_int_equal(rte_ring_enqueue(to_us, m), 0);
    return true;
}

static void a_received_frame_is_not_copied(void **state) {
    struct netdev_buffer b;
    (void)state;
    for (uint32_t i = 0; i < 500; i++) {
        const void *at;
        assert_true(arrive(i, 60 + i % 1400));
        void *m = NULL;
        assert_int_equal(rte_ring_dequeue(to_us, &m), 0);
        at = rte_pktmbuf_mtod((struct rte_mbuf *)m, char *);
        assert_int_equal(rte_ring_enqueue(to_us, m), 0);
        assert_int_equal(netdev_rx(dev, &b, 1, 0), 1);
        assert_ptr_equal(b.data, at);
        assert_true(heap_owns(b.data));
        assert_int_equal(test_number(b.data, b.bytes), i);
        assert_int_equal(heap_free(b.data), 0);
    }
    assert_int_equal(dev->stats.rx_frames, 500);
    assert_int_equal(dev->stats.rx_copied, 0);
}

static void held_buffers_run_out_are_counted_and_are_reclaimed(void **state) {
    struct netdev_buffer held[BUFFERS], small[10 * SLOTS], b;
    (void)state;
    for (uint32_t i = 0; i < BUFFERS; i++) {
        assert_true(arrive(i, 600));
        assert_int_equal(netdev_rx(dev, &held[i], 1, 0), 1);
    }
    for (uint32_t i = 0; i < SLOTS; i++) {
        assert_true(arrive(BUFFERS, 600)); /* the driver always has a buffer */
        assert_int_equal(netdev_rx(dev, &b, 1, 0), 0);
    }
    assert_int_equal(netdev_rx(dev, &b, 1, UINT64_C(1) << 40), 0); /* the check logs a warning */
    assert_int_equal(dev->stats.rx_held, SLOTS);
    for (uint32_t i = 0; i < 10 * SLOTS; i++) { /* frames that may free memory are still received */
        assert_true(arrive(i, 100));
        assert_int_equal(netdev_rx(dev, &small[i], 1, 0), 1);
    }
    heap_free(held[BUFFERS / 2].data);
    assert_true(arrive(BUFFERS, 600));
    assert_int_equal(netdev_rx(dev, &held[BUFFERS / 2], 1, 0), 1);
    for (uint32_t i = 0; i < BUFFERS; i++) {
        assert_int_equal(test_number(held[i].data, held[i].bytes), i == BUFFERS / 2 ? BUFFERS : i);
        heap_free(held[i].data);
    }
    for (uint32_t i = 0; i < 10 * SLOTS; i++) {
        assert_int_equal(test_number(small[i].data, small[i].bytes), i);
        heap_free(small[i].data);
    }
}

static void a_frame_outlives_the_device(void **state) {
    struct netdev_buffer b;
    (void)state;
    assert_true(arrive(7, 1000));
    assert_int_equal(netdev_rx(dev, &b, 1, 0), 1);
    netdev_close(dev);
    dev = NULL;
    assert_int_equal(test_number(b.data, b.bytes), 7);
    assert_int_equal(heap_free(b.data), 0);
}

static void frames_that_no_mtu_allows_are_dropped_and_counted(void **state) {
    struct netdev_buffer b;
    struct rte_mbuf *m = rte_pktmbuf_alloc(buffers);
    (void)state;
    assert_true(arrive(1, 1519));
    assert_non_null(m);
    rte_pktmbuf_append(m, 13);
    assert_int_equal(rte_ring_enqueue(to_us, m), 0);
    assert_int_equal(netdev_rx(dev, &b, 1, 0), 0);
    assert_int_equal(netdev_rx(dev, &b, 1, 0), 0);
    assert_int_equal(dev->stats.rx_too_long, 1);
    assert_int_equal(dev->stats.rx_malformed, 1);
}

static void counters_of_the_port_are_reported_by_name(void **state) {
    char names[NETDEV_OWN_MAX][NETDEV_OWN_BYTES], again[1][NETDEV_OWN_BYTES];
    uint64_t values[NETDEV_OWN_MAX];
    uint32_t n = netdev_own(dev, names, NULL, NETDEV_OWN_MAX), found = 0;
    (void)state;
    assert_uint_in_range(n, 2, NETDEV_OWN_MAX);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(test_send(dev, mac_b, i, 100, 0), 1);
    assert_int_equal(netdev_own(dev, NULL, values, n), n);
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(names[i], "tx_good_packets") == 0) found += values[i] == 3;
    assert_int_equal(found, 1);
    assert_int_equal(netdev_own(dev, again, values, 1), 1);
    assert_string_equal(again[0], names[0]);
}

/* Opens a DPDK port that is the peer of virtio_user. */
static uint16_t open_vhost(const char *path, struct rte_mempool *pool) {
    const struct rte_eth_conf conf = {0};
    char args[200];
    uint16_t id;
    snprintf(args, sizeof args, "net_vhost0,iface=%s,tso=1", path);
    assert_int_equal(rte_dev_probe(args), 0);
    assert_int_equal(rte_eth_dev_get_port_by_name("net_vhost0", &id), 0);
    assert_int_equal(rte_eth_dev_configure(id, 1, 1, &conf), 0);
    assert_int_equal(rte_eth_rx_queue_setup(id, 0, 256, 0, NULL, pool), 0);
    assert_int_equal(rte_eth_tx_queue_setup(id, 0, 256, 0, NULL), 0);
    assert_int_equal(rte_eth_dev_start(id), 0);
    return id;
}

#define LARGE_BYTES 30054u
#define LARGE_MSS   1000u
#define TRIES       20000u

static struct rte_mbuf *large_frame(struct rte_mempool *pool) {
    uint8_t *frame = test_frame(mac_a, mac_b, 9, LARGE_BYTES);
    struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
    assert_non_null(m);
    frame[14] = 0x45;
    memcpy(rte_pktmbuf_append(m, LARGE_BYTES), frame, LARGE_BYTES);
    heap_free(frame);
    m->ol_flags = RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_CKSUM;
    m->tx_offload = rte_mbuf_tx_offload(14, 20, 20, LARGE_MSS, 0, 0, 0);
    return m;
}

static void segments_that_the_port_coalesced_arrive_as_one_frame(void **state) {
    struct rte_mempool *pool = dpdk_plain_pool(511, LARGE_BYTES, SOCKET_ID_ANY);
    struct rte_mbuf *m = large_frame(pool), *copy = large_frame(pool);
    struct netdev_buffer b = {0};
    char path[64], options[160];
    struct netdev *end;
    uint16_t vhost;
    int n = 0;
    (void)state;
    snprintf(path, sizeof path, "/tmp/dmtr-dpdk-%d", getpid());
    vhost = open_vhost(path, pool);
    snprintf(options, sizeof options, "vdev=virtio_user0;path=%s;queue_size=256,slots=256,lro=yes", path);
    n = open_dev(options, 0, 0, &end);
    unlink(path); /* the connection exists by now or never will */
    assert_int_equal(n, 0);
    for (uint32_t i = 0; n == 0 && i < TRIES; i++) { /* a DPDK thread establishes the connection */
        if (m && rte_eth_tx_burst(vhost, 0, &m, 1) == 1) m = NULL;
        usleep(1000);
        n = netdev_rx(end, &b, 1, UINT64_C(1000000) * i);
        if (n == -ENETDOWN) n = 0;
    }
    assert_int_equal(n, 1);
    assert_int_equal(b.bytes, LARGE_BYTES);
    assert_int_equal(b.mss, LARGE_MSS);
    assert_true(b.flags & NETDEV_RX_CSUM_GOOD);
    assert_memory_equal((char *)b.data + 54, rte_pktmbuf_mtod_offset(copy, char *, 54), LARGE_BYTES - 54);
    assert_int_equal(heap_free(b.data), 0);
    netdev_close(end);
    rte_pktmbuf_free(copy);
    assert_int_equal(rte_eth_dev_stop(vhost), 0);
    assert_int_equal(rte_eth_dev_close(vhost), 0);
    dpdk_plain_pool_free(pool);
}

static void frames_in_pieces_and_in_foreign_mbufs_are_copied(void **state) {
    struct rte_mempool *pool = dpdk_plain_pool(511, 2048, SOCKET_ID_ANY);
    uint8_t *frame = test_frame(mac_a, mac_b, 9, 1200);
    struct rte_mbuf *parts[3];
    (void)state;
    assert_non_null(pool);
    assert_int_equal(rte_pktmbuf_alloc_bulk(pool, parts, 3), 0);
    for (uint32_t i = 0; i < 3; i++)
        memcpy(rte_pktmbuf_append(parts[i], 400), frame + i * 400, 400);
    assert_int_equal(rte_pktmbuf_chain(parts[1], parts[2]), 0);
    assert_int_equal(rte_pktmbuf_chain(parts[0], parts[1]), 0);
    assert_int_equal(rte_ring_enqueue(to_us, parts[0]), 0);
    assert_int_equal(test_receive(dev, 0), 9);
    assert_int_equal(dev->stats.rx_copied, 1);
    assert_true(rte_mempool_full(pool));
    dpdk_plain_pool_free(pool);
    heap_free(frame);
}

static void small_frames_are_copied_into_the_mbuf(void **state) {
    struct rte_mbuf *m;
    (void)state;
    assert_int_equal(test_send(dev, mac_b, 5, 200, 0), 1);
    m = sent();
    assert_non_null(m);
    assert_int_equal(m->nb_segs, 1);
    assert_int_equal(m->pkt_len, 200);
    assert_int_equal(test_number(rte_pktmbuf_mtod(m, char *), 200), 5);
    rte_pktmbuf_free(m);
}

static void large_payload_is_sent_without_a_copy_and_held_until_sent(void **state) {
    struct netdev_seg segs[2];
    struct netdev_frame frame = {.segs = segs, .segs_count = 2, .bytes = 1514};
    uint8_t *p = test_frame(mac_b, mac_a, 3, 1514), *header = heap_alloc(54);
    struct rte_mbuf *m;
    (void)state;
    memcpy(header, p, 54);
    segs[0] = (struct netdev_seg){header, 54};
    segs[1] = (struct netdev_seg){p + 54, 1460};
    assert_int_equal(netdev_tx(dev, &frame, 1, 0), 1);
    heap_free(header);
    heap_free(p); /* our reference; the device holds the block */
    m = sent();
    assert_non_null(m);
    assert_int_equal(m->nb_segs, 2);
    assert_ptr_equal(rte_pktmbuf_mtod(m->next, char *), p + 54);
    assert_int_equal(test_number(p, 1514), 3);
    assert_int_equal(heap_free(p), -EINVAL); /* it has only a hold */
    rte_pktmbuf_free(m);
    assert_int_equal(dev->stats.tx_frames, 1);
    assert_int_equal(dev->stats.tx_bytes, 1514);
    assert_int_equal(dev->stats.tx_copied, 0);
}

static void a_burst_is_one_call_of_the_driver(void **state) {
    (void)state;
    static const struct {
        uint32_t segs, frames;
    } rows[] = {{2, 32}, {5, 32}, {NETDEV_SEGS_MAX, 6}};
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        struct netdev_frame frames[32];
        struct netdev_seg segs[32][NETDEV_SEGS_MAX];
        uint64_t kicks = dev->stats.tx_kicks;
        for (uint32_t i = 0; i < rows[row].frames; i++) {
            uint8_t *p = test_frame(mac_b, mac_a, i, 1514);
            uint32_t at = 0;
            for (uint32_t k = 0; k < rows[row].segs; k++) {
                uint32_t bytes = k == 0 ? 54 : k + 1 < rows[row].segs ? 1460 / rows[row].segs : 1514 - at;
                segs[i][k] = (struct netdev_seg){p + at, bytes};
                at += bytes;
            }
            frames[i] = (struct netdev_frame){.segs = segs[i], .segs_count = (uint16_t)rows[row].segs, .bytes = 1514};
        }
        assert_int_equal(netdev_tx(dev, frames, rows[row].frames, 0), rows[row].frames);
        assert_int_equal(dev->stats.tx_kicks, kicks + 1);
        for (uint32_t i = 0; i < rows[row].frames; i++) {
            char whole[1514];
            struct rte_mbuf *m = sent();
            assert_non_null(m);
            assert_int_equal(test_number(rte_pktmbuf_read(m, 0, sizeof whole, whole), sizeof whole), i);
            rte_pktmbuf_free(m);
            assert_int_equal(heap_free((void *)(uintptr_t)segs[i][0].data), 0);
        }
    }
}

static void a_short_transmit_leaves_the_rest_to_the_caller(void **state) {
    uint32_t accepted = 0;
    struct rte_mbuf *m;
    (void)state;
    while (test_send(dev, mac_b, accepted, 1000, 0) == 1)
        assert_true(++accepted < RING_SIZE);
    assert_int_equal(accepted, RING_SIZE - 1);
    assert_int_equal(dev->stats.tx_short, 1);
    assert_int_equal(dev->stats.tx_frames, accepted);
    m = sent();
    rte_pktmbuf_free(m);
    assert_int_equal(test_send(dev, mac_b, accepted, 1000, 0), 1);
    for (uint32_t i = 1; (m = sent()); i++) {
        char whole[1000];
        assert_int_equal(test_number(rte_pktmbuf_read(m, 0, sizeof whole, whole), sizeof whole), i);
        rte_pktmbuf_free(m);
    }
}

/* An mbuf with this frame: the driver has removed the tag (`stripped`) or not, or the frame is untagged (0). */
static struct rte_mbuf *tagged(uint32_t number, uint16_t tci, bool stripped) {
    const uint8_t tag[4] = {0x81, 0, (uint8_t)(tci >> 8), (uint8_t)tci};
    uint8_t *frame = test_frame(mac_a, mac_b, number, 100);
    struct rte_mbuf *m = rte_pktmbuf_alloc(buffers);
    assert_non_null(m);
    memcpy(rte_pktmbuf_append(m, 12), frame, 12);
    if (tci && !stripped) memcpy(rte_pktmbuf_append(m, 4), tag, 4);
    memcpy(rte_pktmbuf_append(m, 88), frame + 12, 88);
    if (stripped) m->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
    m->vlan_tci = stripped ? tci : 0;
    heap_free(frame);
    return m;
}

static void frames_of_the_vlan_lose_their_tag_and_others_are_dropped(void **state) {
    static const struct {
        uint16_t tci;
        bool stripped, ours;
    } arriving[] = {
        {VLAN, false, true},
        {VLAN, true, true},
        {0xa000 | VLAN, false, true},
        {0xa000 | VLAN, true, true},
        {0, false, false},
        {6, false, false},
        {6, true, false},
        {0x1000, false, false},
    };
    struct netdev_buffer b;
    uint64_t dropped = 0;
    (void)state;
    for (uint32_t i = 0; i < sizeof arriving / sizeof *arriving; i++) {
        assert_int_equal(rte_ring_enqueue(to_us, tagged(i, arriving[i].tci, arriving[i].stripped)), 0);
        if (arriving[i].ours)
            assert_int_equal(test_receive(dev, 0), i);
        else
            assert_int_equal(netdev_rx(dev, &b, 1, 0), 0);
        dropped += !arriving[i].ours;
        assert_int_equal(dev->stats.rx_other_vlan, dropped);
    }
}

static void frames_of_every_length_are_sent_with_the_vlan_tag(void **state) {
    const uint32_t lengths[] = {60, 256, 257, 1514};
    (void)state;
    for (uint32_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint8_t room[1518], whole[1514];
        const uint8_t *frame;
        uint32_t bytes = lengths[i];
        const uint8_t tag[4] = {0x81, 0, 0, VLAN};
        struct rte_mbuf *m;
        assert_int_equal(test_send(dev, mac_b, i, bytes, 0), 1);
        m = sent();
        assert_non_null(m);
        assert_int_equal(m->pkt_len, bytes + 4);
        frame = rte_pktmbuf_read(m, 0, bytes + 4, room);
        assert_memory_equal(frame + 12, tag, 4);
        memcpy(whole, frame, 12);
        memcpy(whole + 12, frame + 16, bytes - 12);
        assert_int_equal(test_number(whole, bytes), i);
        rte_pktmbuf_free(m);
    }
}

static void a_frame_that_breaks_the_rules_is_accepted_and_dropped(void **state) {
    (void)state;
    assert_int_equal(test_send(dev, mac_b, 1, 1600, 0), 1);
    assert_int_equal(dev->stats.tx_refused, 1);
    assert_null(sent());
}

static void a_removed_device_fails_for_good(void **state) {
    struct netdev_buffer b;
    struct netdev *gone;
    (void)state;
    for (int round = 0; round < 2; round++) { /* the device may also be added again */
        void *grown;
        assert_int_equal(open_dev("vdev=net_null3", 0, 0, &gone), 0);
        assert_int_equal(netdev_rx(gone, &b, 1, 0), 1);
        assert_int_equal(rte_eal_hotplug_remove("vdev", "net_null3"), 0);
        assert_int_equal(netdev_rx(gone, &b, 1, UINT64_C(1) << 40), -ENODEV);
        assert_int_equal(test_send(gone, mac_b, 1, 100, 0), -ENODEV);
        grown = heap_alloc(32u << 20); /* the heap does not map memory for it any more */
        assert_non_null(grown);
        heap_free(grown);
        netdev_close(gone);
        assert_int_equal(heap_free(b.data), 0);
    }
}

static void wrong_options_are_refused_with_a_reason(void **state) {
    static const struct {
        const char *options;
        uint32_t queues;
        const char *says;
    } wrong[] = {
        {"slots=32", 0, "port="},
        {"port=a,vdev=b", 0, "port="},
        {"port=0000:ff:1f.7", 0, "dpdk-devbind.py"},
        {"vdev=net_nonsense0", 0, "net_nonsense0"},
        {"vdev=net_null0,buffers=1", 0, "buffers"},
        {"vdev=net_ring7", 33, "are requested"},
    };
    struct netdev *none;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_true(open_dev(wrong[i].options, 0, wrong[i].queues, &none) < 0);
        if (!strstr(why, wrong[i].says)) fail_msg("%s: %s", wrong[i].options, why);
    }
}

static void the_link_is_down_until_all_queues_are_open(void **state) {
    struct netdev *queue[2], *again;
    struct netdev_buffer b[8];
    (void)state;
    for (int round = 0; round < 2; round++) { /* a closed port can be opened again */
        assert_int_equal(open_dev("vdev=net_null0", 0, 2, &queue[0]), 0);
        assert_false(queue[0]->link_up);
        assert_int_equal(netdev_rx(queue[0], b, 8, 0), -ENETDOWN);
        assert_int_equal(open_dev("vdev=net_null0", 0, 2, &again), -EBUSY);
        assert_int_equal(open_dev("vdev=net_null0", 1, 3, &again), -EBUSY);
        assert_int_equal(open_dev("vdev=net_null0", 1, 2, &queue[1]), 0);
        for (int i = 0; i < 2; i++) {
            int n;
            netdev_update(queue[i], 0);
            assert_true(queue[i]->link_up);
            n = netdev_rx(queue[i], b, 8, 0);
            assert_int_equal(n, 8);
            while (n > 0)
                heap_free(b[--n].data);
            assert_int_equal(test_send(queue[i], mac_b, 1, 700, 0), 1);
        }
        netdev_close(queue[0]);
        netdev_close(queue[1]);
    }
}

/* ---- frames for ports with any offloads ---- */

#define ALL_OFFLOADS 5
static const uint64_t abilities[ALL_OFFLOADS] = {RTE_ETH_TX_OFFLOAD_TCP_CKSUM, RTE_ETH_TX_OFFLOAD_UDP_CKSUM,
                                                 RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, RTE_ETH_TX_OFFLOAD_TCP_TSO,
                                                 RTE_ETH_TX_OFFLOAD_MULTI_SEGS};

static void only_offloads_of_the_port_are_offered(void **state) {
    (void)state;
    for (uint32_t set = 0; set < 1u << ALL_OFFLOADS; set++) {
        uint64_t capable = 0, wanted;
        uint16_t promised;
        for (uint32_t i = 0; i < ALL_OFFLOADS; i++)
            capable |= set >> i & 1 ? abilities[i] : 0;
        promised = dpdk_tx_offloads(capable, &wanted);
        assert_int_equal(wanted & ~capable, 0);
        assert_int_equal(!!(promised & NETDEV_CSUM), (set & 3) == 3);
        assert_int_equal(!!(promised & NETDEV_TSO4), set == 31);
        assert_int_equal(!!(promised & NETDEV_TSO6), set == 31);
        if (promised & NETDEV_CSUM) assert_true(wanted & RTE_ETH_TX_OFFLOAD_TCP_CKSUM);
        if (promised & NETDEV_TSO4) assert_true(wanted & RTE_ETH_TX_OFFLOAD_TCP_TSO);
    }
}

struct shape {
    uint8_t version;
    uint16_t l3, l4, csum_offset, offloads;
    uint32_t payload, pieces;
};

/* Fills one mbuf and reads it back: bytes, lengths and flags must be as DPDK requires. */
static void fill_and_verify(const struct dpdk_port *port, struct rte_mempool *pool, const struct shape *s) {
    uint32_t headers = 14u + s->l3 + s->l4, bytes = headers + s->payload, at = headers;
    struct netdev_seg segs[NETDEV_SEGS_MAX];
    uint8_t *p = test_frame(mac_a, mac_b, 1, bytes < 18 ? 18 : bytes), *back = heap_alloc(bytes);
    struct netdev_frame f = {.segs = segs,
                             .bytes = bytes,
                             .segs_count = 1,
                             .offloads = s->offloads,
                             .l2_bytes = 14,
                             .l3_bytes = s->l3,
                             .l4_bytes = s->l4,
                             .csum_offset = s->csum_offset,
                             .mss = 1000};
    bool tso = s->offloads & (NETDEV_TSO4 | NETDEV_TSO6);
    const uint8_t tag[4] = {0x81, 0, 0, VLAN};
    uint32_t tagged;
    struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
    assert_non_null(m);
    p[14] = (uint8_t)(s->version << 4 | 5);
    segs[0] = (struct netdev_seg){p, headers};
    for (uint32_t i = 0; i < s->pieces; i++) {
        uint32_t n = i + 1 < s->pieces ? s->payload / s->pieces : bytes - at;
        segs[f.segs_count++] = (struct netdev_seg){p + at, n};
        at += n;
    }
    assert_int_equal(dpdk_fill(port, pool, &f, m), 0);
    tagged = port->vlan && !(m->ol_flags & RTE_MBUF_F_TX_VLAN) ? sizeof tag : 0;
    assert_int_equal(m->ol_flags & RTE_MBUF_F_TX_VLAN && m->vlan_tci == VLAN,
                     port->tx_tagged && !RTE_MBUF_HAS_EXTBUF(m));
    assert_int_equal(m->pkt_len, bytes + tagged);
    assert_true(m->nb_segs == 1 || m->nb_segs <= port->chain_max);
    assert_true(m->data_len >= headers); /* drivers expect the headers there */
    rte_mbuf_sanity_check(m, 1);
    if (tso && s->version == 4) memset(p + 14 + 10, 0, 2); /* DPDK requires an IP checksum of 0 then */
    assert_memory_equal(rte_pktmbuf_read(m, 0, 12, back), p, 12);
    assert_memory_equal(rte_pktmbuf_read(m, 12, tagged, back), tag, tagged);
    assert_memory_equal(rte_pktmbuf_read(m, 12 + tagged, bytes - 12, back), p + 12, bytes - 12);
    if (s->offloads) {
        uint64_t transport = s->csum_offset == 6 ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM;
        assert_int_equal(m->ol_flags & RTE_MBUF_F_TX_L4_MASK, transport);
        assert_int_equal(!!(m->ol_flags & RTE_MBUF_F_TX_IPV4), s->version == 4);
        assert_int_equal(!!(m->ol_flags & RTE_MBUF_F_TX_IPV6), s->version == 6);
        assert_int_equal(!!(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG), tso);
        assert_int_equal(!!(m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM), tso && s->version == 4);
        assert_int_equal(m->l2_len, 14 + tagged);
        assert_int_equal(m->l3_len, s->l3);
        assert_int_equal(m->l4_len, s->l4);
        if (tso) assert_int_equal(m->tso_segsz, 1000);
    } else {
        assert_int_equal(m->ol_flags & (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG), 0);
    }
    rte_pktmbuf_free(m);
    assert_int_equal(heap_free(p), 0);
    assert_int_equal(heap_free(back), 0);
}

static void frames_of_every_shape_become_valid_mbufs(void **state) {
    static const struct shape shapes[] = {
        {4, 20, 20, 16, 0, 0, 0},
        {4, 20, 20, 16, NETDEV_CSUM, 10, 1},
        {4, 20, 32, 16, NETDEV_CSUM, 1448, 1},
        {4, 20, 32, 16, NETDEV_CSUM, 1448, 7},
        {4, 60, 60, 16, NETDEV_CSUM, 1000, 2},
        {4, 20, 8, 6, NETDEV_CSUM, 1472, 3},
        {6, 40, 8, 6, NETDEV_CSUM, 1400, 1},
        {6, 40, 32, 16, NETDEV_CSUM, 1400, 1},
        {4, 20, 32, 16, NETDEV_CSUM | NETDEV_TSO4, 40000, 10},
        {6, 40, 32, 16, NETDEV_CSUM | NETDEV_TSO6, 40000, 10},
        {4, 20, 32, 16, NETDEV_CSUM | NETDEV_TSO4, 20000, 60},
    };
    static const uint16_t chains[] = {0, 2, 8, UINT16_MAX};
    static const struct {
        uint16_t vlan;
        bool by_port;
    } tags[] = {{0, false}, {VLAN, false}, {VLAN, true}};
    static const uint32_t rooms[] = {DPDK_TX_COPIED, 2048};
    (void)state;
    for (size_t room = 0; room < sizeof rooms / sizeof *rooms; room++) {
        struct rte_mempool *pool = dpdk_plain_pool(511, rooms[room], SOCKET_ID_ANY);
        assert_non_null(pool);
        for (size_t chain = 0; chain < sizeof chains / sizeof *chains; chain++) {
            struct dpdk_port port = {.tx_room = rooms[room], .chain_max = chains[chain]};
            for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
                port.vlan = tags[i].vlan;
                port.tx_tagged = tags[i].by_port;
                for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
                    fill_and_verify(&port, pool, &shapes[k]);
            }
        }
        assert_true(rte_mempool_full(pool));
        dpdk_plain_pool_free(pool);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        /* First, because virtio_user accepts only DPDK's memory and does not start while other devices are open. */
        cmocka_unit_test(segments_that_the_port_coalesced_arrive_as_one_frame),
        cmocka_unit_test(wrong_options_are_refused_with_a_reason),
        cmocka_unit_test(a_removed_device_fails_for_good),
        cmocka_unit_test(the_link_is_down_until_all_queues_are_open),
        cmocka_unit_test_setup_teardown(a_received_frame_is_not_copied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(held_buffers_run_out_are_counted_and_are_reclaimed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_frame_outlives_the_device, set_up, tear_down),
        cmocka_unit_test_setup_teardown(frames_that_no_mtu_allows_are_dropped_and_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(frames_in_pieces_and_in_foreign_mbufs_are_copied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counters_of_the_port_are_reported_by_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(frames_of_the_vlan_lose_their_tag_and_others_are_dropped, set_up_vlan,
                                        tear_down),
        cmocka_unit_test_setup_teardown(frames_of_every_length_are_sent_with_the_vlan_tag, set_up_vlan, tear_down),
        cmocka_unit_test_setup_teardown(small_frames_are_copied_into_the_mbuf, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_payload_is_sent_without_a_copy_and_held_until_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_burst_is_one_call_of_the_driver, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_short_transmit_leaves_the_rest_to_the_caller, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_frame_that_breaks_the_rules_is_accepted_and_dropped, set_up, tear_down),
        cmocka_unit_test(only_offloads_of_the_port_are_offered),
        cmocka_unit_test(frames_of_every_shape_become_valid_mbufs),
    };
    struct netdev *first;
    /* The first device of the process starts DPDK. */
    if (open_dev(EAL "vdev=net_null1,copy=yes", 0, 0, &first) < 0) {
        printf("1..0 # SKIP %s\n", why);
        return 0;
    }
    netdev_close(first);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
