/* SPDX-License-Identifier: MIT */
/*
 * The program at the entrance of an interface that decides, frame by frame, what goes to the sockets of the device
 * `xdp` and what goes on to the kernel. It is assembled here and loaded by bpf(2); it goes with the descriptors, also
 * when the process is killed.
 *
 * To the sockets go: ARP for our own addresses, all IPv4 to our own addresses, and, to addresses that the kernel has
 * too, TCP and UDP to the ports that are open here. Fragments to those have no ports, and are the kernel's.
 */
#ifndef NETDEV_XDP_PROGRAM_H
#define NETDEV_XDP_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

struct xdp_program {
    int link; /* holds the program on the interface; -1: not attached */
    int code;
    int sockets, addresses, ports; /* maps */
    uint64_t *port_bits;           /* the map of ports, as memory: TCP's, then UDP's */
};

/* A program for a number of queues, not attached yet. 0, or a negative errno with nothing left open. */
int xdp_program_open(struct xdp_program *p, uint32_t queues);
/* Puts it on the interface, in the driver (native) or behind it. 0; -EBUSY: another program is there. */
int xdp_program_attach(struct xdp_program *p, int interface, bool native);
/* Takes it off. */
void xdp_program_close(struct xdp_program *p);

/* Where frames of a queue go. */
int xdp_program_set_socket(const struct xdp_program *p, uint32_t queue, int socket);
/* An address, in network order; shared: with the kernel. */
int xdp_program_set_address(const struct xdp_program *p, uint32_t ip4, bool shared);
/* A port of protocol 6 or 17 at the shared addresses. */
void xdp_program_set_port(const struct xdp_program *p, uint8_t protocol, uint16_t port, bool on);

#endif
