/* SPDX-License-Identifier: MIT */
/*
 * lwIP functions whose names our own stack also uses. Both stacks are in one library, so lwIP's are renamed. If a
 * linker reports a duplicate name, add a line here.
 */
#ifndef LWIP_PORT_NAMES_H
#define LWIP_PORT_NAMES_H

#define icmp_input     lwip_icmp_input
#define ip4_input      lwip_ip4_input
#define ip4_output     lwip_ip4_output
#define tcp_abort      lwip_tcp_abort
#define tcp_accept     lwip_tcp_accept
#define tcp_close      lwip_tcp_close
#define tcp_connect    lwip_tcp_connect
#define tcp_init       lwip_tcp_init
#define tcp_input      lwip_tcp_input
#define tcp_output     lwip_tcp_output
#define tcp_shutdown   lwip_tcp_shutdown
#define udp_bind       lwip_udp_bind
#define udp_connect    lwip_udp_connect
#define udp_disconnect lwip_udp_disconnect
#define udp_init       lwip_udp_init
#define udp_input      lwip_udp_input
#define udp_send       lwip_udp_send

#endif
