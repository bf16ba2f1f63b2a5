/* SPDX-License-Identifier: MIT */
/* One thread that never sleeps: non-blocking recv and send on each connection in turn. */
#include "baseline.h"
#include "peer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ACCEPT_EVERY 1024 /* rounds between accepts; without clients, every round accepts */

static char buf[BUFFER_BYTES];
static struct peer peers[MAX_CONNECTIONS];
static size_t count;

static void accept_all(int listener) {
    int fd;
    while (count < MAX_CONNECTIONS && (fd = peer_accept(listener)) >= 0)
        peers[count++] = (struct peer){.fd = fd};
}

static void serve_round(void) {
    for (size_t i = 0; i < count;) {
        struct peer *p = &peers[i];
        if ((p->rest ? peer_flush(p) : peer_echo(p, buf)) == PEER_GONE) {
            peer_close(p);
            *p = peers[--count];
        } else {
            i++;
        }
    }
}

int serve_spin(int fd, bool udp) {
    for (unsigned round = 0;; round++) {
        if (udp) {
            datagram_echo(fd, buf);
            continue;
        }
        if (count == 0 || round % ACCEPT_EVERY == 0) accept_all(fd);
        serve_round();
    }
}
