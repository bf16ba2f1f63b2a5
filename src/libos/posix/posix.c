/* SPDX-License-Identifier: MIT */
/* The posix libos: chooses the engine by what the kernel offers, starts and stops it. */
#include "libos/posix/posix.h"
#include "libos/posix/libos.h"

#include "base/clock.h"

#include <string.h>
#include <sys/resource.h>

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

/* io_uring where the kernel has what is needed; engine_uring has logged what it misses. */
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

/* A line in this time says it: the program hears of each case by itself. */
#define SHORTAGE_LOG_NS 60000000000u

void posix_log_shortage(struct posix *px, int error) {
    uint64_t now_ns = clock_now_ns();
    struct rlimit limit = {0};
    if (error != -EMFILE && error != -ENFILE) return;
    if (px->shortage_ns && now_ns - px->shortage_ns < SHORTAGE_LOG_NS) return;
    px->shortage_ns = now_ns;
    if (error == -ENFILE) {
        log_warn(&px->rt->log, "posix: the system has no descriptor left (sysctl fs.file-max)");
        return;
    }
    (void)SYS(getrlimit, RLIMIT_NOFILE, &limit); /* failing, it leaves 0 */
    log_warn(&px->rt->log, "posix: the process has no descriptor left: its limit is %llu (RLIMIT_NOFILE, ulimit -n)",
             (unsigned long long)limit.rlim_cur);
}

void posix_descriptor_freed(struct posix *px) {
    struct list *l = list_pop_front(&px->pausing);
    if (l) runtime_timer_arm(px->rt, &list_entry(l, struct sock, pausing)->timer, clock_now_ns());
}

static int posix_start(struct dmtr_runtime *rt, void **state_out) {
    struct posix *px = sys_calloc(1, sizeof *px);
    if (!px) return -ENOMEM;
    px->rt = rt;
    px->options = config_values(&rt->config, &posix_options_group);
    px->direct_allowed = rt->config.wait_policy == WAIT_SPIN;
    list_init(&px->socks);
    list_init(&px->files);
    list_init(&px->bound);
    list_init(&px->direct);
    list_init(&px->pausing);
    list_init(&px->chunks_free);
    int r = choose_engine(px);
    if (r) {
        sys_free(px);
        return r;
    }
    *state_out = px;
    return 0;
}

/* Sockets that still linger are given up; the engine ends and frees what is left. */
static void posix_stop(struct dmtr_runtime *rt, void *state) {
    struct posix *px = state;
    struct list *l, *tmp;
    (void)rt;
    px->stopping = true;
    list_for_each (&px->socks, l, tmp)
        sock_give_up(list_entry(l, struct sock, link));
    px->engine->stop(px);
    arena_fini(&px->arena);
    posix_chunks_fini(px);
    sys_free(px);
}

const struct libos libos_posix = {
    .name = "posix",
    .aliases = (const char *const[]){"catnap", "linux", NULL},
    .text = "Sockets and files of the kernel, through io_uring or epoll",
    .start = posix_start,
    .stop = posix_stop,
    .socket = sock_create,
    .open = file_open,
};
