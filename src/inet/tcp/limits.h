/* SPDX-License-Identifier: MIT */
/* Limits that several parts of a connection share. */
#ifndef INET_TCP_LIMITS_H
#define INET_TCP_LIMITS_H

#define TCP_MSS_DEFAULT  536u       /* RFC 9293 section 3.7.1 */
#define TCP_MSS_OVERHEAD 40u        /* IP and TCP headers without options */
#define TCP_MSS_MIN      48u        /* a smaller offer counts as this: tiny segments cost the sender, not the peer */
#define TCP_QUEUE_MAX    (1u << 20) /* entries of any queue of a connection */

#endif
