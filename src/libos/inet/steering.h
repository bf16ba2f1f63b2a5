/* SPDX-License-Identifier: MIT */
/*
 * Steering: which member of a device group a packet belongs to. Any thread may call any function. No function of the
 * datapath takes a lock or writes anything.
 *
 * Each TCP flow has a home, which depends on the flow alone: the member whose queue a device that spreads flows by the
 * symmetric Toeplitz hash gives it to. A flow that another member than its home has (a TCP connection in any state) is
 * in the flow table. A connected UDP socket's flow always is. So:
 *
 * 1. A flow in the table goes to its owner.
 * 2. Any other TCP segment goes to its home, if the home has a socket or connection with the local port: if any member
 *    has the flow, the home does.
 * 3. Otherwise nobody has the flow, and it goes to the members that receive at the destination (TCP listeners, UDP
 *    sockets that are not connected): at the address itself, or else at the wildcard. Of several, the home is chosen,
 *    or else one by the hash. Where there is none it stays where it is, to be refused there.
 *
 * A segment that asks for a connection, or may complete a handshake with a SYN cookie, and that the home has no use for
 * (it has the port, but neither the flow nor a listener) goes on to a listener by rule 3, once.
 *
 * Nobody can take a flow that another member has. Who opens a flow away from home inserts it, which fails if it is in
 * the table, and then looks whether the home has the port; if so the opening fails, unless the home was asked. The home
 * first notes that it has the port, and then looks into the table. All four are sequentially consistent, so of two
 * that open the same flow at least one sees the other.
 *
 * Half-open connections are entered like others. Each listener has at most its backlog of them, however many SYNs
 * come; beyond that it answers with SYN cookies, which need no entry.
 */
#ifndef LIBOS_INET_STEERING_H
#define LIBOS_INET_STEERING_H

#include "libos/inet/flow_table.h"

#include <stdatomic.h>

#define STEERING_MEMBERS_MAX 64u
#define STEERING_ADDRS_MAX   32u        /* different ones that sockets of a group are bound to */
#define STEERING_FLOWS_MAX   (1u << 21) /* in the table */
#define STEERING_PORTS       65536u
#define STEERING_PROTOCOLS   2u

/* Begins as zeros; most of it is never touched. */
struct steering {
    struct flow_table *flows;
    uint32_t members;         /* places for them */
    _Atomic uint64_t present; /* a bit for each member that is there, as in all sets */
    _Atomic uint32_t addrs[STEERING_ADDRS_MAX];
    _Atomic uint64_t has_port[STEERING_PORTS]; /* TCP: who has a socket or connection with it */
    /* who receives there; the first address stands for the wildcard, the others for `addrs` */
    _Atomic uint64_t receives[STEERING_PROTOCOLS][1 + STEERING_ADDRS_MAX][STEERING_PORTS];
    uint32_t uses[STEERING_MEMBERS_MAX][STEERING_PORTS]; /* for has_port; each member's own */
};

/* How a packet was steered. */
struct steered {
    uint32_t member;
    bool entered; /* by the flow table */
};

/* *s is zeros. -ENOMEM; -ENOSYS and the like: there are no random numbers. */
int steering_init(struct steering *s, uint32_t members);
void steering_fini(struct steering *s);

void steering_join(struct steering *s, uint32_t member);
void steering_leave(struct steering *s, uint32_t member);
static inline bool steering_is_present(const struct steering *s, uint32_t member) {
    return atomic_load_explicit(&s->present, memory_order_relaxed) >> member & 1;
}

/* The member itself says what it has. TCP: it has one socket or connection with that local port more, or less. */
void steering_port(struct steering *s, uint32_t member, uint16_t port, bool on);

/* It receives there, or does so no more; 0 is the wildcard. -ENOBUFS: STEERING_ADDRS_MAX; never for one known before.
 */
int steering_receive(struct steering *s, uint32_t member, uint8_t protocol, uint32_t local, uint16_t port, bool on);

/*
 * It opens a flow; for TCP after steering_port. `asked`: the home was given the segment that opens it, and had no use
 * for it. -EADDRINUSE: another member has the flow, or may have it; -ENOBUFS: the table is full; -ENOMEM.
 */
int steering_open(struct steering *s, uint32_t member, const struct flow_key *key, bool asked);
/* It has attached the connection of a flow whose owner it was made by steering_pass. */
void steering_attached(struct steering *s, uint32_t member, const struct flow_key *key);
/* The same where the connection could not be attached. */
void steering_lost(struct steering *s, uint32_t member, const struct flow_key *key);
/* Its flow has ended; for TCP before steering_port. */
void steering_end(struct steering *s, uint32_t member, const struct flow_key *key);

/*
 * A TCP flow changes hands: hold makes sure that it is in the table, so that pass cannot fail; release undoes it. 0,
 * -ENOBUFS, -ENOMEM.
 */
int steering_hold(struct steering *s, uint32_t member, const struct flow_key *key);
void steering_release(struct steering *s, uint32_t member, const struct flow_key *key);
void steering_pass(struct steering *s, uint32_t member, const struct flow_key *key, uint32_t to);

/* Where a packet that `here` has goes, by all rules. */
struct steered steering_steer(const struct steering *s, uint32_t here, const struct flow_key *key);
/* The same by rules 1 and 3, for one that its home had no use for. */
struct steered steering_steer_on(const struct steering *s, uint32_t here, const struct flow_key *key);
/* By rule 1 alone. */
struct steered steering_steer_entered(const struct steering *s, uint32_t here, const struct flow_key *key);

/* The home of a TCP flow. */
uint32_t steering_home(const struct steering *s, const struct flow_key *key);

#endif
