/* SPDX-License-Identifier: MIT */
/* Addresses as text and processors to run on. */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int address_parse(struct address *a, const char *host, uint64_t port, int type) {
    struct addrinfo hints = {.ai_socktype = type, .ai_flags = AI_NUMERICSERV}, *found;
    char service[24];
    snprintf(service, sizeof service, "%llu", (unsigned long long)port);
    int r = getaddrinfo(host, service, &hints, &found);
    if (r != 0) {
        fprintf(stderr, "%s: address \"%s\": %s\n", program_invocation_short_name, host,
                r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r));
        return -1;
    }
    memset(a, 0, sizeof *a);
    a->len = found->ai_addrlen;
    memcpy(&a->sa, found->ai_addr, a->len <= sizeof a->in6 ? a->len : sizeof a->in6);
    freeaddrinfo(found);
    return 0;
}

const char *address_format(const struct sockaddr *sa, char text[ADDRESS_TEXT]) {
    const struct sockaddr_in *in = (const void *)sa;
    const struct sockaddr_in6 *in6 = (const void *)sa;
    char host[INET6_ADDRSTRLEN] = "?";
    if (sa->sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        snprintf(text, ADDRESS_TEXT, "[%s]:%u", host, ntohs(in6->sin6_port));
    } else {
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(text, ADDRESS_TEXT, "%s:%u", host, ntohs(in->sin_port));
    }
    return text;
}

/* Formats a set of processors, such as "0-3,6". */
static void format_cpus(const cpu_set_t *set, char *text, size_t room) {
    size_t at = 0;
    *text = '\0';
    for (int from = 0, to; from < CPU_SETSIZE && at + 1 < room; from = to) {
        for (to = from; to < CPU_SETSIZE && CPU_ISSET(to, set);)
            to++;
        if (to - from == 1) at += (size_t)snprintf(text + at, room - at, "%s%d", at ? "," : "", from);
        if (to - from > 1) at += (size_t)snprintf(text + at, room - at, "%s%d-%d", at ? "," : "", from, to - 1);
        if (to == from) to++;
    }
}

int cpu_pin(uint64_t cpu) {
    static cpu_set_t all; /* as it was before the first thread was pinned; a new thread inherits a pinned set */
    static bool known;
    cpu_set_t set;
    if (cpu == CPU_ANY) return 0;
    if (!known) known = sched_getaffinity(0, sizeof all, &all) == 0;
    CPU_ZERO(&set);
    if (cpu < CPU_SETSIZE) CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) == 0) return 0;
    int error = errno;
    char allowed[256] = "?";
    if (known) format_cpus(&all, allowed, sizeof allowed);
    fprintf(stderr, "%s: processor %llu: %s; this process may run on %s\n", program_invocation_short_name,
            (unsigned long long)cpu, strerror(error), allowed);
    return -1;
}
