/* SPDX-License-Identifier: MIT */
/*
 * The plugin for packetdrill, loaded and driven as packetdrill does it: IP packets from this thread, calls that block
 * from a second one, which is taken for blocked when the kernel shows it asleep.
 */
#include "backend.h"

#include "../packetdrill/interface.h"
#include "inet/wire/eth.h"
#include "names.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOCKETS_MAX   64u
#define OPTIONS_MAX   16u
#define GUARD_STEPS   300000 /* of GUARD_STEP_US: half a minute for another thread to get where it is going */
#define GUARD_STEP_US 100
#define INFO_BYTES    256u

struct named_fd {
    char name[NAME_BYTES];
    int fd;
};

/* A call that blocks, in a thread of its own. */
struct blocked {
    struct plugin *plugin;
    const struct call *call;
    int fd;
    uint8_t *data;
    int64_t result;
    atomic_int tid, done;
    pthread_t thread;
};

struct plugin {
    void *object;
    struct packetdrill_interface t;
    struct named_fd sockets[SOCKETS_MAX];
    struct call options[OPTIONS_MAX]; /* of sockets to come */
    uint32_t option_count;
    struct blocked *blocked;
};

static bool settings_fit(const struct settings *s) {
    return s->neighbour && !s->csum && !s->tso && !s->announce && !s->neighbours && !s->neighbour_queue &&
           !s->fragment_bytes && !s->icmp_per_second;
}

static void *plugin_start(const struct settings *s, bool real, char *why, size_t bytes) {
    const char *path = getenv("PACKETDRILL_PLUGIN");
    char flags[128];
    if (!path || !settings_fit(s)) {
        snprintf(why, bytes, path ? "these settings are not for the plugin" : "PACKETDRILL_PLUGIN names no plugin");
        return NULL;
    }
    struct plugin *b = calloc(1, sizeof *b);
    if (!b) return NULL;
    b->object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void *symbol = b->object ? dlsym(b->object, "packetdrill_interface_init") : NULL;
    packetdrill_interface_init_t *init;
    if (!symbol) {
        snprintf(why, bytes, "%s", dlerror());
        free(b);
        return NULL;
    }
    memcpy(&init, &symbol, sizeof init);
    snprintf(flags, sizeof flags, "local=10.0.0.1,mtu=%u,time=%s", s->mtu, real ? "real" : "virtual");
    init(flags, &b->t);
    return b;
}

static void *virtual_start(const struct settings *s, char *why, size_t bytes) {
    return plugin_start(s, false, why, bytes);
}
static void *real_start(const struct settings *s, char *why, size_t bytes) {
    return plugin_start(s, true, why, bytes);
}

static bool plugin_stop(void *backend) {
    struct plugin *b = backend;
    b->t.free(b->t.userdata); /* also ends what still blocks */
    if (b->blocked) {
        pthread_join(b->blocked->thread, NULL);
        free(b->blocked);
    }
    dlclose(b->object);
    free(b);
    return true;
}

static uint64_t plugin_now(void *backend) {
    struct plugin *b = backend;
    struct timeval tv;
    b->t.gettimeofday(b->t.userdata, &tv, NULL);
    return ((uint64_t)tv.tv_sec * 1000000 + (uint64_t)tv.tv_usec) * 1000;
}

static void plugin_pass(void *backend, uint64_t until) {
    struct plugin *b = backend;
    uint64_t now = plugin_now(b);
    while (now < until) {
        uint64_t usec = (until - now + 999) / 1000;
        b->t.usleep(b->t.userdata, (useconds_t)(usec < 1000000000 ? usec : 1000000000));
        now = plugin_now(b);
    }
}

/* Waits as long as the plugin does, which is longer than `until`. */
static bool plugin_receive(void *backend, uint64_t until, struct wire_frame *f) {
    struct plugin *b = backend;
    size_t count = sizeof f->bytes;
    long long usec = 0;
    (void)until;
    if (b->t.netdev_receive(b->t.userdata, f->bytes, &count, &usec) || count == 0) return false;
    f->at_ns = (uint64_t)usec * 1000;
    f->len = (uint32_t)count;
    f->no_link = true;
    f->offloaded = false;
    f->tso_bytes = 0;
    return true;
}

static void plugin_send(void *backend, const uint8_t *frame, uint32_t len) {
    struct plugin *b = backend;
    if (len > ETH_HEADER_BYTES) b->t.netdev_send(b->t.userdata, frame + ETH_HEADER_BYTES, len - ETH_HEADER_BYTES);
}

static struct named_fd *fd_of(struct plugin *b, const char *name) {
    for (uint32_t i = 0; i < SOCKETS_MAX; i++)
        if (strcmp(b->sockets[i].name, name) == 0) return &b->sockets[i];
    return NULL;
}

static int64_t fd_name(struct plugin *b, const char *name, int fd) {
    struct named_fd *free_one = fd_of(b, "");
    if (!free_one) return -EMFILE;
    memcpy(free_one->name, name, NAME_BYTES);
    free_one->fd = fd;
    return 0;
}

static int64_t result_of(int64_t n) {
    return n < 0 ? -errno : n;
}

static struct sockaddr_in address(uint32_t ip, uint32_t port) {
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = ip};
}

static void set_blocking(struct plugin *b, int fd, bool block) {
    b->t.fcntl(b->t.userdata, fd, F_SETFL, (long)(block ? O_RDWR : O_RDWR | O_NONBLOCK));
}

static int64_t set_option(struct plugin *b, int fd, const struct call *c) {
    const struct name_option *o = name_option_find(c->word);
    if (!o || o->level < 0) return -ENOPROTOOPT;
    int value = (int)c->number;
    if (o->option == TCP_OPTION_SEND_LIMIT) value /= 2; /* of which the platform makes twice as much */
    const char *name = c->number ? "reno" : "cubic";
    bool congestion = o->option == TCP_OPTION_CONGESTION;
    return result_of(b->t.setsockopt(b->t.userdata, fd, o->level, o->platform, congestion ? (const void *)name : &value,
                                     congestion ? (socklen_t)strlen(name) : sizeof value));
}

/* A socket with the options asked for, bound; its descriptor. */
static int64_t new_socket(struct plugin *b, int type, uint32_t port) {
    int fd = b->t.socket(b->t.userdata, AF_INET, type, 0), one = 1;
    struct sockaddr_in any = address(0, port);
    if (fd < 0) return -errno;
    set_blocking(b, fd, false);
    for (uint32_t i = 0; type == SOCK_STREAM && i < b->option_count; i++)
        set_option(b, fd, &b->options[i]);
    if (port == 0) return fd;
    b->t.setsockopt(b->t.userdata, fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    int64_t error = result_of(b->t.bind(b->t.userdata, fd, (struct sockaddr *)&any, sizeof any));
    return error ? error : fd;
}

static uint8_t state_of(struct plugin *b, int fd) {
    uint8_t info[INFO_BYTES]; /* begins with the state */
    socklen_t len = sizeof info;
    return b->t.getsockopt(b->t.userdata, fd, IPPROTO_TCP, TCP_INFO, info, &len) ? 0 : info[0];
}

static int64_t do_listen(struct plugin *b, const struct call *c) {
    int64_t fd = new_socket(b, SOCK_STREAM, c->port);
    if (fd < 0) return fd;
    int64_t error = result_of(b->t.listen(b->t.userdata, (int)fd, (int)c->backlog));
    return error ? error : fd_name(b, c->name, (int)fd);
}

static int64_t do_open(struct plugin *b, const struct call *c) {
    int64_t fd =
        new_socket(b, c->verb == VERB_UDP ? SOCK_DGRAM : SOCK_STREAM, c->verb == VERB_UDP ? c->port : c->from_port);
    return fd < 0 ? fd : fd_name(b, c->name, (int)fd);
}

static int64_t do_connected(struct plugin *b, int fd) {
    int error = 0;
    socklen_t len = sizeof error;
    const struct name_state *state = name_state_of(state_of(b, fd));
    if (!state || state->state == TCP_STATE_SYN_SENT || state->state == TCP_STATE_SYN_RECEIVED) return -EINPROGRESS;
    if (b->t.getsockopt(b->t.userdata, fd, SOL_SOCKET, SO_ERROR, &error, &len)) return -errno;
    return -error;
}

static int64_t do_close(struct plugin *b, const struct call *c, struct named_fd *k) {
    const struct linger at_once = {.l_onoff = 1};
    int fd = k->fd;
    memset(k, 0, sizeof *k);
    if (c->verb == VERB_ABORT) b->t.setsockopt(b->t.userdata, fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    return result_of(b->t.close(b->t.userdata, fd));
}

static int64_t do_option(struct plugin *b, const struct call *c, int fd) {
    if (strcmp(c->name, "all") != 0) return set_option(b, fd, c);
    if (b->option_count == OPTIONS_MAX) return -ENOSPC;
    b->options[b->option_count++] = *c;
    return 0;
}

/* The calls that may block; of accept the result is the new descriptor. */
static int64_t do_on_socket(struct plugin *b, const struct call *c, int fd, uint8_t *data) {
    void *u = b->t.userdata;
    struct sockaddr_in to = address(c->ip, c->port);
    const struct name_state *state;
    switch (c->verb) {
    case VERB_ACCEPT:
        return result_of(b->t.accept(u, fd, NULL, NULL));
    case VERB_CONNECT:
    case VERB_UDP_CONNECT:
        return result_of(b->t.connect(u, fd, (struct sockaddr *)&to, sizeof to));
    case VERB_SEND:
        return result_of(b->t.send(u, fd, data, c->number, c->more ? MSG_MORE : 0));
    case VERB_RECV:
        return result_of(b->t.recv(u, fd, data, c->number, c->peek ? MSG_PEEK : 0));
    case VERB_SENDTO:
        return result_of(c->port ? b->t.sendto(u, fd, data, c->number, 0, (struct sockaddr *)&to, sizeof to)
                                 : b->t.write(u, fd, data, c->number));
    case VERB_RECVFROM:
        return result_of(b->t.read(u, fd, data, c->number));
    case VERB_SHUTDOWN:
        return result_of(b->t.shutdown(u, fd, SHUT_WR));
    case VERB_CONNECTED:
        return do_connected(b, fd);
    case VERB_STATE:
        state = name_state_of(state_of(b, fd));
        return state ? (int64_t)state->state : -EINVAL;
    default:
        return -ENOPROTOOPT;
    }
}

static int64_t accepted(struct plugin *b, const struct call *c, int64_t result) {
    if (c->verb != VERB_ACCEPT || result < 0) return result;
    set_blocking(b, (int)result, false);
    return fd_name(b, c->other, (int)result);
}

static int64_t plugin_call(void *backend, const struct call *c, uint8_t *data) {
    struct plugin *b = backend;
    int64_t error;
    if (c->verb == VERB_LISTEN) return do_listen(b, c);
    if (c->verb == VERB_UDP) return do_open(b, c);
    if (c->verb == VERB_CONNECT && (error = do_open(b, c))) return error;
    struct named_fd *k = fd_of(b, c->name);
    if (c->verb == VERB_OPTION) return do_option(b, c, k ? k->fd : -1);
    if (!k) return -EBADF;
    if (c->verb == VERB_CLOSE || c->verb == VERB_ABORT) return do_close(b, c, k);
    return accepted(b, c, do_on_socket(b, c, k->fd, data));
}

static void *blocked_run(void *arg) {
    struct blocked *w = arg;
    atomic_store(&w->tid, gettid());
    w->result = do_on_socket(w->plugin, w->call, w->fd, w->data);
    atomic_store(&w->done, 1);
    return NULL;
}

/* Whether the kernel shows the thread asleep. */
static bool asleep(const struct blocked *w) {
    char path[64], text[256], state = 'R';
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", atomic_load(&w->tid));
    FILE *in = fopen(path, "r");
    const char *name_end = in && fgets(text, sizeof text, in) ? strrchr(text, ')') : NULL;
    if (name_end) state = name_end[2];
    if (in) fclose(in);
    return state == 'S';
}

static bool plugin_begin(void *backend, const struct call *c, uint8_t *data) {
    struct plugin *b = backend;
    if (c->verb == VERB_CONNECT && do_open(b, c)) return false;
    struct named_fd *k = fd_of(b, c->name);
    struct blocked *w = k ? calloc(1, sizeof *w) : NULL;
    if (!w) return false;
    w->plugin = b;
    w->call = c;
    w->fd = k->fd;
    w->data = data;
    set_blocking(b, k->fd, true);
    if (pthread_create(&w->thread, NULL, blocked_run, w)) {
        free(w);
        return false;
    }
    b->blocked = w;
    for (int i = 0; i < GUARD_STEPS && !atomic_load(&w->done) && !(atomic_load(&w->tid) && asleep(w)); i++)
        usleep(GUARD_STEP_US);
    return !atomic_load(&w->done);
}

static bool plugin_end(void *backend, int64_t *result) {
    struct plugin *b = backend;
    struct blocked *w = b->blocked;
    for (int i = 0; i < GUARD_STEPS && !atomic_load(&w->done); i++)
        usleep(GUARD_STEP_US);
    if (!atomic_load(&w->done)) return false;
    pthread_join(w->thread, NULL);
    set_blocking(b, w->fd, false);
    *result = accepted(b, w->call, w->result);
    b->blocked = NULL;
    free(w);
    return true;
}

#define COMMON                                                                                                         \
    .stop = plugin_stop, .now = plugin_now, .pass = plugin_pass, .receive = plugin_receive, .send = plugin_send,       \
    .call = plugin_call, .begin = plugin_begin, .end = plugin_end

const struct backend_ops backend_virtual = {.name = "virtual", .timed = true, .start = virtual_start, COMMON};
const struct backend_ops backend_real = {.name = "real", .start = real_start, COMMON};
