/* SPDX-License-Identifier: MIT */
/*
 * Configuration of lwIP: without threads (NO_SYS), only the raw API, IPv4, memory from our heap. The limits are the
 * sizes of its pools.
 */
#ifndef LWIP_PORT_LWIPOPTS_H
#define LWIP_PORT_LWIPOPTS_H

#define NO_SYS               1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN         0
#define LWIP_SOCKET          0
#define LWIP_STATS           0

/*
 * Structures are in pools of fixed size. Payload and headers are in the heap, so that a device can use them without a
 * copy.
 */
#ifdef LWIP_PORT_CUSTOM_ALLOCATOR /* lwIP 2.2 */
#define MEM_CUSTOM_ALLOCATOR 1
#define MEM_CUSTOM_MALLOC    lwip_port_malloc
#define MEM_CUSTOM_CALLOC    lwip_port_calloc
#define MEM_CUSTOM_FREE      lwip_port_free
#else
#define MEM_LIBC_MALLOC 1
#define mem_clib_malloc lwip_port_malloc
#define mem_clib_calloc lwip_port_calloc
#define mem_clib_free   lwip_port_free
#endif
#define MEM_ALIGNMENT             16
#define LWIP_TCP_PCB_NUM_EXT_ARGS 1
#define MEMP_NUM_TCP_PCB          1024
#define MEMP_NUM_TCP_PCB_LISTEN   64
#define MEMP_NUM_TCP_SEG          16384
#define MEMP_NUM_PBUF             16384
#define MEMP_NUM_UDP_PCB          256
#define PBUF_POOL_SIZE            16
#define LWIP_SUPPORT_CUSTOM_PBUF  1

/* Pushed memory belongs to the application until it is acknowledged, so lwIP must copy a packet that waits for ARP. */
#define PBUF_NEEDS_COPY(p) 1

#define LWIP_IPV6                     0
#define SO_REUSE                      1 /* old connections do not keep a restarted server from its port */
#define LWIP_RAW                      0
#define LWIP_DNS                      0
#define LWIP_NETIF_LOOPBACK           1
#define LWIP_LOOPBACK_MAX_PBUFS       1024
#define ETHARP_SUPPORT_STATIC_ENTRIES 1
#define ARP_QUEUEING                  1
#define ARP_QUEUE_LEN                 64 /* the fragments of a datagram */
#define MEMP_NUM_ARP_QUEUE            256
#define ARP_TABLE_SIZE                64
#define IP_REASS_MAX_PBUFS            64
#define IP_FRAG                       1
#define LWIP_CHECKSUM_CTRL_PER_NETIF  1

#define LWIP_TCP_KEEPALIVE             1
#define LWIP_TCP_SACK_OUT              1
#define LWIP_WND_SCALE                 1
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1 /* they assume lwIP's own pool of receive buffers, which is not used */
#define TCP_RCV_SCALE                  3
#define TCP_WND                        (256u << 10)
#define TCP_SND_BUF                    (256u << 10) /* lwIP walks its queues from end to end for every ACK */
#define TCP_SND_QUEUELEN               8192
#define TCP_SNDLOWAT                   16384
#define TCP_SNDQUEUELOWAT              (TCP_SND_QUEUELEN / 2)
#define TCP_MSS                        9176 /* for the largest MTU; smaller MTUs are respected */
#define TCP_OVERSIZE                   1460
#define TCP_LISTEN_BACKLOG             1
#define TCP_WND_UPDATE_THRESHOLD       (2u * TCP_OVERSIZE)

#define LWIP_RANDOMIZE_INITIAL_LOCAL_PORTS 1
#define LWIP_HOOK_FILENAME                 "hooks.h"

#endif
