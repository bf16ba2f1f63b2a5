/* SPDX-License-Identifier: MIT */
/*
 * Steering: which member of a device group a packet belongs to. Any thread may call any function. No function of the
 * datapath takes a lock or writes anything.
 *
 * Each TCP flow has a home, which depends only on the flow: the member whose queue receives the flow from a device that
 * spreads flows by the symmetric Toeplitz hash. If another member than the home owns a flow (a TCP connection in any
 * state), the flow is in the flow table. The flow of a connected UDP socket always is. So:
 *
 * 1. A flow in the table goes to its owner.
 * 2. Any other TCP segment goes to its home, if the home has a socket or connection with the local port: if any member
 *    owns the flow, the home does.
 * 3. Otherwise no member owns the flow, and the packet goes to a member that receives at the destination (a TCP
 * listener, or a UDP socket that is not connected), at the exact address or else at the wildcard. If several do, the
 * home is chosen, or else one by the hash. If none does, the packet stays where it is, and that stack refuses it.
 *
 * If the home has the port but neither the flow nor a listener, it passes a SYN, or a segment that may complete a
 * handshake with a SYN cookie, to a listener by rule 3, once.
 *
 * No member can open a flow that another member owns. A member that opens a flow away from home inserts it, which fails
 * if the table has it, and then reads whether the home has the port; if so, the opening fails, unless the home has
 * passed on the segment that opens the flow. The home first records that it has the port, and then reads the table. All
 * four accesses are sequentially consistent, so if two members open the same flow, at least one sees the other.
 *
 * Half-open connections are in the table like others. Each listener has at most its backlog of them, however many SYNs
 * arrive; beyond that it answers with SYN cookies, which need no entry.
 */
#ifndef LIBOS_INET_STEERING_H
#define LIBOS_INET_STEERING_H

#include "libos/inet/flow_table.h"

#include <stdatomic.h>

#define STEERING_MEMBERS_MAX 64u
#define STEERING_ADDRS_MAX   32u        /* different addresses to which sockets of a group are bound */
#define STEERING_FLOWS_MAX   (1u << 21) /* limit of the flow table */
#define STEERING_PORTS       65536u
#define STEERING_PROTOCOLS   2u

/* Initially zero; most of it is never touched. */
struct steering {
    struct flow_table *flows;
    uint32_t members;         /* maximum number of members */
    _Atomic uint64_t present; /* a bit for each member of the group; all sets have this form */
    _Atomic uint32_t addrs[STEERING_ADDRS_MAX];
    _Atomic uint64_t has_port[STEERING_PORTS]; /* TCP: members with a socket or connection on the port */
    /* members that receive there; index 0 is the wildcard address, index 1 + i is addrs[i] */
    _Atomic uint64_t receives[STEERING_PROTOCOLS][1 + STEERING_ADDRS_MAX][STEERING_PORTS];
    uint32_t uses[STEERING_MEMBERS_MAX][STEERING_PORTS]; /* counts for has_port; each member writes only its own */
};

/* How a packet was steered. */
struct steered {
    uint32_t member;
    bool entered; /* the flow table has the flow */
};

/* *s must be zero. 0, -ENOMEM, or the error of the random number source. */
int steering_init(struct steering *s, uint32_t members);
void steering_fini(struct steering *s);

void steering_join(struct steering *s, uint32_t member);
void steering_leave(struct steering *s, uint32_t member);
static inline bool steering_is_present(const struct steering *s, uint32_t member) {
    return atomic_load_explicit(&s->present, memory_order_relaxed) >> member & 1;
}

/* Called by the member itself. TCP: it has one more, or one less, socket or connection on that local port. */
void steering_port(struct steering *s, uint32_t member, uint16_t port, bool on);

/* The member starts or stops receiving there; address 0 is the wildcard. -ENOBUFS: a new address above the limit. */
int steering_receive(struct steering *s, uint32_t member, uint8_t protocol, uint32_t local, uint16_t port, bool on);

/*
 * The member opens a flow; for TCP after steering_port. `asked`: the home has passed on the segment that opens it.
 * -EADDRINUSE: another member owns the flow, or may own it; -ENOBUFS: the table is full; -ENOMEM.
 */
int steering_open(struct steering *s, uint32_t member, const struct flow_key *key, bool asked);
/* The member has attached the connection of a flow that steering_pass has moved to it. */
void steering_attached(struct steering *s, uint32_t member, const struct flow_key *key);
/* The same if the member could not attach the connection. */
void steering_lost(struct steering *s, uint32_t member, const struct flow_key *key);
/* A flow of the member has ended; for TCP call this before steering_port. */
void steering_end(struct steering *s, uint32_t member, const struct flow_key *key);

/*
 * Moves a TCP flow to another member: hold makes sure that the flow is in the table, so that pass cannot fail; release
 * undoes hold. 0, -ENOBUFS, -ENOMEM.
 */
int steering_hold(struct steering *s, uint32_t member, const struct flow_key *key);
void steering_release(struct steering *s, uint32_t member, const struct flow_key *key);
void steering_pass(struct steering *s, uint32_t member, const struct flow_key *key, uint32_t to);

/* Steers a packet that member `here` has, by all rules. */
struct steered steering_steer(const struct steering *s, uint32_t here, const struct flow_key *key);
/* The same by rules 1 and 3, for a packet that its home did not match. */
struct steered steering_steer_on(const struct steering *s, uint32_t here, const struct flow_key *key);
/* The same by rule 1 only. */
struct steered steering_steer_entered(const struct steering *s, uint32_t here, const struct flow_key *key);

/* The home of a TCP flow. */
uint32_t steering_home(const struct steering *s, const struct flow_key *key);

#endif
