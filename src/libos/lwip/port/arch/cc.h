/* SPDX-License-Identifier: MIT */
/* What lwIP asks of the platform. Whoever links lwIP defines the functions named lwip_port_*, and sys_now. */
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

/* Its assertions are about itself, and stay on as ours do. */
#define LWIP_PLATFORM_DIAG(x)
#define LWIP_PLATFORM_ASSERT(x) abort()

#endif
