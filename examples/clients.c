/* SPDX-License-Identifier: MIT */
/*
 * An echo server for many clients: clients [PORT [CONNECTIONS]]. It ends after so many connections; without a number it
 * serves until it is killed. One call returns the results of all connections, and each result carries the pointer of
 * its queue, so that the server needs no table of connections.
 */
#include "check.h"
#include <dmtr/dmtr.h>

#define RESULTS 64

struct client {
    int qd;
    uint64_t bytes;
};

static int listener;

static void accept_next(void) {
    dmtr_qtoken_t qt;
    check(dmtr_accept(&qt, listener));
}

static void pop_next(struct client *c) {
    dmtr_qtoken_t qt;
    check(dmtr_pop(&qt, c->qd));
}

static void accepted(const dmtr_qresult_t *qr) {
    accept_next();
    if (qr->qr_error) return; /* such as EMFILE: the next accept may succeed */
    struct client *c = calloc(1, sizeof *c);
    if (!c) check(ENOMEM);
    c->qd = qr->qr_value.ares.qd;
    check(dmtr_set_user(c->qd, c));
    pop_next(c);
}

/* Echoes what was received. Returns whether the connection has ended. */
static bool popped(const dmtr_qresult_t *qr) {
    struct client *c = qr->qr_user;
    dmtr_sgarray_t sga = qr->qr_value.sga;
    if (qr->qr_error || sga.sga_numsegs == 0) { /* reset, or the end of the stream */
        printf("%llu bytes\n", (unsigned long long)c->bytes);
        check(dmtr_close(c->qd));
        free(c);
        return true;
    }
    c->bytes += sga.sga_segs[0].sgaseg_len;
    /* The library takes the memory over. A push that fails is followed by a pop that fails. */
    int error = dmtr_push_buf_quiet(c->qd, sga.sga_segs[0].sgaseg_buf, sga.sga_segs[0].sgaseg_len);
    if (error) check(dmtr_sgafree(&sga));
    pop_next(c);
    return false;
}

int main(int argc, char *argv[]) {
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    long left = argc > 2 ? strtol(argv[2], NULL, 10) : -1;
    if (argc > 1) addr.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));

    check(dmtr_init(0, NULL));
    check(dmtr_socket(&listener, AF_INET, SOCK_STREAM, 0));
    check(dmtr_bind(listener, (struct sockaddr *)&addr, len));
    check(dmtr_listen(listener, 128));
    check(dmtr_getsockname(listener, (struct sockaddr *)&addr, &len));
    printf("listening on port %u\n", ntohs(addr.sin_port));
    fflush(stdout);

    accept_next();
    while (left != 0) {
        dmtr_qresult_t results[RESULTS];
        int count;
        check(dmtr_wait_next_n(results, RESULTS, &count, UINT64_MAX));
        for (int i = 0; i < count; i++) {
            if (results[i].qr_opcode == DMTR_OPC_ACCEPT)
                accepted(&results[i]);
            else if (results[i].qr_opcode == DMTR_OPC_POP && popped(&results[i]) && left > 0)
                left--;
        }
    }
    check(dmtr_fini());
    return 0;
}
