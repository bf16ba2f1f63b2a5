/* SPDX-License-Identifier: MIT */
/* The flags: "local=192.168.0.1,mtu=1500,rcvbuf=BYTES,cc=cubic|reno,ecn=no,delack=MS,tso=no|yes,time=virtual|real". */
#include "host.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLAGS_BYTES 1024u

static bool number(const char *text, uint32_t least, uint32_t most, uint32_t *value) {
    char *end;
    unsigned long long x = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || x < least || x > most) return false;
    *value = (uint32_t)x;
    return true;
}

static bool set_local(struct flags *f, const char *text) {
    return inet_pton(AF_INET, text, &f->local) == 1;
}
static bool set_mtu(struct flags *f, const char *text) {
    uint32_t mtu;
    if (!number(text, INET_MTU_MIN, INET_MTU_MAX, &mtu)) return false;
    f->mtu = (uint16_t)mtu;
    return true;
}
static bool set_option(struct flags *f, enum tcp_option option, const char *text) {
    return number(text, 0, UINT32_MAX, &f->settings.values[option]) &&
           tcp_option_check(option, f->settings.values[option]) == 0;
}
static bool set_rcvbuf(struct flags *f, const char *text) {
    return set_option(f, TCP_OPTION_RECEIVE_LIMIT, text);
}
static bool set_delack(struct flags *f, const char *text) {
    return set_option(f, TCP_OPTION_DELAYED_ACK_MS, text);
}
static bool set_cc(struct flags *f, const char *text) {
    int found = tcp_congestion_find(text);
    if (found >= 0) f->settings.values[TCP_OPTION_CONGESTION] = (uint32_t)found;
    return found >= 0;
}
/* The stack does not speak it: it can only be told so. */
static bool set_ecn(struct flags *f, const char *text) {
    (void)f;
    return strcmp(text, "no") == 0;
}
static bool set_tso(struct flags *f, const char *text) {
    f->tso = strcmp(text, "yes") == 0;
    return f->tso || strcmp(text, "no") == 0;
}
static bool set_time(struct flags *f, const char *text) {
    f->real_time = strcmp(text, "real") == 0;
    return f->real_time || strcmp(text, "virtual") == 0;
}

bool flags_parse(struct flags *f, const char *text, char *why, size_t bytes) {
    static const struct {
        const char *name;
        bool (*set)(struct flags *f, const char *text);
    } all[] = {{"local", set_local}, {"mtu", set_mtu},       {"rcvbuf", set_rcvbuf}, {"cc", set_cc},
               {"ecn", set_ecn},     {"delack", set_delack}, {"tso", set_tso},       {"time", set_time}};
    char copy[FLAGS_BYTES], *save = NULL;
    *f = (struct flags){.mtu = 1500, .settings = tcp_settings_default};
    inet_pton(AF_INET, "192.168.0.1", &f->local);
    if (!text) return true;
    if ((size_t)snprintf(copy, sizeof copy, "%s", text) >= sizeof copy) {
        snprintf(why, bytes, "more than %u bytes of flags", FLAGS_BYTES - 1);
        return false;
    }
    for (char *key = strtok_r(copy, ",", &save); key; key = strtok_r(NULL, ",", &save)) {
        char *value = strchr(key, '=');
        size_t i = 0;
        if (value) *value++ = 0;
        while (i < sizeof all / sizeof *all && strcmp(all[i].name, key) != 0)
            i++;
        if (i == sizeof all / sizeof *all) {
            snprintf(why, bytes, "there is no flag \"%s\"; there are local, mtu, rcvbuf, cc, ecn, delack, tso, time",
                     key);
            return false;
        }
        if (!value || !all[i].set(f, value)) {
            snprintf(why, bytes, "\"%s\" is no value of the flag %s", value ? value : "", key);
            return false;
        }
    }
    return true;
}
