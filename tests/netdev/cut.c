/* SPDX-License-Identifier: MIT */
/* netdev/wrap/cut.h, through a device that uses it: sim. */
#include "netdev/wrap/cut.h"
#include "netdev/device.h"
#include "netdev/sim/sim.h"

#include "netdev_test.h"

#include "base/csum.h"

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>

#define L4_BYTES 32u /* TCP with twelve bytes of options */
#define HEADERS  (14u + 20u + L4_BYTES)
#define SEQ      0xfffffa00u /* wraps during the frame */
#define IP_ID    0xfffeu

static struct netdev *open_host(struct sim *sim, const char *options) {
    char why[160] = "";
    struct netdev_args args = {.options = options, .sim = sim, .why = why, .why_bytes = sizeof why};
    struct netdev *dev;
    if (netdev_open("sim", &args, &dev) < 0) fail_msg("%s", why);
    return dev;
}

/* The pseudo-header sum of a segment of this many bytes, including the TCP header. */
static uint64_t pseudo_sum(const uint8_t *frame, uint32_t bytes) {
    return csum_join(csum_add(0, frame + 14 + 12, 8), (uint64_t)htons(IPPROTO_TCP) + htons((uint16_t)bytes));
}

static uint8_t *make_whole(uint32_t payload) {
    uint8_t *p = heap_alloc(HEADERS + payload);
    struct iphdr ip = {.version = 4,
                       .ihl = 5,
                       .tot_len = htons((uint16_t)(HEADERS - 14 + payload)),
                       .id = htons(IP_ID),
                       .ttl = 64,
                       .protocol = IPPROTO_TCP,
                       .saddr = htonl(0x0a000001),
                       .daddr = htonl(0x0a000002)};
    struct tcphdr tcp = {.th_sport = htons(1),
                         .th_dport = htons(2),
                         .th_seq = htonl(SEQ),
                         .th_ack = htonl(7),
                         .th_off = L4_BYTES / 4,
                         .th_flags = TH_FIN | TH_PUSH | TH_ACK | 0x80,
                         .th_win = htons(99)};
    assert_non_null(p);
    memset(p, 0, HEADERS);
    memcpy(p, mac_b, 6);
    memcpy(p + 6, mac_a, 6);
    p[12] = 8;
    memcpy(p + 14, &ip, sizeof ip);
    tcp.th_sum = csum_fold(pseudo_sum(p, L4_BYTES + payload));
    memcpy(p + 34, &tcp, sizeof tcp);
    for (uint32_t i = 0; i < 12; i++)
        p[54 + i] = (uint8_t)(0xa0 + i);
    for (uint32_t i = 0; i < payload; i++)
        p[HEADERS + i] = (uint8_t)(i ^ i >> 8);
    return p;
}

/* Checks the segment whose payload starts at `at`. Returns the length of its payload. */
static uint32_t check_piece(const struct netdev_buffer *b, uint32_t number, uint32_t at, bool last) {
    const uint8_t *p = b->data;
    uint32_t payload = b->bytes - HEADERS;
    struct iphdr ip;
    struct tcphdr tcp;
    memcpy(&ip, p + 14, sizeof ip);
    memcpy(&tcp, p + 34, sizeof tcp);
    assert_int_equal(ntohs(ip.tot_len), b->bytes - 14);
    assert_int_equal(ntohs(ip.id), (uint16_t)(IP_ID + number));
    assert_int_equal(csum_fold(csum_add(0, p + 14, 20)), 0xffff);
    assert_int_equal(csum_fold(csum_add(pseudo_sum(p, L4_BYTES + payload), p + 34, b->bytes - 34)), 0xffff);
    assert_int_equal(ntohl(tcp.th_seq), SEQ + at);
    assert_int_equal(ntohl(tcp.th_ack), 7);
    assert_int_equal(tcp.th_flags, TH_ACK | (last ? TH_FIN | TH_PUSH : 0) | (number == 0 ? 0x80 : 0));
    for (uint32_t i = 0; i < 12; i++)
        assert_int_equal(p[54 + i], 0xa0 + i);
    for (uint32_t i = 0; i < payload; i++)
        assert_int_equal(p[HEADERS + i], (uint8_t)((at + i) ^ (at + i) >> 8));
    return payload;
}

static void each_segment_has_its_own_headers(void **state) {
    (void)state;
    static const uint16_t sizes[] = {1, 7, 536, 1448};
    struct sim *sim = sim_new(&(struct sim_config){.host_queue_max = 4096});
    sim_add_host(sim, "a", mac_a, 1500);
    sim_add_host(sim, "b", mac_b, 1500);
    sim_connect(sim, 0, 1, NULL, NULL);
    struct netdev *a = open_host(sim, "host=a,csum=yes,tso=65549"), *b = open_host(sim, "host=b");
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (uint32_t payload = 1; payload < 3000; payload += 1 + payload / 7) {
            uint8_t *whole = make_whole(payload);
            struct netdev_seg segs[2] = {{whole, HEADERS}, {whole + HEADERS, payload}};
            struct netdev_frame frame = {.segs = segs,
                                         .segs_count = 2,
                                         .bytes = HEADERS + payload,
                                         .offloads = NETDEV_CSUM | NETDEV_TSO4,
                                         .l2_bytes = 14,
                                         .l3_bytes = 20,
                                         .l4_bytes = L4_BYTES,
                                         .csum_offset = 16,
                                         .mss = sizes[k]};
            struct netdev_buffer got;
            uint32_t at = 0;
            assert_int_equal(netdev_tx(a, &frame, 1, 0), 1);
            for (uint32_t i = 0; at < payload; i++) {
                assert_int_equal(netdev_rx(b, &got, 1, 0), 1);
                at += check_piece(&got, i, at, at + sizes[k] >= payload);
                heap_free(got.data);
            }
            assert_int_equal(netdev_rx(b, &got, 1, 0), 0);
            heap_free(whole);
        }
    netdev_close(a);
    netdev_close(b);
    sim_free(sim);
}

static void frames_that_cannot_be_segmented_are_refused_and_counted(void **state) {
    (void)state;
    struct sim *sim = sim_new(&(struct sim_config){.seed = 1});
    uint8_t *whole = make_whole(3000);
    struct netdev_seg segs[2] = {{whole, HEADERS}, {whole + HEADERS, 3000}}, header = {whole, HEADERS};
    struct netdev_frame right = {.segs = segs,
                                 .segs_count = 2,
                                 .bytes = HEADERS + 3000,
                                 .offloads = NETDEV_CSUM | NETDEV_TSO4,
                                 .l2_bytes = 14,
                                 .l3_bytes = 20,
                                 .l4_bytes = L4_BYTES,
                                 .csum_offset = 16,
                                 .mss = 1448};
    struct netdev_frame no_size = right, large_pieces = right, no_payload = right;
    struct netdev_args args = {.options = "host=a,tso=2000", .sim = sim};
    struct netdev *dev;
    no_size.mss = 0;
    large_pieces.mss = 1500;
    no_payload.segs = &header;
    no_payload.segs_count = 1;
    no_payload.bytes = HEADERS;
    sim_add_host(sim, "a", mac_a, 1500);
    sim_add_host(sim, "b", mac_b, 1500);
    sim_connect(sim, 0, 1, NULL, NULL);
    assert_int_equal(netdev_open("sim", &args, &dev), -EINVAL); /* without checksums */
    dev = open_host(sim, "host=a,csum=yes,tso=3066");
    const struct netdev_frame all[] = {no_size, large_pieces, no_payload, right};
    assert_int_equal(netdev_tx(dev, all, 4, 0), 4);
    assert_int_equal(dev->stats.tx_refused, 3);
    assert_int_equal(sim_get_stats(sim, 0, true).sent, 3);
    netdev_close(dev);
    dev = open_host(sim, "host=a,csum=yes,tso=3065");
    assert_int_equal(netdev_tx(dev, &right, 1, 0), 1);
    assert_int_equal(dev->stats.tx_refused, 1);
    netdev_close(dev);
    heap_free(whole);
    sim_free(sim);
}

/* A checksum of 0 means none in UDP (RFC 768). */
static void checksum_of_0_is_written_as_all_ones(void **state) {
    (void)state;
    uint8_t data[14 + 20 + 8 + 2] = {0}, *check = data + 14 + 20 + 6;
    const struct netdev_frame f = {
        .bytes = sizeof data, .l2_bytes = 14, .l3_bytes = 20, .l4_bytes = 8, .csum_offset = 6};
    data[14 + 20] = 0x12;
    netdev_finish_csum(&f, data);
    assert_memory_equal(check, ((const uint8_t[]){0xed, 0xff}), 2);
    memcpy(data + sizeof data - 2, check, 2); /* now the sum is all ones */
    memset(check, 0, 2);
    netdev_finish_csum(&f, data);
    assert_memory_equal(check, ((const uint8_t[]){0xff, 0xff}), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_segment_has_its_own_headers),
        cmocka_unit_test(frames_that_cannot_be_segmented_are_refused_and_counted),
        cmocka_unit_test(checksum_of_0_is_written_as_all_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
