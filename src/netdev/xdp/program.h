/* SPDX-License-Identifier: MIT */
/*
 * The XDP program of an interface. For each frame it decides whether the frame goes to a socket of the device `xdp` or
 * to the kernel. It is assembled here and loaded with bpf(2). It is detached when its descriptors are closed, also if
 * the process is killed.
 *
 * The program sends to the sockets: ARP for addresses that only we have; all IPv4 to these addresses; and, to addresses
 * shared with the kernel, TCP and UDP to the ports that are open here. Fragments to shared addresses carry no ports, so
 * the kernel gets them.
 */
#ifndef NETDEV_XDP_PROGRAM_H
#define NETDEV_XDP_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

struct xdp_program {
    int link; /* keeps the program attached; -1: not attached */
    int code;
    int sockets, addresses, ports; /* maps */
    uint64_t *port_bits;           /* the map of ports as memory: TCP's words, then UDP's */
};

/*
 * Loads a program for a number of queues, without attaching it. Returns 0, or a negative errno with nothing left open.
 */
int xdp_program_open(struct xdp_program *p, uint32_t queues);
/*
 * Attaches it to the interface, in the driver (native) or behind it. Returns 0, -EBUSY (another program is attached) or
 * another negative errno.
 */
int xdp_program_attach(struct xdp_program *p, int interface, bool native);
/* Detaches and unloads it. */
void xdp_program_close(struct xdp_program *p);

/* Sets the socket that receives the frames of a queue. */
int xdp_program_set_socket(const struct xdp_program *p, uint32_t queue, int socket);
/* Adds an address, in network order. shared: the kernel has it, too. */
int xdp_program_set_address(const struct xdp_program *p, uint32_t ip4, bool shared);
/* Opens or closes a port of protocol 6 or 17 at the shared addresses. */
void xdp_program_set_port(const struct xdp_program *p, uint8_t protocol, uint16_t port, bool on);

#endif
