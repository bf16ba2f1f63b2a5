/* SPDX-License-Identifier: MIT */
/* The io_uring engine: the ring as a poller of the runtime, and the dispatch of completions. */
#include "libos/posix/uring.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define REAP_BATCH 256
/* Number and length of the waits for the last requests when the runtime stops. */
#define STOP_TRIES  100 /* without a completion */
#define STOP_TRY_NS 10000000

int uring_enter(struct uring *u, uint64_t timeout_ns) {
    struct __kernel_timespec ts = {.tv_sec = (int64_t)(timeout_ns / 1000000000),
                                   .tv_nsec = (int64_t)(timeout_ns % 1000000000)};
    struct io_uring_cqe *first;
    posix_count(u->px, syscalls);
    int r = -FAULT_POINT("io_uring_enter");
    if (!r && timeout_ns)
        r = io_uring_submit_and_wait_timeout(&u->ring, &first, 1, timeout_ns == UINT64_MAX ? NULL : &ts, NULL);
    else if (!r)
        r = io_uring_submit_and_get_events(&u->ring);
    /* A timeout, a signal, or completions that must be consumed first: the callers retry. */
    return r >= 0 || r == -ETIME || r == -EINTR || r == -EAGAIN || r == -EBUSY ? 0 : r;
}

/*
 * Enters the kernel if it has work for this thread or completions that did not fit into the ring; liburing sees that in
 * shared memory. Returns whether there are completions.
 */
static bool fetch_completions(struct uring *u) {
    struct io_uring_cqe *first;
    if (io_uring_cq_ready(&u->ring)) return true;
    if (io_uring_peek_cqe(&u->ring, &first)) return false;
    posix_count(u->px, syscalls);
    return true;
}

struct io_uring_sqe *uring_sqe(struct uring *u) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    if (!sqe) {
        uring_enter(u, 0);
        sqe = io_uring_get_sqe(&u->ring);
    }
    if (sqe) memset(sqe, 0, sizeof *sqe);
    return sqe;
}

static void complete(struct uring *u, const struct io_uring_cqe *cqe) {
    enum uring_tag tag = (enum uring_tag)(cqe->user_data & TAG_MASK);
    void *p = (void *)(uintptr_t)(cqe->user_data & ~(uint64_t)TAG_MASK);
    switch (tag) {
    case TAG_RECV:
    case TAG_ACCEPT:
    case TAG_READ:
    case TAG_WRITE:
        uring_sock_complete(u, p, tag, cqe->res, cqe->flags);
        break;
    case TAG_SEND:
        uring_send_complete(u, p, cqe->res, cqe->flags);
        break;
    case TAG_FILE:
        u->inflight--;
        file_done(p, cqe->res);
        break;
    case TAG_EVLOOP:
        u->evloop_armed = false;
        u->evloop_ready = true;
        break;
    default:
        break;
    }
}

uint32_t uring_reap(struct uring *u) {
    struct io_uring *ring = &u->ring;
    struct io_uring_cqe *next;
    uint32_t n = 0;
    u->busy = true;
    for (; n < REAP_BATCH && io_uring_cq_ready(ring) && !io_uring_peek_cqe(ring, &next); n++) {
        struct io_uring_cqe cqe = *next;
        io_uring_cqe_seen(ring, next);
        complete(u, &cqe);
    }
    u->busy = false;
    if (u->buffers.missing_len) uring_buffers_refill(u);
    return n;
}

static struct posix *posix_of(struct poller *p) {
    return list_entry(p, struct posix, poller);
}

static uint32_t uring_poll(struct poller *p) {
    struct posix *px = posix_of(p);
    struct uring *u = px->uring;
    uint64_t signals;
    if (u->event_registered) (void)SYS(read, u->event_fd, &signals, sizeof signals);
    uint32_t n = list_empty(&px->direct) ? 0 : posix_direct_poll(px);
    if (!list_empty(&u->todo)) uring_flush(u);
    if (io_uring_sq_ready(&u->ring)) uring_enter(u, 0);
    fetch_completions(u);
    return n + uring_reap(u);
}

/*
 * The ring's own descriptor does not become readable before completions are fetched, so a registered eventfd signals
 * them. It does not signal completions that are already in the ring: returns whether there are any.
 */
static bool register_event_fd(struct uring *u) {
    int error = FAULT_POINT("io_uring_register");
    int r = error ? -error : io_uring_register_eventfd(&u->ring, u->event_fd);
    u->event_registered = r == 0;
    if (r) log_error(&u->px->rt->log, "io_uring: external event loops get no notification: %s", strerror(-r));
    return fetch_completions(u);
}

/* uring_sleep submits requests itself, but an external event loop needs them submitted before it sleeps. */
static bool uring_prepare(struct poller *p) {
    struct posix *px = posix_of(p);
    struct uring *u = px->uring;
    posix_direct_end(px);
    if (px->rt->event.epoll_fd < 0 || u->busy) return false;
    bool work = !u->event_registered && register_event_fd(u);
    uring_flush(u);
    if (io_uring_sq_ready(&u->ring)) uring_enter(u, 0);
    return work;
}

/* Armed for each sleep, because it reports a change, and the evloop may have been ready before. */
static void watch_evloop(struct uring *u, int epoll_fd) {
    struct io_uring_sqe *sqe = u->evloop_armed ? NULL : uring_sqe(u);
    if (!sqe) return;
    io_uring_prep_poll_add(sqe, epoll_fd, POLLIN);
    uring_tag(sqe, NULL, TAG_EVLOOP);
    u->evloop_armed = true;
}

static int uring_sleep(struct poller *p, int epoll_fd, uint64_t timeout_ns) {
    struct uring *u = posix_of(p)->uring;
    u->evloop_ready = false;
    uring_flush(u);
    watch_evloop(u, epoll_fd);
    /* A request that is not in the ring would not wake us, so do not sleep then. */
    bool all_armed = list_empty(&u->todo) && u->evloop_armed;
    int r = uring_enter(u, all_armed ? timeout_ns : 0);
    uring_reap(u);
    return r < 0 ? r : u->evloop_ready;
}

static void uring_free(struct uring *u) {
    io_uring_queue_exit(&u->ring);
    if (u->event_fd >= 0) close(u->event_fd);
    if (u->inflight)
        uring_buffers_leak(u);
    else
        uring_buffers_fini(u);
    uring_files_fini(u);
    sys_free(u);
}

static int uring_start(struct posix *px) {
    struct dmtr_runtime *rt = px->rt;
    enum log_level level = px->options->engine == POSIX_IO_URING ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO;
    struct uring *u = sys_calloc(1, sizeof *u);
    if (!u) return -ENOMEM;
    u->px = px;
    list_init(&u->todo);
    int r = uring_setup(u, level);
    if (r) {
        sys_free(u);
        return r;
    }
    px->uring = u;
    r = u->event_fd = SYS(eventfd, 0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r >= 0) r = uring_buffers_init(u);
    if (!r) r = uring_files_init(u);
    px->poller = (struct poller){.poll = uring_poll, .prepare = uring_prepare, .sleep = uring_sleep, .fd = u->event_fd};
    if (!r) r = runtime_poller_add(rt, &px->poller);
    if (!r) return 0;
    log_at(&rt->log, level, "io_uring: cannot be used: %s", strerror(-r));
    uring_free(u);
    px->uring = NULL;
    return r;
}

/* All requests are cancelled; the kernel releases memory and descriptors with the last completions. */
static void uring_stop(struct posix *px) {
    struct uring *u = px->uring;
    for (int tries = 0; tries < STOP_TRIES && u->inflight;) {
        uring_flush(u);
        uring_enter(u, STOP_TRY_NS);
        if (uring_reap(u) == 0) tries++; /* each operation on a file starts the next one */
    }
    if (u->inflight) log_warn(&px->rt->log, "io_uring: %u requests did not end; their buffers are leaked", u->inflight);
    runtime_poller_remove(px->rt, &px->poller);
    uring_free(u);
}

const struct engine engine_uring = {
    .backend = "posix/io_uring",
    .fetches = true,
    .start = uring_start,
    .stop = uring_stop,
    .sock_init = uring_sock_init,
    .want = uring_want,
    .receive = uring_receive,
    .accept = uring_accept,
    .stop_receiving = uring_stop_receiving,
    .send_zerocopy = uring_send_zerocopy,
    .release = uring_release,
    .file_run = uring_file_run,
    .file_release = uring_file_release,
};
