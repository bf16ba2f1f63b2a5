/* The link: Ethernet frames in and out. */
#ifndef INET_LINK_H
#define INET_LINK_H

#include "inet/stack.h"

extern const uint8_t link_broadcast[INET_MAC_BYTES];

void link_input(struct inet *s, struct packet *p);

/* Writes the Ethernet header and gives the frame to the device. 0; -EAGAIN: it has no room. */
int link_output(struct inet *s, struct out *o, const uint8_t *to, uint16_t type);

/* A frame that waited, its Ethernet header excepted. Lost where the device has no room. */
void link_output_held(struct inet *s, struct held_frame *h, const uint8_t *to);

#endif
