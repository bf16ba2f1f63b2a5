/* SPDX-License-Identifier: MIT */
/* Two datagram sockets: one asks, the other answers the sender of each datagram. */
#include "check.h"
#include <dmtr/dmtr.h>

/* A bound socket, and its address with the port that was chosen. */
static int bound_socket(struct sockaddr_in *addr) {
    socklen_t len = sizeof *addr;
    int qd;
    *addr = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    check(dmtr_socket(&qd, AF_INET, SOCK_DGRAM, 0));
    check(dmtr_bind(qd, (struct sockaddr *)addr, len));
    check(dmtr_getsockname(qd, (struct sockaddr *)addr, &len));
    return qd;
}

static void send_text(int qd, const char *text, const struct sockaddr *to, socklen_t len) {
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    dmtr_sgarray_t sga = dmtr_sgaalloc(strlen(text));
    if (sga.sga_numsegs == 0) check(ENOMEM);
    memcpy(sga.sga_segs[0].sgaseg_buf, text, strlen(text));
    check(dmtr_pushto(&qt, qd, &sga, to, len));
    check(dmtr_sgafree(&sga)); /* the library holds the memory until it is sent */
    check(dmtr_wait(&qr, qt));
}

/* Receives a datagram; the caller frees it. Its sender is in sga_addr. */
static dmtr_sgarray_t receive(int qd) {
    dmtr_qtoken_t qt;
    dmtr_qresult_t qr;
    check(dmtr_pop(&qt, qd));
    check(dmtr_wait(&qr, qt));
    return qr.qr_value.sga;
}

int main(int argc, char *argv[]) {
    struct sockaddr_in server_addr, client_addr;
    check(dmtr_init(argc, argv));
    int server = bound_socket(&server_addr), client = bound_socket(&client_addr);

    send_text(client, "ping", (struct sockaddr *)&server_addr, sizeof server_addr);
    dmtr_sgarray_t request = receive(server);
    send_text(server, "pong", (struct sockaddr *)&request.sga_addr, request.sga_addrlen);
    dmtr_sgarray_t answer = receive(client);
    printf("%.*s\n", (int)answer.sga_segs[0].sgaseg_len, (char *)answer.sga_segs[0].sgaseg_buf);

    check(dmtr_sgafree(&request));
    check(dmtr_sgafree(&answer));
    check(dmtr_close(client));
    check(dmtr_close(server));
    check(dmtr_fini());
    return 0;
}
