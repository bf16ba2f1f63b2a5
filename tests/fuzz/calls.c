/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: the public calls. An input is a runtime's configuration and a sequence of calls over queues in memory,
 * operators, kernel sockets on loopback, files, timers and watches. Each answer is compared with a shadow (shadow.h);
 * in the end no memory and no descriptor is left.
 */
#include "calls.h"
#include "leaks.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <unistd.h>

#define CALLS_MAX   128
#define MESSAGE_MAX 64
#define FILE_MAX    65536 /* how far a cursor is moved */
#define ROUNDS_MAX  2000
#define MS_NS       1000000ull

static bool have_io_uring;
bool tight, woken;
static int file = -1;
static char file_path[32];
static struct sockaddr_in6 stream_target, datagram_target; /* sockets bound last; sockaddr_in where of IPv4 */
static uint8_t foreign[ELEMENTS_MAX][MESSAGE_MAX];         /* memory that is not the library's */

static bool is_socket(const struct shadow_queue *q) {
    return q->kind == KIND_STREAM || q->kind == KIND_DATAGRAM;
}

static void call_queue(struct input *in) {
    int qd;
    (void)in;
    if (granted(dmtr_queue(&qd))) shadow_opened(qd, KIND_MEMORY);
}

static bool odd_first_byte(const dmtr_sgarray_t *sga, void *arg) {
    (void)arg;
    return sga->sga_numsegs && sga->sga_segs[0].sgaseg_len && *(uint8_t *)sga->sga_segs[0].sgaseg_buf & 1;
}

static bool shorter(const dmtr_sgarray_t *a, const dmtr_sgarray_t *b, void *arg) {
    (void)arg;
    return a->sga_segs[0].sgaseg_len < b->sga_segs[0].sgaseg_len;
}

/* Changes bytes, drops a segment, or refuses. */
static int change(dmtr_sgarray_t *sga, void *arg) {
    (void)arg;
    if (!sga->sga_numsegs || !sga->sga_segs[0].sgaseg_len) return 0;
    uint8_t *first = sga->sga_segs[0].sgaseg_buf;
    *first ^= 0x55;
    if (sga->sga_segs[0].sgaseg_len > 1) sga->sga_segs[0].sgaseg_len--;
    return *first % 8 == 7 ? EIO : 0;
}

static void call_operator(struct input *in) {
    uint8_t which = take_byte(in) % 5;
    struct shadow_queue *q1 = shadow_pick(in), *q2 = shadow_pick(in);
    int qd, r;
    if (!q1) return;
    if ((which == 0 || which == 4) && q1 == q2) {
        must((which ? dmtr_qconnect(q1->qd, q2->qd) : dmtr_merge(&qd, q1->qd, q2->qd)) == EINVAL);
        return;
    }
    if (which == 0)
        r = dmtr_merge(&qd, q1->qd, q2->qd);
    else if (which == 1)
        r = dmtr_filter(&qd, q1->qd, odd_first_byte, NULL);
    else if (which == 2)
        r = dmtr_sort(&qd, q1->qd, shorter, NULL);
    else if (which == 3)
        r = dmtr_map(&qd, q1->qd, change, NULL);
    else
        r = dmtr_qconnect(q1->qd, q2->qd);
    documented(r);
    shadow_share(q1);
    if (which == 0 || which == 4) shadow_share(q2);
    if (!r && which != 4) shadow_opened(qd, KIND_OPERATOR);
}

static void call_socket(struct input *in) {
    uint8_t how = take_byte(in);
    int qd, type = how & 1 ? SOCK_DGRAM : SOCK_STREAM;
    int r = dmtr_socket(&qd, how & 2 ? AF_INET6 : AF_INET, type, 0);
    documented(r);
    if (r) return;
    struct linger now = {.l_onoff = how % 8 != 7}; /* mostly no TIME-WAIT, of which the kernel holds only so many */
    must(dmtr_setsockopt(qd, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
    shadow_opened(qd, type == SOCK_DGRAM ? KIND_DATAGRAM : KIND_STREAM);
}

static socklen_t loopback(struct sockaddr_in6 *addr, bool v6) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *addr = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    if (!v6) memcpy(addr, &v4, sizeof v4);
    return v6 ? sizeof *addr : sizeof v4;
}

/* Only loopback: what is not bound does not listen. */
static void call_bind(struct input *in) {
    struct shadow_queue *q = shadow_pick(in);
    uint8_t how = take_byte(in);
    struct sockaddr_in6 addr;
    socklen_t len = loopback(&addr, how & 1);
    if (!q) return;
    int r = dmtr_bind(q->qd, (struct sockaddr *)&addr, len);
    must(is_socket(q) || r == ENOTSOCK);
    documented(r);
    if (r) return;
    q->bound = true;
    len = sizeof addr;
    must(dmtr_getsockname(q->qd, (struct sockaddr *)&addr, &len) == 0);
    *(q->kind == KIND_STREAM ? &stream_target : &datagram_target) = addr;
}

static void call_listen(struct input *in) {
    struct shadow_queue *q = shadow_pick(in);
    if (!q || (is_socket(q) && !q->bound)) return;
    int r = dmtr_listen(q->qd, take_byte(in) % 8);
    must(is_socket(q) || r == ENOTSOCK);
    must(q->kind != KIND_DATAGRAM || r == EOPNOTSUPP);
    documented(r);
}

static socklen_t length_of(const struct sockaddr_in6 *addr) {
    return addr->sin6_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static void call_connect(struct input *in) {
    struct shadow_queue *q = shadow_pick(in);
    if (!q) return;
    const struct sockaddr_in6 *to = q->kind == KIND_DATAGRAM ? &datagram_target : &stream_target;
    dmtr_qtoken_t qt;
    int r = dmtr_connect(&qt, q->qd, (const struct sockaddr *)to, length_of(to));
    must(is_socket(q) || r == ENOTSOCK);
    documented(r);
    if (!r) shadow_begun(q, DMTR_OPC_CONNECT, qt);
}

static void call_accept(struct input *in) {
    struct shadow_queue *q = shadow_pick(in);
    dmtr_qtoken_t qt;
    if (!q) return;
    int r = dmtr_accept(&qt, q->qd);
    must(is_socket(q) || r == ENOTSOCK);
    must(q->kind != KIND_DATAGRAM || r == EOPNOTSUPP);
    documented(r);
    if (!r) shadow_begun(q, DMTR_OPC_ACCEPT, qt);
}

/* A message that begins with the next stamp, of the library's memory or not; its bytes. */
static uint32_t message(struct input *in, dmtr_sgarray_t *sga) {
    uint8_t how = take_byte(in);
    uint32_t len = sizeof shadow.stamp + (how >> 2) % (MESSAGE_MAX - sizeof shadow.stamp), stamp = ++shadow.stamp;
    *sga = (dmtr_sgarray_t){.sga_numsegs = 1};
    if (how & 1) *sga = dmtr_sgaalloc(len);
    must(sga->sga_numsegs == 1);
    if (!(how & 1)) sga->sga_segs[0] = (dmtr_sgaseg_t){.sgaseg_buf = foreign[stamp], .sgaseg_len = len};
    char *text = sga->sga_segs[0].sgaseg_buf;
    memset(text, (int)stamp, len);
    memcpy(text, &stamp, sizeof stamp);
    if (how & 2) { /* the same in pieces, one of them empty */
        char *end = text + len;
        sga->sga_numsegs = 3;
        sga->sga_segs[0].sgaseg_len = sizeof stamp;
        sga->sga_segs[1] = (dmtr_sgaseg_t){.sgaseg_buf = end, .sgaseg_len = 0};
        sga->sga_segs[2] = (dmtr_sgaseg_t){.sgaseg_buf = text + sizeof stamp, .sgaseg_len = len - sizeof stamp};
    }
    return len;
}

/* Freed at once, as the library's own memory may be. */
static void message_free(const dmtr_sgarray_t *sga) {
    if (sga->sga_buf) must(dmtr_free(sga->sga_buf) == 0);
}

static void call_push(struct input *in) {
    struct shadow_queue *q = shadow_pick(in);
    dmtr_sgarray_t sga;
    dmtr_qtoken_t qt;
    if (!q) return;
    uint32_t bytes = message(in, &sga);
    int r = dmtr_push(&qt, q->qd, &sga);
    message_free(&sga);
    if (q->kind == KIND_MEMORY) granted(r);
    documented(r);
    if (!r) shadow_push(q, qt, bytes);
}

static void call_pushto(struct input *in) {
    struct shadow_queue *q = shadow_pick(in);
    dmtr_sgarray_t sga;
    dmtr_qtoken_t qt;
    if (!q) return;
    uint32_t bytes = message(in, &sga);
    int r = dmtr_pushto(&qt, q->qd, &sga, (struct sockaddr *)&datagram_target, length_of(&datagram_target));
    message_free(&sga);
    must(is_socket(q) || r == ENOTSOCK);
    must(q->kind != KIND_STREAM || r == EOPNOTSUPP);
    documented(r);
    if (!r) shadow_push(q, qt, bytes);
}

static void call_pop(struct input *in) {
    struct shadow_queue *q = shadow_pick(in);
    uint8_t limit = take_byte(in) % 64;
    dmtr_qtoken_t qt;
    if (!q) return;
    int r = limit ? dmtr_pop2(&qt, q->qd, limit) : dmtr_pop(&qt, q->qd);
    if (q->kind == KIND_MEMORY) granted(r);
    documented(r);
    if (!r) shadow_pop(q, qt, limit);
}

static void call_open(struct input *in) {
    static const struct {
        const char *path;
        int flags, error;
    } files[] = {{file_path, O_RDWR, 0},
                 {file_path, O_RDONLY, 0},
                 {file_path, O_WRONLY | O_APPEND, 0},
                 {file_path, O_RDWR | O_TRUNC | O_DSYNC, 0},
                 {"/dev/null", O_RDWR, 0},
                 {"/", O_RDONLY, EISDIR},
                 {"/nonexistent", O_RDONLY, ENOENT}};
    uint8_t which = take_byte(in) % (sizeof files / sizeof *files);
    int qd, r = dmtr_open(&qd, files[which].path, files[which].flags);
    if (r == files[which].error && !r)
        shadow_opened(qd, KIND_FILE);
    else
        must(r == files[which].error || (tight && r == ENOBUFS));
}

static void call_file(struct input *in) {
    struct shadow_queue *q = shadow_pick(in);
    uint8_t what = take_byte(in), where = take_byte(in);
    off_t offset = where * (FILE_MAX / 256), reached = -1;
    if (!q) return;
    int r = what % 3 == 0   ? dmtr_lseek(q->qd, what & 4 ? -offset : offset, what >> 3 & 3, &reached)
            : what % 3 == 1 ? dmtr_truncate(q->qd, offset)
                            : dmtr_fsync(q->qd);
    must(q->kind == KIND_FILE || r == ESPIPE);
    must(r || what % 3 || reached >= 0);
    documented(r);
}

static void call_close(struct input *in) {
    struct shadow_queue *q = shadow_pick(in);
    if (!q) return;
    must(dmtr_close(q->qd) == 0);
    shadow_closed(q);
}

static void call_async_close(struct input *in) {
    struct shadow_queue *q = shadow_pick(in);
    dmtr_qtoken_t qt;
    if (!q || !granted(dmtr_async_close(&qt, q->qd))) return;
    struct shadow_queue closed = {.qd = q->qd};
    shadow_closed(q);
    shadow_begun(&closed, DMTR_OPC_CLOSE, qt);
}

static void call_option(struct input *in) {
    static const struct {
        int level, name;
    } options[] = {{DMTR_SOL_QUEUE, DMTR_SO_FRAMED},
                   {DMTR_SOL_QUEUE, DMTR_SO_PUSH_ACKED},
                   {DMTR_SOL_QUEUE, DMTR_SO_PUSH_LIMIT},
                   {DMTR_SOL_QUEUE, DMTR_SO_INFO},
                   {SOL_SOCKET, SO_LINGER},
                   {SOL_SOCKET, SO_RCVBUF},
                   {SOL_SOCKET, SO_ERROR},
                   {IPPROTO_TCP, TCP_NODELAY},
                   {SOL_SOCKET, 12345},
                   {12345, 1}};
    struct shadow_queue *q = shadow_pick(in);
    uint8_t which = take_byte(in) % (sizeof options / sizeof *options), how = take_byte(in);
    union {
        int number;
        uint64_t limit;
        struct dmtr_queue_info info;
    } value = {.number = how >> 3};
    static const socklen_t sizes[] = {4, 8, 0, sizeof value};
    socklen_t size = sizes[how >> 1 & 3];
    if (!q) return;
    int r = how & 1 ? dmtr_setsockopt(q->qd, options[which].level, options[which].name, &value, size)
                    : dmtr_getsockopt(q->qd, options[which].level, options[which].name, &value, &size);
    must(is_socket(q) || r != 0 || options[which].level == DMTR_SOL_QUEUE);
    must(size <= sizeof value);
    documented(r);
}

static void call_shutdown(struct input *in) {
    struct shadow_queue *q = shadow_pick(in);
    uint8_t how = take_byte(in) % 4;
    if (!q) return;
    int r = dmtr_shutdown(q->qd, how);
    must(is_socket(q) || r == ENOTSOCK);
    must(r || how < 3);
    documented(r);
}

static void call_names(struct input *in) {
    struct shadow_queue *q = shadow_pick(in);
    struct sockaddr_in6 addr;
    socklen_t size = take_byte(in) % (sizeof addr + 1);
    if (!q) return;
    int r = size & 1 ? dmtr_getpeername(q->qd, (struct sockaddr *)&addr, &size)
                     : dmtr_getsockname(q->qd, (struct sockaddr *)&addr, &size);
    must(is_socket(q) || r == ENOTSOCK);
    documented(r);
}

/* Descriptors of nobody or of another runtime, and tokens that were never given. */
static void call_strangers(struct input *in) {
    struct shadow_queue *q = shadow_pick(in);
    struct shadow_token *t = shadow_pick_token(in);
    int qd = q ? q->qd ^ (1 << 21) : -1, out;
    dmtr_qtoken_t qt, stranger = (t ? t->qt : 1) ^ (dmtr_qtoken_t)1 << (32 + take_byte(in) % 32);
    dmtr_sgarray_t sga = {.sga_numsegs = 1};
    dmtr_qresult_t qr;
    must(dmtr_push(&qt, qd, &sga) == EBADF && dmtr_pop(&qt, qd) == EBADF && dmtr_accept(&qt, qd) == EBADF);
    must(dmtr_close(qd) == EBADF && dmtr_async_close(&qt, qd) == EBADF && dmtr_listen(qd, 1) == EBADF);
    must(dmtr_sort(&out, qd, shorter, NULL) == EBADF && dmtr_fsync(qd) == EBADF && dmtr_shutdown(qd, 0) == EBADF);
    must(dmtr_poll(&qr, stranger) == EINVAL && dmtr_wait_timed(&qr, stranger, 0) == EINVAL);
    must(dmtr_drop(stranger) == EINVAL && dmtr_drop(0) == EINVAL);
    sga.sga_numsegs = take_byte(in) & 1 ? 0 : DMTR_SGARRAY_MAXSIZE + 1;
    if (q) must(dmtr_push(&qt, q->qd, &sga) == EINVAL && dmtr_pop2(&qt, q->qd, 0) == EINVAL);
}

static int start(uint8_t how) {
    static char *const policies[] = {"wait.policy=adaptive", "wait.policy=spin", "wait.policy=block"};
    static char *const engines[] = {"posix.engine=epoll", "posix.engine=io_uring"};
    char *argv[] = {"fuzz",
                    "--dmtr-set",
                    "log.sink=none",
                    "--dmtr-set",
                    "stats.share=no",
                    "--dmtr-set",
                    NULL,
                    "--dmtr-set",
                    NULL,
                    "--dmtr-set",
                    NULL,
                    "--dmtr-set",
                    "core.linger_ms=2",
                    "--dmtr-set",
                    "posix.recv_buffers=8",
                    "--dmtr-set",
                    NULL,
                    "--dmtr-set",
                    NULL,
                    "--dmtr-set",
                    "posix.recv_buffer_bytes=512",
                    NULL};
    tight = how % 8 == 7;
    argv[6] = engines[have_io_uring && how & 8];
    argv[8] = policies[(how >> 4) % 3];
    argv[10] = "posix.ring_entries=16";
    argv[16] = tight ? "core.max_operations=16" : "core.max_operations=1024";
    argv[18] = tight ? "core.max_queues=4" : "core.max_queues=64";
    woken = false;
    return dmtr_init(sizeof argv / sizeof *argv - 1, argv);
}

static void call_restart(struct input *in) {
    must(dmtr_fini() == 0);
    must(dmtr_fini() == ENOSYS);
    shadow_clear();
    must(start(take_byte(in)) == 0 && dmtr_init(0, NULL) == EEXIST);
}

static void (*const calls[])(struct input *) = {
    call_queue,  call_operator, call_socket,   call_bind,     call_listen,    call_connect,   call_accept,
    call_push,   call_pushto,   call_pop,      call_open,     call_file,      call_close,     call_async_close,
    call_poll,   call_drop,     call_wait_any, call_wait_all, call_wait_next, call_timer,     call_watch,
    call_option, call_shutdown, call_names,    call_event_fd, call_wake,      call_strangers, call_restart,
};

/* Whether something is outstanding that must end once every queue is closed. */
static bool must_end(void) {
    for (uint32_t i = 0; i < shadow.tokens_len; i++) {
        dmtr_opcode_t opcode = shadow.tokens[i].opcode;
        if (opcode == DMTR_OPC_POP || opcode == DMTR_OPC_ACCEPT || opcode == DMTR_OPC_CONNECT) return true;
    }
    return false;
}

/* Everything closed: pops, accepts and connects all end. */
static void close_all(void) {
    for (int i = 0; shadow.queues_len || must_end(); i++) {
        must(i < ROUNDS_MAX);
        while (shadow.queues_len) {
            must(dmtr_close(shadow.queues[0].qd) == 0);
            shadow_closed(&shadow.queues[0]);
        }
        if (must_end()) take_next(8, MS_NS);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    file = memfd_create("dmtr-fuzz", MFD_CLOEXEC);
    must(file >= 0);
    waits_init();
    snprintf(file_path, sizeof file_path, "/proc/self/fd/%d", file);
    have_io_uring = true;
    have_io_uring = start(8) == 0 && dmtr_fini() == 0;
    if (!have_io_uring) must(start(0) == 0 && dmtr_fini() == 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {.data = data, .left = size};
    uint64_t used = heap_used();
    uint32_t fds = open_fds();
    must(ftruncate(file, 0) == 0);
    loopback(&stream_target, false);
    loopback(&datagram_target, false);
    must(start(take_byte(&in)) == 0);
    bool leave_open = take_byte(&in) & 1;
    for (int i = 0; i < CALLS_MAX && in.left && shadow.tokens_len < TOKENS_MAX; i++)
        calls[take_byte(&in) % (sizeof calls / sizeof *calls)](&in);
    if (!leave_open) close_all();
    must(dmtr_fini() == 0);
    shadow_clear();
    must(heap_used() == used && open_fds() == fds);
    return 0;
}
