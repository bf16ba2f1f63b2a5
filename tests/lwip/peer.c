/* SPDX-License-Identifier: MIT */
/* lwIP's side of a conversation with our stack. */
#include "peer.h"

#include "lwip/tcp.h"
#include "lwip/udp.h"

#include <string.h>

#define PIECE 4096u

static struct peer_stream streams[PEER_STREAMS_MAX];
static uint32_t count;
static struct peer_plan plan_of_accepted;
static struct tcp_pcb *listener;
static struct udp_pcb *echo;

static void detach(struct peer_stream *s) {
    struct tcp_pcb *pcb = s->pcb;
    tcp_arg(pcb, NULL);
    tcp_err(pcb, NULL);
    tcp_recv(pcb, NULL);
    s->pcb = NULL;
}

static err_t on_received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err) {
    struct peer_stream *s = arg;
    (void)err;
    if (!p) {
        s->finished = true;
        return ERR_OK;
    }
    for (struct pbuf *part = p; part; part = part->next)
        for (uint16_t i = 0; i < part->len; i++)
            s->differs |= ((uint8_t *)part->payload)[i] != pattern(s->received++);
    if (s->plan.holds)
        s->unread += p->tot_len;
    else
        tcp_recved(pcb, p->tot_len);
    pbuf_free(p);
    return ERR_OK;
}

static void on_end(void *arg, err_t err) {
    struct peer_stream *s = arg;
    s->pcb = NULL;
    s->error = err == ERR_CLSD ? 0 : err;
}

static struct peer_stream *attach(struct tcp_pcb *pcb, const struct peer_plan *plan) {
    if (count == PEER_STREAMS_MAX) return NULL;
    struct peer_stream *s = &streams[count++];
    *s = (struct peer_stream){.plan = *plan, .pcb = pcb};
    tcp_arg(pcb, s);
    tcp_recv(pcb, on_received);
    tcp_err(pcb, on_end);
    return s;
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err) {
    struct peer_stream *s = arg;
    (void)pcb;
    s->connected = true;
    return err;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err) {
    (void)arg;
    if (err != ERR_OK || !pcb) return ERR_VAL;
    struct peer_stream *s = attach(pcb, &plan_of_accepted);
    if (!s) return ERR_MEM;
    s->connected = true;
    return ERR_OK;
}

void peer_begin(void) {
    for (uint32_t i = 0; i < count; i++)
        if (streams[i].pcb) detach(&streams[i]);
    if (listener) tcp_close(listener);
    if (echo) udp_remove(echo);
    memset(streams, 0, sizeof streams);
    count = 0;
    listener = NULL;
    echo = NULL;
}

int peer_listen(uint16_t port, const struct peer_plan *plan) {
    struct tcp_pcb *pcb = tcp_new();
    if (!pcb) return ERR_MEM;
    err_t err = tcp_bind(pcb, IP_ADDR_ANY, port);
    if (err == ERR_OK) listener = tcp_listen_with_backlog_and_err(pcb, 255, &err);
    if (err != ERR_OK) {
        tcp_close(pcb);
        return err;
    }
    plan_of_accepted = *plan;
    tcp_accept(listener, on_accept);
    return 0;
}

struct peer_stream *peer_connect(uint32_t address, uint16_t port, const struct peer_plan *plan) {
    ip_addr_t ip = {address};
    struct tcp_pcb *pcb = tcp_new();
    struct peer_stream *s = pcb ? attach(pcb, plan) : NULL;
    if (!s || tcp_connect(pcb, &ip, port, on_connected) != ERR_OK) return NULL;
    return s;
}

struct peer_stream *peer_at(uint32_t i) {
    return i < count ? &streams[i] : NULL;
}

static void work(struct peer_stream *s) {
    uint8_t data[PIECE];
    while (s->sent < s->plan.bytes) {
        uint64_t left = s->plan.bytes - s->sent, room = tcp_sndbuf((struct tcp_pcb *)s->pcb);
        uint16_t bytes = (uint16_t)(left < room ? left < PIECE ? left : PIECE : room < PIECE ? room : PIECE);
        for (uint16_t i = 0; i < bytes; i++)
            data[i] = pattern(s->sent + i);
        if (bytes == 0 || tcp_write(s->pcb, data, bytes, TCP_WRITE_FLAG_COPY) != ERR_OK) break;
        s->sent += bytes;
    }
    tcp_output(s->pcb);
    if (s->sent == s->plan.bytes && !s->fin_sent && !s->plan.stays) s->fin_sent = tcp_shutdown(s->pcb, 0, 1) == ERR_OK;
}

void peer_work(void) {
    for (uint32_t i = 0; i < count; i++)
        if (streams[i].pcb && streams[i].connected) work(&streams[i]);
}

void peer_read(struct peer_stream *s) {
    s->plan.holds = false;
    for (uint16_t bytes; s->unread > 0; s->unread -= bytes) {
        bytes = (uint16_t)(s->unread < UINT16_MAX ? s->unread : UINT16_MAX);
        tcp_recved(s->pcb, bytes);
    }
}

void peer_abort(struct peer_stream *s) {
    struct tcp_pcb *pcb = s->pcb;
    detach(s);
    tcp_abort(pcb);
}

static void on_datagram(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *ip, uint16_t port) {
    (void)arg;
    udp_sendto(pcb, p, ip, port);
    pbuf_free(p);
}

int peer_echo_datagrams(uint16_t port) {
    echo = udp_new();
    if (!echo) return ERR_MEM;
    udp_recv(echo, on_datagram, NULL);
    return udp_bind(echo, IP_ADDR_ANY, port);
}
