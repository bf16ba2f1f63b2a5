/* SPDX-License-Identifier: MIT */
/*
 * Path MTU (RFC 1191): the link's MTU, or less if a router has reported so. The table is bounded. An entry expires
 * after ten minutes, so that larger packets are tried again.
 */
#ifndef INET_IP_PATH_H
#define INET_IP_PATH_H

#include "inet/state.h"

#define PATH_MTU_LEAST  552u /* a smaller reported MTU is not used; packets may be fragmented instead */
#define PATH_MTU_AGE_NS (600 * NS_PER_S)
#define PATHS_MAX       1024u

/* 0, -ENOMEM. */
int paths_init(struct inet *s);
void paths_fini(struct inet *s);

/* Largest IP packet for this destination, in bytes. *fragment: routers may still have to fragment it. */
uint16_t path_mtu(const struct inet *s, const struct inet_addr *to, bool *fragment);

/*
 * A router could not forward a packet of `packet_bytes`. `mtu` is that of its next link, or 0 from an old router.
 * Returns whether the path MTU has become smaller; each change also changes s->path_epoch.
 */
bool path_learn(struct inet *s, const struct inet_addr *to, uint16_t mtu, uint16_t packet_bytes);

#endif
