/* SPDX-License-Identifier: MIT */
/*
 * TCP segmentation in software: each segment has the headers of the whole frame with its own sequence number, lengths,
 * flags and checksums.
 */
#include "netdev/wrap/cut.h"
#include "netdev/device.h"

#include "base/csum.h"

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <string.h>

#define TCP_CWR 0x80u /* only on the first segment (RFC 3168) */

static uint32_t header_bytes(const struct netdev_frame *f) {
    return (uint32_t)f->l2_bytes + f->l3_bytes + f->l4_bytes;
}

uint32_t netdev_cut_count(const struct netdev_frame *f) {
    return (f->bytes - header_bytes(f) + f->mss - 1) / f->mss;
}

uint32_t netdev_cut_bytes(const struct netdev_frame *f, uint32_t i) {
    uint32_t header = header_bytes(f), left = f->bytes - header - i * f->mss;
    return header + (left < f->mss ? left : f->mss);
}

static void cut_ip(char *at, uint32_t bytes, uint32_t i) {
    struct iphdr ip;
    memcpy(&ip, at, sizeof ip);
    ip.tot_len = htons((uint16_t)bytes);
    ip.id = htons((uint16_t)(ntohs(ip.id) + i));
    ip.check = 0;
    memcpy(at, &ip, sizeof ip);
    ip.check = csum_finish(csum_add(0, at, (size_t)ip.ihl * 4));
    memcpy(at, &ip, sizeof ip);
}

/*
 * The checksum field holds the pseudo-header sum of the whole frame; replaces the whole length in it by the segment's.
 */
static uint16_t pseudo_sum(uint16_t whole, uint32_t whole_bytes, uint32_t bytes) {
    return csum_fold((uint64_t)whole + (uint16_t)~htons((uint16_t)whole_bytes) + htons((uint16_t)bytes));
}

static void cut_tcp(const struct netdev_frame *f, char *at, uint32_t bytes, uint32_t i, bool last) {
    struct tcphdr tcp;
    memcpy(&tcp, at, sizeof tcp);
    tcp.th_seq = htonl(ntohl(tcp.th_seq) + i * f->mss);
    if (!last) tcp.th_flags &= (uint8_t)~(TH_FIN | TH_PUSH);
    if (i > 0) tcp.th_flags &= (uint8_t)~TCP_CWR;
    tcp.th_sum = pseudo_sum(tcp.th_sum, f->bytes - f->l2_bytes - f->l3_bytes, bytes);
    memcpy(at, &tcp, sizeof tcp);
}

void netdev_cut(const struct netdev_frame *f, const void *whole, uint32_t i, void *to) {
    uint32_t header = header_bytes(f), bytes = netdev_cut_bytes(f, i);
    struct netdev_frame piece = *f;
    char *ip = (char *)to + f->l2_bytes, *tcp = ip + f->l3_bytes;
    memcpy(to, whole, header);
    memcpy((char *)to + header, (const char *)whole + header + (size_t)i * f->mss, bytes - header);
    cut_ip(ip, bytes - f->l2_bytes, i);
    cut_tcp(f, tcp, bytes - f->l2_bytes - f->l3_bytes, i, i + 1 == netdev_cut_count(f));
    piece.bytes = bytes;
    netdev_finish_csum(&piece, to);
}
