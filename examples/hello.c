/* SPDX-License-Identifier: MIT */
/* A TCP server and its client in one program. */
#include <dmtr/dmtr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(int error) {
    if (error == 0) return;
    fprintf(stderr, "%s\n", strerror(error));
    exit(1);
}

int main(int argc, char *argv[]) {
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    int listener, client;
    dmtr_qtoken_t accepted, qt;
    dmtr_qresult_t connection, qr;

    check(dmtr_init(argc, argv));
    check(dmtr_socket(&listener, AF_INET, SOCK_STREAM, 0));
    check(dmtr_bind(listener, (struct sockaddr *)&addr, len));
    check(dmtr_listen(listener, 1));
    check(dmtr_getsockname(listener, (struct sockaddr *)&addr, &len)); /* the port that was chosen */

    check(dmtr_accept(&accepted, listener)); /* starts the accept; only waits block */
    check(dmtr_socket(&client, AF_INET, SOCK_STREAM, 0));
    check(dmtr_connect(&qt, client, (struct sockaddr *)&addr, len));
    check(dmtr_wait(&qr, qt));
    check(dmtr_wait(&connection, accepted));

    dmtr_sgarray_t hello = dmtr_sgaalloc(6);
    if (hello.sga_numsegs == 0) return 1;
    memcpy(hello.sga_segs[0].sgaseg_buf, "hello\n", 6);
    check(dmtr_push(&qt, client, &hello));
    check(dmtr_sgafree(&hello)); /* the library holds the memory until it is sent */
    check(dmtr_wait(&qr, qt));

    check(dmtr_pop(&qt, connection.qr_value.ares.qd));
    check(dmtr_wait(&qr, qt));
    const dmtr_sgaseg_t *seg = &qr.qr_value.sga.sga_segs[0];
    fwrite(seg->sgaseg_buf, 1, seg->sgaseg_len, stdout);
    check(dmtr_sgafree(&qr.qr_value.sga));
    return dmtr_fini();
}
