/* SPDX-License-Identifier: MIT */
/* The posix libos: chooses, starts and stops the engine. */
#include "libos/posix/posix.h"
#include "libos/posix/libos.h"

#include "base/clock.h"
#include "core/turn.h"

#include <string.h>
#include <sys/resource.h>

#define COUNTER_PREFIX "posix_"
static const struct counter_name counter_names[] = {POSIX_COUNTERS(COUNTER_ROW)};
#define X(name, text) COUNTER_FITS(COUNTER_PREFIX #name, text)
_Static_assert(true POSIX_COUNTERS(X), "counters fit the page");
#undef X

static int start_engine(struct posix *px, const struct engine *engine) {
    px->engine = engine;
    px->stream_ops = stream_ops;
    px->datagram_ops = datagram_ops;
    px->file_ops = file_ops;
    px->stream_ops.backend = px->datagram_ops.backend = px->file_ops.backend = engine->backend;
    int r = engine->start(px);
    if (r == 0) log_info(&px->rt->log, "posix: sockets and files over %s", strchr(engine->backend, '/') + 1);
    return r;
}

/* Uses io_uring if the kernel has the needed features. engine_uring has logged what is missing. */
static int choose_engine(struct posix *px) {
    struct dmtr_runtime *rt = px->rt;
    if (px->options->engine != POSIX_EPOLL) {
        int r = start_engine(px, &engine_uring);
        if (!r || px->options->engine == POSIX_IO_URING) return r;
        log_info(&rt->log, "posix.engine: using epoll, because io_uring cannot be used: %s", strerror(-r));
    }
    int r = start_engine(px, &engine_epoll);
    if (r) log_error(&rt->log, "posix: cannot start: %s", strerror(-r));
    return r;
}

/* Interval of log lines about missing descriptors. The program learns of each case from the call's error. */
#define SHORTAGE_LOG_NS 60000000000u

void posix_log_shortage(struct posix *px, int error) {
    uint64_t now_ns = clock_now_ns();
    struct rlimit limit = {0};
    if (error != -EMFILE && error != -ENFILE) return;
    if (px->shortage_ns && now_ns - px->shortage_ns < SHORTAGE_LOG_NS) return;
    px->shortage_ns = now_ns;
    if (error == -ENFILE) {
        log_warn(&px->rt->log, "posix: the system has no free descriptor (sysctl fs.file-max)");
        return;
    }
    (void)SYS(getrlimit, RLIMIT_NOFILE, &limit); /* on failure the limit stays 0 */
    log_warn(&px->rt->log, "posix: the process has no free descriptor: its limit is %llu (RLIMIT_NOFILE, ulimit -n)",
             (unsigned long long)limit.rlim_cur);
}

void posix_descriptor_freed(struct posix *px) {
    struct list *l = list_pop_front(&px->pausing);
    if (l) runtime_timer_arm(px->rt, &list_entry(l, struct sock, pausing)->timer, clock_now_ns());
}

static void flush(struct sender *sender, uint64_t now_ns) {
    struct posix *px = list_entry(sender, struct posix, sender);
    (void)now_ns;
    for (struct list *l; (l = list_first(&px->unsent));)
        sock_send(list_entry(l, struct sock, unsent));
}

static int posix_start(struct dmtr_runtime *rt, void **state_out) {
    struct posix *px = sys_calloc(1, sizeof *px);
    if (!px) return -ENOMEM;
    px->rt = rt;
    px->options = config_values(&rt->config, &posix_options_group);
    px->counters = counters_extend(&rt->counters, COUNTER_PREFIX, counter_names, POSIX_COUNTER_COUNT);
    if (!px->counters) {
        sys_free(px);
        log_error(&rt->log, "posix: the counter page is full");
        return -ENOSPC;
    }
    px->direct_allowed = rt->config.wait_policy == WAIT_SPIN;
    list_init(&px->socks);
    list_init(&px->files);
    list_init(&px->bound);
    list_init(&px->direct);
    list_init(&px->pausing);
    list_init(&px->chunks_free);
    list_init(&px->unsent);
    px->sender.flush = flush;
    int r = choose_engine(px);
    if (r) {
        sys_free(px);
        return r;
    }
    turn_sender_add(rt, &px->sender);
    *state_out = px;
    return 0;
}

/* Aborts sockets that still linger. The engine then ends and frees the rest. */
static void posix_stop(struct dmtr_runtime *rt, void *state) {
    struct posix *px = state;
    struct list *l, *tmp;
    (void)rt;
    px->stopping = true;
    turn_sender_remove(&px->sender);
    list_for_each (&px->socks, l, tmp)
        sock_abort(list_entry(l, struct sock, link));
    px->engine->stop(px);
    arena_fini(&px->arena);
    posix_chunks_fini(px);
    sys_free(px);
}

const struct libos libos_posix = {
    .name = "posix",
    .aliases = (const char *const[]){"catnap", "linux", NULL},
    .text = "The kernel's sockets and files, through io_uring or epoll",
    .start = posix_start,
    .stop = posix_stop,
    .socket = sock_create,
    .open = file_open,
};
