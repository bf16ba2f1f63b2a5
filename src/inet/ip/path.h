/* SPDX-License-Identifier: MIT */
/*
 * What packets a path carries (RFC 1191): the link's MTU, or less where a router has said so. Few destinations have
 * an entry, in a bounded table; an entry ends after ten minutes, so that a larger one is tried again.
 */
#ifndef INET_IP_PATH_H
#define INET_IP_PATH_H

#include "inet/state.h"

#define PATH_MTU_LEAST  552u /* smaller claims serve attackers: from here on packets may be fragmented instead */
#define PATH_MTU_AGE_NS (600 * NS_PER_S)
#define PATHS_MAX       1024u

/* 0, -ENOMEM. */
int paths_init(struct inet *s);
void paths_fini(struct inet *s);

/* Largest IP packet for this destination; *fragment: routers may have to cut it all the same. */
uint16_t path_mtu(const struct inet *s, const struct inet_addr *to, bool *fragment);

/*
 * A router could not forward a packet of `packet_bytes`, and names the MTU of its next link, or 0 if it is too old to.
 * Whether this is less than was known. Each change moves s->path_epoch.
 */
bool path_learn(struct inet *s, const struct inet_addr *to, uint16_t mtu, uint16_t packet_bytes);

#endif
