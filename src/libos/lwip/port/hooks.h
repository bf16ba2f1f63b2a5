/* SPDX-License-Identifier: MIT */
/* Replaces a predictable choice of lwIP: initial sequence numbers (RFC 6528). */
#ifndef LWIP_PORT_HOOKS_H
#define LWIP_PORT_HOOKS_H

#include <stdint.h>

uint32_t lwip_port_isn(uint32_t local, uint16_t local_port, uint32_t remote, uint16_t remote_port);

#define LWIP_HOOK_TCP_ISN(local, local_port, remote, remote_port)                                                      \
    lwip_port_isn(ip_2_ip4(local)->addr, local_port, ip_2_ip4(remote)->addr, remote_port)

#endif
