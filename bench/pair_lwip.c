/* SPDX-License-Identifier: MIT */
/*
 * lwIP as one end of a pair. Its state is global, so each end is a separate library with this file and all of lwIP;
 * PAIR_KIND names it.
 */
#include "pair.h"

#include "../src/libos/lwip/port/hooks.h"
#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/sys.h"
#include "lwip/tcp.h"
#include "lwip/timeouts.h"
#include "lwip/udp.h"
#include "netif/ethernet.h"

#include <string.h>

static struct {
    struct netif netif;
    struct udp_pcb *udp;
    struct tcp_pcb *listener, *tcp;
    bool client, connected;
    uint64_t received, now;
    pair_send *send;
    void *wire;
} end;

/* A received frame, preceded by its pbuf. */
struct received {
    struct pbuf_custom pbuf;
    char frame[];
};

extern const struct pair_kind PAIR_KIND;

void *lwip_port_malloc(size_t bytes) {
    return malloc(bytes);
}

void *lwip_port_calloc(size_t count, size_t bytes) {
    return calloc(count, bytes);
}

void lwip_port_free(void *p) {
    free(p);
}

uint32_t lwip_port_random(void) {
    return 1;
}

uint32_t lwip_port_isn(uint32_t local, uint16_t local_port, uint32_t remote, uint16_t remote_port) {
    return local + local_port + remote + remote_port;
}

uint32_t sys_now(void) {
    return (uint32_t)(end.now / 1000000);
}

static err_t transmit(struct netif *netif, struct pbuf *p) {
    struct pair_run runs[64];
    uint32_t count = 0;
    (void)netif;
    for (; p && count < sizeof runs / sizeof *runs; p = p->next)
        runs[count++] = (struct pair_run){p->payload, p->len};
    return end.send(end.wire, runs, count) ? ERR_OK : ERR_WOULDBLOCK;
}

static err_t netif_begin(struct netif *netif) {
    netif->output = etharp_output;
    netif->linkoutput = transmit;
    netif->mtu = PAIR_MTU;
    netif->hwaddr_len = ETH_HWADDR_LEN;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
    /* Frames only cross memory: no checksums, as the other stack leaves them to its device. */
    NETIF_SET_CHECKSUM_CTRL(netif, NETIF_CHECKSUM_ENABLE_ALL & ~(NETIF_CHECKSUM_GEN_TCP | NETIF_CHECKSUM_GEN_UDP |
                                                                 NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP));
    return ERR_OK;
}

static err_t on_stream(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err) {
    (void)arg;
    (void)err;
    if (!p) return ERR_OK;
    end.received += p->tot_len;
    for (struct pbuf *part = p; part && !end.client; part = part->next)
        tcp_write(pcb, part->payload, part->len, TCP_WRITE_FLAG_COPY);
    tcp_recved(pcb, p->tot_len);
    pbuf_free(p);
    return ERR_OK;
}

static void on_datagram(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *ip, uint16_t port) {
    (void)arg;
    end.received += p->tot_len;
    if (!end.client) udp_sendto(pcb, p, ip, port);
    pbuf_free(p);
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err) {
    (void)arg;
    (void)err;
    tcp_recv(pcb, on_stream);
    end.tcp = pcb;
    return ERR_OK;
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err) {
    (void)arg;
    (void)pcb;
    end.connected = err == ERR_OK;
    return err;
}

static bool open_stream(const ip_addr_t *server) {
    struct tcp_pcb *pcb = tcp_new();
    if (end.client) {
        end.tcp = pcb;
        tcp_recv(pcb, on_stream);
        return tcp_connect(pcb, server, PAIR_PORT, on_connected) == ERR_OK;
    }
    if (tcp_bind(pcb, server, PAIR_PORT) != ERR_OK) return false;
    end.listener = tcp_listen(pcb);
    tcp_accept(end.listener, on_accept);
    return end.listener != NULL;
}

static bool open_datagrams(const ip_addr_t *server) {
    end.udp = udp_new();
    udp_recv(end.udp, on_datagram, NULL);
    end.connected = true;
    return (end.client ? udp_connect(end.udp, server, PAIR_PORT) : udp_bind(end.udp, server, PAIR_PORT)) == ERR_OK;
}

static void *end_open(uint32_t number, bool stream, pair_send *send, void *wire, uint64_t now) {
    uint32_t other = PAIR_ENDS - 1 - number;
    ip4_addr_t own = {htonl(PAIR_ADDRESS(number))}, peer = {htonl(PAIR_ADDRESS(other))}, server = number ? peer : own;
    ip4_addr_t mask = {htonl(0xffffff00)}, none = {0};
    struct eth_addr mac = {{2, 0, 0, 0, 0, PAIR_MAC_LAST(other)}};
    end.client = number != 0;
    end.send = send;
    end.wire = wire;
    end.now = now;
    lwip_init();
    memcpy(end.netif.hwaddr, mac.addr, sizeof mac.addr);
    end.netif.hwaddr[5] = PAIR_MAC_LAST(number);
    if (!netif_add(&end.netif, &own, &mask, &none, NULL, netif_begin, ethernet_input)) return NULL;
    netif_set_default(&end.netif);
    netif_set_up(&end.netif);
    netif_set_link_up(&end.netif);
    if (etharp_add_static_entry(&peer, &mac) != ERR_OK) return NULL;
    return (stream ? open_stream(&server) : open_datagrams(&server)) ? &end : NULL;
}

static void end_close(void *e) {
    (void)e;
    if (end.tcp) tcp_abort(end.tcp);
    if (end.listener) tcp_close(end.listener);
    if (end.udp) udp_remove(end.udp);
}

static void received_free(struct pbuf *p) {
    free(p);
}

static void *end_buffer(void *e, uint32_t bytes) {
    struct received *r = malloc(sizeof *r + bytes);
    (void)e;
    return r ? r->frame : NULL;
}

static void end_input(void *e, void *frame, uint32_t bytes, uint64_t now) {
    struct received *r = (struct received *)(void *)((char *)frame - offsetof(struct received, frame));
    (void)e;
    end.now = now;
    r->pbuf.custom_free_function = received_free;
    struct pbuf *p = pbuf_alloced_custom(PBUF_RAW, (uint16_t)bytes, PBUF_REF, &r->pbuf, frame, (uint16_t)bytes);
    if (end.netif.input(p, &end.netif) != ERR_OK) pbuf_free(p);
}

/* Nothing to do for the application: lwIP has already run its callbacks. */
static void end_settle(void *e, uint64_t now) {
    (void)e;
    end.now = now;
    sys_check_timeouts();
}

static bool end_connected(void *e) {
    (void)e;
    return end.connected;
}

static void end_request(void *e, uint64_t now) {
    static const char message[PAIR_MESSAGE_BYTES];
    (void)e;
    end.now = now;
    if (end.udp) {
        struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, sizeof message, PBUF_RAM);
        if (!p) return;
        pbuf_take(p, message, sizeof message);
        udp_send(end.udp, p);
        pbuf_free(p);
    } else {
        tcp_write(end.tcp, message, sizeof message, TCP_WRITE_FLAG_COPY);
        tcp_output(end.tcp);
    }
}

static uint64_t end_received(const void *e) {
    (void)e;
    return end.received;
}

__attribute__((visibility("default"))) const struct pair_kind PAIR_KIND = {
    .name = "lwip",
    .open = end_open,
    .close = end_close,
    .buffer = end_buffer,
    .input = end_input,
    .settle = end_settle,
    .connected = end_connected,
    .request = end_request,
    .received = end_received,
};
