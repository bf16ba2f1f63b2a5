/* SPDX-License-Identifier: MIT */
/* Backends by Demikernel's names and by dmtr's, and the keys of Demikernel's file that configure a network. */
#include "backend.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define KEY_MAX    32
#define NAME_SHOWN 64
#define CHOICES    "choose catnap, catnip, catpowder, posix, inet or lwip"

static const struct backend {
    const char *name;
    const char *libos, *device; /* NULL device: the backend selects none */
    const char *lacks;          /* the missing feature; NULL: the backend exists */
} backends[] = {
    {"catnap", "posix", NULL, NULL},
    {"posix", "posix", NULL, NULL},
    {"linux", "posix", NULL, NULL},
    {"catnip", "inet", "dpdk", NULL},
    {"catpowder", "inet", "packet", NULL},
    {"inet", "inet", NULL, NULL},
    {"lwip", "lwip", NULL, NULL},
    {"catmem", NULL, NULL, "shared memory between processes"},
    {"catloop", NULL, NULL, "shared memory between processes"},
    {"catmint", NULL, NULL, "RDMA"},
    {"cattree", NULL, NULL, "a log over a block device"},
};

static const struct backend *find(const char *name) {
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++)
        if (strcasecmp(backends[i].name, name) == 0) return &backends[i];
    return NULL;
}

static void add(struct backend_options *to, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct backend_options *to, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(to->text[to->count++], BACKEND_OPTION_MAX, fmt, ap);
    va_end(ap);
}

/* Whether the environment sets inet.KEY. */
static bool in_environment(const char *key) {
    char name[KEY_MAX] = "DMTR_INET_";
    for (size_t n = strlen(name); *key && n < sizeof name - 1; key++)
        name[n++] = (char)toupper((unsigned char)*key);
    return secure_getenv(name) != NULL;
}

/* DPDK names a port by its PCI address with the domain; add a missing one. Other names do not change. */
static int port_text(char *to, size_t bytes, const char *name, int len) {
    unsigned bus, device, function;
    int used = 0;
    bool short_pci = sscanf(name, "%2x:%2x.%1x%n", &bus, &device, &function, &used) == 3 && used == len;
    return snprintf(to, bytes, ",port=%s%.*s", short_pci ? "0000:" : "", len, name);
}

/* ",port=NAME" for the first device in the EAL's arguments; "": they name none. */
static void port_of(const char *eal, char *to, size_t bytes) {
    static const char *const flags[] = {"-a", "-w", "--allow", "--vdev"};
    to[0] = '\0';
    for (const char *at = eal; *at; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ="), i = 0;
        while (i < sizeof flags / sizeof *flags && (strlen(flags[i]) != len || strncmp(flags[i], at, len) != 0))
            i++;
        at += len;
        if (i < sizeof flags / sizeof *flags && *at) {
            at++;
            port_text(to, bytes, at, (int)strcspn(at, " ;"));
            return;
        }
        at += strcspn(at, " ");
    }
}

static void add_device(struct backend_options *to, const char *device, const struct network *n) {
    char port[SETTING_TEXT_MAX];
    if (!in_environment("device")) add(to, "inet.device=%s", device);
    if (in_environment("device_options") || in_environment("device")) return;
    if (strcmp(device, "packet") == 0) {
        if (*n->interface) add(to, "inet.device_options=name=%s", n->interface);
        return;
    }
    port_of(n->eal, port, sizeof port);
    if (*n->eal) add(to, "inet.device_options=eal=%s%s", n->eal, port);
}

/* Demikernel has no prefix lengths: it treats every address as on-link. */
static void add_network(struct backend_options *to, const struct network *n) {
    if (*n->address && !in_environment("address"))
        add(to, "inet.address=%s%s", n->address, strchr(n->address, '/') ? "" : "/0");
    if (*n->mac && !in_environment("mac")) add(to, "inet.mac=%s", n->mac);
    if (n->mtu != SETTING_UNSET && !in_environment("mtu")) add(to, "inet.mtu=%d", n->mtu);
    if (*n->neighbours && !in_environment("neighbours")) add(to, "inet.neighbours=%s", n->neighbours);
}

int backend_choose(struct backend_options *to, const char *name, const struct network *network,
                   char error[BACKEND_ERROR_MAX]) {
    const struct backend *b = find(name);
    to->count = 0;
    if (!b || b->lacks) {
        snprintf(error, BACKEND_ERROR_MAX, "LIBOS: \"%.*s\" %s%s; " CHOICES, NAME_SHOWN, name,
                 b ? "needs a feature that this version does not have, " : "is not known", b ? b->lacks : "");
        for (char *p = error; *p; p++)
            if ((unsigned char)*p < ' ' || *p == '\x7f') *p = '?';
        return EINVAL;
    }
    add(to, "libos=%s", b->libos);
    if (b->device) {
        add_device(to, b->device, network);
        add_network(to, network);
    }
    return 0;
}
