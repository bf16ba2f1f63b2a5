/* SPDX-License-Identifier: MIT */
/* The platform for lwIP. A program that links lwIP defines the lwip_port_* functions and sys_now. */
#ifndef LWIP_PORT_ARCH_CC_H
#define LWIP_PORT_ARCH_CC_H

#include "../names.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/time.h>

#define LWIP_DONT_PROVIDE_BYTEORDER_FUNCTIONS
#define LWIP_TIMEVAL_PRIVATE 0

void *lwip_port_malloc(size_t bytes);
void *lwip_port_calloc(size_t count, size_t bytes);
void lwip_port_free(void *p);
uint32_t lwip_port_random(void);

#define LWIP_RAND() lwip_port_random()

/* lwIP's assertions check lwIP itself, and stay on as ours do. */
#define LWIP_PLATFORM_DIAG(x)
#define LWIP_PLATFORM_ASSERT(x) abort()

#endif
