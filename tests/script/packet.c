/* SPDX-License-Identifier: MIT */
/* Packets as lines of a script: reading, writing, comparing. */
#include "packet.h"

#include "inet/wire/arp.h"
#include "inet/wire/icmp.h"
#include "inet/wire/tcp.h"
#include "names.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct field_name packet_fields[FIELD_COUNT] = {
#define X(symbol, word, type, kinds) {word, type, kinds},
    PACKET_FIELDS(X)
#undef X
};

static const struct {
    const char *word;
    enum packet_kind kind;
} kinds[] = {{"udp", PACKET_UDP}, {"icmp", PACKET_ICMP}, {"arp", PACKET_ARP}, {"ip", PACKET_IP}};

static const struct {
    char letter;
    uint8_t flag;
} flags[] = {{'S', TCP_SYN}, {'F', TCP_FIN}, {'R', TCP_RST}, {'P', TCP_PSH}, {'.', TCP_ACK}};

/* TCP options by kind, for lists of them. */
static const struct {
    const char *word;
    uint8_t kind;
} options[] = {{"mss", 2}, {"ws", 3}, {"sackok", 4}, {"sack", 5}, {"ts", 8}};

static const struct {
    const char *word;
    uint8_t type;
    int code; /* -1: a further word says */
} icmps[] = {
    {"echo", ICMP_ECHO_REQUEST, 0},
    {"echo-reply", ICMP_ECHO_REPLY, 0},
    {"unreachable", ICMP_UNREACHABLE, -1},
    {"time-exceeded", ICMP_TIME_EXCEEDED, -1},
    {"parameter-problem", ICMP_PARAMETER_PROBLEM, 0},
};
static const char *const unreachable_codes[] = {"net", "host", "protocol", "port", "too-big"};
static const char *const exceeded_codes[] = {"ttl", "reassembly"};

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void set_bytes(struct script_packet *p, enum field f, const void *bytes, size_t count) {
    packet_set(p, f, 0);
    p->value[f].count = (uint8_t)count;
    memcpy(p->value[f].bytes, bytes, count);
}

static bool parse_options(struct words *w, const char *word, struct script_packet *p) {
    char list[64], *save = NULL;
    uint8_t kind[40];
    size_t n = 0, i;
    snprintf(list, sizeof list, "%s", strcmp(word, "none") == 0 ? "" : word);
    for (char *name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
        for (i = 0; i < COUNT(options) && strcmp(options[i].word, name) != 0; i++) {
        }
        if (i == COUNT(options)) return words_fail(w, "there is no option \"%s\"", name);
        kind[n++] = options[i].kind;
    }
    set_bytes(p, FIELD_OPTS, kind, n);
    return true;
}

static bool parse_sack(struct words *w, const char *word, struct script_packet *p) {
    char list[128], *save = NULL;
    uint32_t edges[2 * TCP_SACK_BLOCKS_MAX], n = 0;
    snprintf(list, sizeof list, "%s", word);
    for (char *block = strtok_r(list, ",", &save); block; block = strtok_r(NULL, ",", &save), n += 2) {
        if (n == COUNT(edges)) return words_fail(w, "more than %u blocks", TCP_SACK_BLOCKS_MAX);
        if (!words_pair(w, block, ':', &edges[n], &edges[n + 1])) return false;
    }
    set_bytes(p, FIELD_SACKS, edges, n * sizeof *edges);
    return true;
}

/* "ts", "ts V:E", and either number may be "*": any, or the usual one. */
static bool parse_stamp(struct words *w, struct script_packet *p) {
    const char *pair = words_peek(w), *echo = pair ? strchr(pair, ':') : NULL;
    uint32_t value;
    packet_set(p, FIELD_TS, 0);
    if (!echo || !strchr("*0123456789", pair[0])) return true;
    w->at++;
    if (pair[0] != '*') {
        char first[16];
        snprintf(first, sizeof first, "%.*s", (int)(echo - pair), pair);
        if (!words_number(w, first, &value)) return false;
        packet_set(p, FIELD_TS_VALUE, value);
    }
    if (echo[1] == '*') return true;
    if (!words_number(w, echo + 1, &value)) return false;
    packet_set(p, FIELD_TS_ECHO, value);
    return true;
}

/* "AT:END", with "+" behind where more follow. */
static bool parse_fragment(struct words *w, const char *word, struct script_packet *p) {
    char range[32];
    uint32_t at, end;
    size_t n = strlen(word);
    bool more = n > 0 && word[n - 1] == '+';
    snprintf(range, sizeof range, "%.*s", (int)(n - more), word);
    if (!words_pair(w, range, ':', &at, &end)) return false;
    if (end < at) return words_fail(w, "a fragment ends before it begins");
    packet_set(p, FIELD_FRAG, 0);
    packet_set(p, FIELD_FRAG_AT, at);
    packet_set(p, FIELD_FRAG_LEN, end - at);
    packet_set(p, FIELD_FRAG_MORE, more);
    return true;
}

static bool parse_value(struct words *w, enum field f, struct script_packet *p) {
    enum field_type type = packet_fields[f].type;
    uint8_t bytes[40];
    uint32_t number = 0;
    int count;
    if (type == FLAG) {
        packet_set(p, f, 1);
        return true;
    }
    if (type == STAMP) return parse_stamp(w, p);
    const char *word = words_next(w, packet_fields[f].word);
    if (!word) return false;
    switch (type) {
    case NUMBER:
        if (!words_number(w, word, &number)) return false;
        packet_set(p, f, number);
        return true;
    case ADDRESS:
        if (!words_address(w, word, &number)) return false;
        packet_set(p, f, number);
        return true;
    case MAC:
        if (!words_mac(w, word, bytes)) return false;
        set_bytes(p, f, bytes, INET_MAC_BYTES);
        return true;
    case HEX:
        if ((count = words_hex(w, word, bytes, sizeof bytes)) < 0) return false;
        set_bytes(p, f, bytes, (size_t)count);
        return true;
    case OPTIONS:
        return parse_options(w, word, p);
    case SACK:
        return parse_sack(w, word, p);
    default:
        return parse_fragment(w, word, p);
    }
}

static bool parse_fields(struct words *w, struct script_packet *p) {
    const char *word;
    while ((word = words_peek(w))) {
        enum field f = 0;
        while (f < FIELD_COUNT && !(packet_fields[f].word && (packet_fields[f].kinds & p->kind) &&
                                    strcmp(packet_fields[f].word, word) == 0))
            f++;
        if (f == FIELD_COUNT) return words_fail(w, "this kind of packet has no \"%s\"", word);
        w->at++;
        if (!parse_value(w, f, p)) return false;
    }
    return true;
}

static bool parse_icmp(struct words *w, struct script_packet *p) {
    const char *word = words_next(w, "the type");
    size_t i, code, codes;
    if (!word) return false;
    for (i = 0; i < COUNT(icmps) && strcmp(icmps[i].word, word) != 0; i++) {
    }
    if (i == COUNT(icmps)) return words_fail(w, "there is no ICMP type \"%s\"", word);
    packet_set(p, FIELD_ICMP_TYPE, icmps[i].type);
    packet_set(p, FIELD_ICMP_CODE, icmps[i].code > 0 ? (uint32_t)icmps[i].code : 0);
    if (icmps[i].code >= 0) return true;
    bool unreachable = icmps[i].type == ICMP_UNREACHABLE;
    const char *const *names = unreachable ? unreachable_codes : exceeded_codes;
    codes = unreachable ? COUNT(unreachable_codes) : COUNT(exceeded_codes);
    if (!(word = words_next(w, "the code"))) return false;
    for (code = 0; code < codes && strcmp(names[code], word) != 0; code++) {
    }
    if (code == codes) return words_fail(w, "there is no ICMP code \"%s\"", word);
    packet_set(p, FIELD_ICMP_CODE, (uint32_t)code);
    return true;
}

/* "arp who-has A tell B", "arp A is-at MAC to B". */
static bool parse_arp(struct words *w, struct script_packet *p) {
    uint8_t mac[INET_MAC_BYTES];
    uint32_t first, second;
    bool asks = words_take(w, "who-has");
    const char *word = words_next(w, "the address"), *between = asks ? "tell" : "is-at";
    if (!word || !words_address(w, word, &first)) return false;
    if (!words_take(w, between)) return words_fail(w, "\"%s\" is missing", between);
    if (!asks) {
        if (!(word = words_next(w, "the MAC address")) || !words_mac(w, word, mac)) return false;
        set_bytes(p, FIELD_ARP_MAC, mac, sizeof mac);
        if (!words_take(w, "to")) return words_fail(w, "\"to\" is missing");
    }
    if (!(word = words_next(w, "the other address")) || !words_address(w, word, &second)) return false;
    packet_set(p, FIELD_ARP_OP, asks ? ARP_REQUEST : ARP_REPLY);
    packet_set(p, FIELD_ARP_TARGET, asks ? first : second);
    packet_set(p, FIELD_ARP_SENDER, asks ? second : first);
    return true;
}

static bool parse_tcp(struct words *w, struct script_packet *p) {
    const char *word = words_next(w, "the flags");
    for (const char *c = word; c && *c; c++) {
        size_t i;
        for (i = 0; i < COUNT(flags) && flags[i].letter != *c; i++) {
        }
        if (i == COUNT(flags) && strcmp(word, "-") != 0)
            return words_fail(w, "\"%s\" is neither a kind of packet nor flags of TCP (S F R P . or -)", word);
        if (i < COUNT(flags)) p->tcp_flags |= flags[i].flag;
    }
    if (!word || !(word = words_next(w, "BEGIN:END")) || !words_pair(w, word, ':', &p->seq, &p->end)) return false;
    return p->end - p->seq <= UINT16_MAX || words_fail(w, "a segment ends before it begins");
}

bool packet_parse(struct words *w, struct script_packet *p) {
    memset(p, 0, sizeof *p);
    p->kind = PACKET_TCP;
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (words_take(w, kinds[i].word)) p->kind = kinds[i].kind;
    if (p->kind == PACKET_TCP && !parse_tcp(w, p)) return false;
    if (p->kind == PACKET_ICMP && !parse_icmp(w, p)) return false;
    if (p->kind == PACKET_ARP && !parse_arp(w, p)) return false;
    if (!parse_fields(w, p)) return false;
    if ((p->kind == PACKET_TCP || p->kind == PACKET_UDP) && !packet_has(p, FIELD_FROM))
        packet_set(p, FIELD_FROM, PEER_PORT);
    return true;
}

/* A text that grows. */
struct text {
    char *at;
    size_t left;
};

__attribute__((format(printf, 2, 3))) static void say(struct text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->at, t->left, format, args);
    va_end(args);
    size_t done = n < 0 ? 0 : (size_t)n < t->left ? (size_t)n : t->left - 1;
    t->at += done;
    t->left -= done;
}

static void say_ip(struct text *t, uint32_t ip) {
    char name[INET_ADDRSTRLEN];
    say(t, "%s", inet_ntop(AF_INET, &ip, name, sizeof name));
}

static void say_options(struct text *t, const struct field_value *v) {
    if (v->count == 0) say(t, "none");
    for (size_t n = 0; n < v->count; n++) {
        size_t i;
        for (i = 0; i < COUNT(options) && options[i].kind != v->bytes[n]; i++) {
        }
        if (i < COUNT(options))
            say(t, "%s%s", n ? "," : "", options[i].word);
        else
            say(t, "%s?%u", n ? "," : "", v->bytes[n]);
    }
}

static void say_stamp(struct text *t, const struct script_packet *p) {
    const enum field parts[] = {FIELD_TS_VALUE, FIELD_TS_ECHO};
    if (!packet_has(p, FIELD_TS_VALUE) && !packet_has(p, FIELD_TS_ECHO)) return;
    for (size_t i = 0; i < COUNT(parts); i++) {
        say(t, i ? ":" : " ");
        if (packet_has(p, parts[i]))
            say(t, "%u", packet_get(p, parts[i]));
        else
            say(t, "*");
    }
}

static void say_value(struct text *t, const struct script_packet *p, enum field f) {
    const struct field_value *v = &p->value[f];
    uint32_t edges[2 * TCP_SACK_BLOCKS_MAX];
    switch (packet_fields[f].type) {
    case NUMBER:
        say(t, " %u", v->number);
        break;
    case ADDRESS:
        say(t, " ");
        say_ip(t, v->number);
        break;
    case MAC:
        for (size_t i = 0; i < v->count; i++)
            say(t, "%c%02x", i ? ':' : ' ', v->bytes[i]);
        break;
    case HEX:
        say(t, " ");
        for (size_t i = 0; i < v->count; i++)
            say(t, "%02x", v->bytes[i]);
        break;
    case OPTIONS:
        say(t, " ");
        say_options(t, v);
        break;
    case SACK:
        memcpy(edges, v->bytes, v->count);
        for (size_t i = 0; i < v->count / sizeof *edges; i += 2)
            say(t, "%c%u:%u", i ? ',' : ' ', edges[i], edges[i + 1]);
        break;
    case STAMP:
        say_stamp(t, p);
        break;
    case FRAGMENT:
        say(t, " %u:%u%s", packet_get(p, FIELD_FRAG_AT), packet_get(p, FIELD_FRAG_AT) + packet_get(p, FIELD_FRAG_LEN),
            packet_get(p, FIELD_FRAG_MORE) ? "+" : "");
        break;
    default:
        break;
    }
}

static void say_icmp(struct text *t, const struct script_packet *p) {
    uint32_t type = packet_get(p, FIELD_ICMP_TYPE), code = packet_get(p, FIELD_ICMP_CODE);
    for (size_t i = 0; i < COUNT(icmps); i++)
        if (icmps[i].type == type) say(t, "icmp %s", icmps[i].word);
    if (type == ICMP_UNREACHABLE && code < COUNT(unreachable_codes))
        say(t, " %s", unreachable_codes[code]);
    else if (type == ICMP_TIME_EXCEEDED && code < COUNT(exceeded_codes))
        say(t, " %s", exceeded_codes[code]);
}

static void say_arp(struct text *t, const struct script_packet *p) {
    bool asks = packet_get(p, FIELD_ARP_OP) == ARP_REQUEST;
    say(t, asks ? "arp who-has " : "arp ");
    say_ip(t, packet_get(p, asks ? FIELD_ARP_TARGET : FIELD_ARP_SENDER));
    say(t, asks ? " tell " : " is-at");
    if (!asks) say_value(t, p, FIELD_ARP_MAC);
    if (!asks) say(t, " to ");
    say_ip(t, packet_get(p, asks ? FIELD_ARP_SENDER : FIELD_ARP_TARGET));
}

void packet_print(const struct script_packet *p, char *text, size_t bytes) {
    struct text t = {text, bytes};
    text[0] = 0;
    if (p->kind == PACKET_RAW) say(&t, "a frame that is neither ARP nor IPv4 as it should be");
    if (p->kind == PACKET_TCP && packet_or(p, FIELD_FRAG_AT, 0) == 0) {
        for (size_t i = 0; i < COUNT(flags); i++)
            if (p->tcp_flags & flags[i].flag) say(&t, "%c", flags[i].letter);
        say(&t, "%s %u:%u", p->tcp_flags ? "" : "-", p->seq, p->end);
    }
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (p->kind == kinds[i].kind && p->kind != PACKET_ICMP && p->kind != PACKET_ARP) say(&t, "%s", kinds[i].word);
    if (p->kind == PACKET_ICMP) say_icmp(&t, p);
    if (p->kind == PACKET_ARP) say_arp(&t, p);
    for (enum field f = 0; f < FIELD_COUNT; f++) {
        if (!packet_has(p, f) || packet_fields[f].type == INNER) continue;
        say(&t, " %s", packet_fields[f].word);
        say_value(&t, p, f);
    }
}

/* What no packet may have without being asked for. */
static const enum field wrongs[] = {FIELD_BAD_SUM, FIELD_BAD_IP_SUM, FIELD_BAD_DATA, FIELD_OFFLOADED, FIELD_TSO};

bool packet_matches(const struct script_packet *wanted, const struct script_packet *got) {
    bool later_fragment = packet_or(wanted, FIELD_FRAG_AT, 0) > 0;
    if (wanted->kind != got->kind) return false;
    for (size_t i = 0; i < COUNT(wrongs); i++)
        if (packet_has(got, wrongs[i]) && !packet_has(wanted, wrongs[i])) return false;
    if (wanted->kind == PACKET_TCP) {
        uint8_t compared = (uint8_t)(wanted->tcp_flags & TCP_PSH ? UINT8_MAX : UINT8_MAX & ~TCP_PSH);
        if (((wanted->tcp_flags ^ got->tcp_flags) & compared) || wanted->seq != got->seq || wanted->end != got->end)
            return false;
    }
    for (enum field f = 0; f < FIELD_COUNT; f++) {
        if (!packet_has(wanted, f) || (later_fragment && (f == FIELD_FROM || f == FIELD_AT))) continue;
        const struct field_value *a = &wanted->value[f], *b = &got->value[f];
        if (!packet_has(got, f) || a->number != b->number || a->count != b->count ||
            memcmp(a->bytes, b->bytes, a->count) != 0)
            return false;
    }
    return !packet_has(wanted, FIELD_NO_TS) || !packet_has(got, FIELD_TS);
}
