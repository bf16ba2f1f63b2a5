/* SPDX-License-Identifier: MIT */
/* Plays a script: does what its lines say, and looks whether the stack does what they expect. */
#include "play.h"

#include "names.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOLERANCE_NS  1000000ull            /* of a virtual clock, which the plugin's callers make creep */
#define GUARD_NS      (120 * 1000000000ull) /* "+*" ends here, and so does any wait for what never comes */
#define VIRTUAL_GUARD (8 * 3600 * 1000000000ull)
#define SOCKETS_MAX   64u
#define HISTORY       6 /* lines shown before the one that failed */
#define PACKET_TEXT   1024u

struct named {
    char name[NAME_BYTES];
    uint32_t sent, received; /* bytes so far: where in the pattern the stream is */
};

struct player {
    const struct script *script;
    const struct backend_ops *ops;
    void *backend;
    const struct statement *at;
    uint64_t start, now; /* now: the time of the last line */
    struct flows flows;
    struct wire_frame frame;
    struct named sockets[SOCKETS_MAX];
    const struct call *begun; /* the call that blocks */
    uint8_t data[CALL_BYTES_MAX];
};

__attribute__((format(printf, 2, 3))) static bool fail(const struct player *p, const char *format, ...) {
    const struct statement *shown[HISTORY] = {NULL};
    va_list args;
    for (const struct statement *st = p->script->first; st && st != p->at; st = st->next) {
        memmove(shown, shown + 1, (HISTORY - 1) * sizeof *shown);
        shown[HISTORY - 1] = st;
    }
    for (int i = 0; i < HISTORY; i++)
        if (shown[i]) printf("#        %s\n", shown[i]->text);
    if (p->at) printf("#  ->    %s\n", p->at->text);
    if (p->at)
        printf("# %s:%u: ", p->script->file, p->at->line);
    else
        printf("# %s: at its end: ", p->script->file);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    return false;
}

static const char *result_text(int64_t result, char *text, size_t bytes) {
    if (result < 0)
        snprintf(text, bytes, "%s", strerror((int)-result));
    else
        snprintf(text, bytes, "%" PRId64, result);
    return text;
}

static double ms(const struct player *p, uint64_t at) {
    return (double)(at - p->start) / 1e6;
}

static struct named *named_of(struct player *p, const char *name) {
    for (uint32_t i = 0; i < SOCKETS_MAX; i++) {
        struct named *n = &p->sockets[i];
        if (n->name[0] == 0) snprintf(n->name, sizeof n->name, "%s", name);
        if (strcmp(n->name, name) == 0) return n;
    }
    return NULL;
}

static bool play_in(struct player *p) {
    uint32_t len = packet_encode(&p->flows, &p->at->packet, (uint32_t)((p->now - p->start) / 1000000), p->frame.bytes);
    if (len == 0) return fail(p, "this packet cannot be made: it is too long, or has too many options");
    p->ops->send(p->backend, p->frame.bytes, len);
    return true;
}

static bool mismatch(struct player *p, const struct script_packet *got) {
    char text[PACKET_TEXT];
    packet_print(got, text, sizeof text);
    printf("# at %.3f ms the stack sent\n#  got > %s\n", ms(p, p->frame.at_ns), text);
    return fail(p, "something else was expected");
}

static bool play_out(struct player *p) {
    const struct statement *st = p->at;
    struct script_packet wanted = st->packet, got;
    uint64_t guard = p->now + (p->ops->timed ? VIRTUAL_GUARD : GUARD_NS);
    uint64_t first = p->now + st->from_ns, last = p->now + st->to_ns + TOLERANCE_NS;
    if (!p->ops->timed || st->any_time) last = guard;
    while (p->ops->receive(p->backend, last, &p->frame)) {
        packet_decode(&p->flows, &p->frame, &got);
        if (wanted.kind == PACKET_TCP && !packet_has(&wanted, FIELD_AT))
            packet_set(&wanted, FIELD_AT, flow_of(&p->flows, packet_get(&wanted, FIELD_FROM))->stack_port);
        if (p->ops->timed && p->frame.at_ns > last) break;
        bool same = packet_matches(&wanted, &got);
        if (!p->ops->timed && !same) continue; /* a machine that is slow sees things sent again */
        if (!same) return mismatch(p, &got);
        if (p->ops->timed && !st->any_time && p->frame.at_ns + TOLERANCE_NS < first)
            return fail(p, "it left too soon, at %.3f ms; expected at %.3f ms", ms(p, p->frame.at_ns), ms(p, first));
        p->now = p->ops->timed ? p->frame.at_ns : p->ops->now(p->backend);
        return true;
    }
    return fail(p, "nothing was sent from %.3f ms to %.3f ms", ms(p, p->now), ms(p, last));
}

static bool play_quiet(struct player *p) {
    struct script_packet got;
    uint64_t until = p->now + p->at->from_ns;
    if (!p->ops->sees_silence) { /* the time of what is sent next is looked at */
        p->ops->pass(p->backend, until);
    } else if (p->ops->receive(p->backend, until, &p->frame)) {
        packet_decode(&p->flows, &p->frame, &got);
        return mismatch(p, &got);
    }
    p->now = until;
    return true;
}

/* Initial sequence numbers and ports of these flows must not tell each other. */
static bool play_unalike(struct player *p) {
    const struct call *c = &p->at->call;
    for (uint32_t a = c->port; a < c->from_port; a++) {
        const struct flow *one = flow_of(&p->flows, a), *next = flow_of(&p->flows, a + 1);
        uint32_t apart = next->iss - one->iss;
        if (!one->known || !next->known) return fail(p, "no such flows");
        if (apart < 1u << 16 || apart > UINT32_MAX - (1u << 16)) return fail(p, "initial numbers only %u apart", apart);
        if (next->stack_port == one->stack_port + 1) return fail(p, "ports in a row");
    }
    return true;
}

static void data_fill(struct player *p, const struct call *c) {
    uint32_t from = c->verb == VERB_SEND ? named_of(p, c->name)->sent : 0;
    for (uint32_t i = 0; i < c->number; i++)
        p->data[i] = packet_byte(from + i);
}

static bool call_check(struct player *p, const struct call *c, int64_t result) {
    char got[64], expected[64];
    struct named *n = named_of(p, c->name);
    if (result != c->expected)
        return fail(p, "the call gives %s; expected %s", result_text(result, got, sizeof got),
                    result_text(c->expected, expected, sizeof expected));
    uint32_t bytes = result > 0 ? (uint32_t)result : 0;
    if (c->verb == VERB_SEND) n->sent += bytes;
    if (c->verb != VERB_RECV && c->verb != VERB_RECVFROM) return true;
    uint32_t from = c->verb == VERB_RECV ? n->received : 0;
    for (uint32_t i = 0; i < bytes; i++)
        if (p->data[i] != packet_byte(from + i)) return fail(p, "byte %u of what was received is wrong", i);
    if (!c->peek) n->received += bytes;
    return true;
}

static bool play_end(struct player *p) {
    int64_t result;
    const struct call *c = p->begun;
    if (!c) return fail(p, "no call was begun");
    p->begun = NULL;
    if (!p->ops->end(p->backend, &result)) return fail(p, "the call still blocks");
    return call_check(p, c, result);
}

static bool play_call(struct player *p) {
    const struct call *c = &p->at->call;
    bool moves = c->verb == VERB_SEND || c->verb == VERB_SENDTO || c->verb == VERB_RECV || c->verb == VERB_RECVFROM;
    if (c->verb == VERB_END) return play_end(p);
    if (c->verb == VERB_UNALIKE) return play_unalike(p);
    if (!named_of(p, c->name)) return fail(p, "more than %u sockets", SOCKETS_MAX);
    if (moves && c->number > CALL_BYTES_MAX) return fail(p, "more than %u bytes", CALL_BYTES_MAX);
    if (c->verb == VERB_SEND || c->verb == VERB_SENDTO) data_fill(p, c);
    if (p->at->kind == SAYS_CALL) return call_check(p, c, p->ops->call(p->backend, c, p->data));
    if (p->begun) return fail(p, "a call was begun already");
    p->begun = c;
    return p->ops->begin(p->backend, c, p->data) || fail(p, "the call does not block");
}

static bool play_statement(struct player *p) {
    static bool (*const how[])(struct player *p) = {
        [SAYS_IN] = play_in,      [SAYS_OUT] = play_out,     [SAYS_CALL] = play_call,
        [SAYS_BEGIN] = play_call, [SAYS_QUIET] = play_quiet,
    };
    enum statement_kind kind = p->at->kind;
    if (kind == SAYS_SET) return true;
    if (kind == SAYS_IN || kind == SAYS_CALL || kind == SAYS_BEGIN) {
        p->now += p->at->from_ns;
        if (p->at->from_ns > 0) p->ops->pass(p->backend, p->now);
        if (p->ops->now(p->backend) > p->now) p->now = p->ops->now(p->backend);
    }
    return how[kind](p);
}

static bool play_all(struct player *p) {
    struct script_packet got;
    for (p->at = p->script->first; p->at; p->at = p->at->next)
        if (!play_statement(p)) return false;
    if (!p->ops->sees_silence || !p->ops->receive(p->backend, p->now, &p->frame)) return true;
    packet_decode(&p->flows, &p->frame, &got);
    return mismatch(p, &got);
}

bool play(const struct script *s, const struct backend_ops *ops) {
    char why[256] = "";
    struct player *p = calloc(1, sizeof *p);
    if (!p) return false;
    p->script = s;
    p->ops = ops;
    p->backend = ops->start(&s->settings, why, sizeof why);
    bool ok = p->backend || fail(p, "%s", why);
    if (p->backend) {
        p->start = p->now = ops->now(p->backend);
        ok = play_all(p);
        p->at = NULL;
        if (!ops->stop(p->backend) && ok) ok = fail(p, "memory was left behind");
    }
    free(p);
    return ok;
}
