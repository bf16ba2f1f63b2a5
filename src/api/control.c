/* SPDX-License-Identifier: MIT */
/* Control path: creates, names, configures and closes queues. */
#include "api/api.h"
#include "core/libos.h"
#include "dmtr/libos.h"
#include "libos/memory/memory.h"
#include "libos/registry.h"

#include <fcntl.h>
#include <netinet/in.h>

/* Assigns a descriptor to a new queue; closes the queue if that fails. */
static int open_fresh(struct queue *q, int *qd_out) {
    int r = queue_open(q);
    if (r) {
        queue_close(q, NULL);
        return -r;
    }
    *qd_out = q->qd;
    return 0;
}

int dmtr_socket_on(int *qd_out, const char *network, int domain, int type, int protocol) {
    API_RUNTIME(rt);
    if (!qd_out || !network) return EINVAL;
    if (domain != AF_INET && domain != AF_INET6) return EAFNOSUPPORT;
    if (type != SOCK_STREAM && type != SOCK_DGRAM) return ESOCKTNOSUPPORT;
    if (protocol && protocol != (type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP)) return EPROTONOSUPPORT;
    const struct libos *libos = libos_want(network, &rt->log);
    if (!libos || !libos->socket) return ENODEV;
    void *state;
    int r = runtime_libos(rt, libos, &state);
    if (r) return -r;
    struct queue *q;
    r = libos->socket(rt, state, domain, type, protocol, &q);
    return r ? -r : open_fresh(q, qd_out);
}

int dmtr_socket(int *qd_out, int domain, int type, int protocol) {
    API_RUNTIME(rt);
    return dmtr_socket_on(qd_out, rt->config.libos, domain, type, protocol);
}

int dmtr_handover(int *qd_out) {
    API_RUNTIME(rt);
    if (!qd_out) return EINVAL;
    const struct libos *libos = libos_find(rt->config.libos);
    if (!libos || !libos->handover) return EOPNOTSUPP;
    void *state;
    int r = runtime_libos(rt, libos, &state);
    if (r) return -r;
    struct queue *q;
    r = libos->handover(rt, state, &q);
    return r ? -r : open_fresh(q, qd_out);
}

int dmtr_transfer(int qd, dmtr_runtime_t runtime) {
    API_QUEUE(rt, q, qd);
    if (!q->ops->transfer) return EOPNOTSUPP;
    if (runtime == rt->id) return EINVAL;
    int r = q->ops->transfer(q, runtime);
    if (!r) queue_close(q, NULL);
    return -r;
}

/* Whether an address argument is present and long enough to have a family. */
static bool address_given(const struct sockaddr *addr, socklen_t size) {
    return addr && size >= sizeof addr->sa_family;
}

int dmtr_bind(int qd, const struct sockaddr *saddr, socklen_t size) {
    API_QUEUE(rt, q, qd);
    if (!q->ops->socket) return ENOTSOCK;
    if (!address_given(saddr, size)) return EINVAL;
    return q->ops->bind ? -q->ops->bind(q, saddr, size) : EOPNOTSUPP;
}

int dmtr_listen(int qd, int backlog) {
    API_QUEUE(rt, q, qd);
    if (!q->ops->socket) return ENOTSOCK;
    return q->ops->listen ? -q->ops->listen(q, backlog) : EOPNOTSUPP;
}

int dmtr_getsockname(int qd, struct sockaddr *saddr, socklen_t *size) {
    API_QUEUE(rt, q, qd);
    if (!saddr || !size) return EINVAL;
    if (!q->ops->socket) return ENOTSOCK;
    return q->ops->getsockname ? -q->ops->getsockname(q, saddr, size) : EOPNOTSUPP;
}

int dmtr_getpeername(int qd, struct sockaddr *saddr, socklen_t *size) {
    API_QUEUE(rt, q, qd);
    if (!saddr || !size) return EINVAL;
    if (!q->ops->socket) return ENOTSOCK;
    return q->ops->getpeername ? -q->ops->getpeername(q, saddr, size) : EOPNOTSUPP;
}

int dmtr_shutdown(int qd, int how) {
    API_QUEUE(rt, q, qd);
    if (!q->ops->socket) return ENOTSOCK;
    if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) return EINVAL;
    return q->ops->shutdown ? -q->ops->shutdown(q, how) : EOPNOTSUPP;
}

int dmtr_setsockopt(int qd, int level, int name, const void *value, socklen_t size) {
    API_QUEUE(rt, q, qd);
    if (!value) return EINVAL;
    return -queue_setsockopt(q, level, name, value, size);
}

int dmtr_getsockopt(int qd, int level, int name, void *value, socklen_t *size) {
    API_QUEUE(rt, q, qd);
    if (!value || !size) return EINVAL;
    return -queue_getsockopt(q, level, name, value, size);
}

int dmtr_queue(int *qd_out) {
    API_RUNTIME(rt);
    if (!qd_out) return EINVAL;
    struct queue *q;
    int r = memory_queue_new(rt, &q);
    return r ? -r : open_fresh(q, qd_out);
}

int dmtr_merge(int *qd_out, int qd1, int qd2) {
    API_QUEUE(rt, q1, qd1);
    struct queue *q2 = queue_find(rt, qd2), *q;
    if (!q2) return EBADF;
    if (!qd_out || q1 == q2) return EINVAL;
    int r = merge_queue_new(q1, q2, &q);
    return r ? -r : open_fresh(q, qd_out);
}

int dmtr_filter(int *qd_out, int qd1, dmtr_filter_fn fn, void *arg) {
    API_QUEUE(rt, q1, qd1);
    if (!qd_out || !fn) return EINVAL;
    struct queue *q;
    int r = filter_queue_new(q1, fn, arg, &q);
    return r ? -r : open_fresh(q, qd_out);
}

int dmtr_sort(int *qd_out, int qd1, dmtr_less_fn less, void *arg) {
    API_QUEUE(rt, q1, qd1);
    if (!qd_out || !less) return EINVAL;
    struct queue *q;
    int r = sort_queue_new(q1, less, arg, &q);
    return r ? -r : open_fresh(q, qd_out);
}

int dmtr_map(int *qd_out, int qd1, dmtr_map_fn fn, void *arg) {
    API_QUEUE(rt, q1, qd1);
    if (!qd_out || !fn) return EINVAL;
    struct queue *q;
    int r = map_queue_new(q1, fn, arg, &q);
    return r ? -r : open_fresh(q, qd_out);
}

int dmtr_qconnect(int qd_in, int qd_out) {
    API_QUEUE(rt, in, qd_in);
    struct queue *out = queue_find(rt, qd_out);
    if (!out) return EBADF;
    if (in == out) return EINVAL;
    int r = forward_new(in, out);
    runtime_event_sync(rt);
    return -r;
}

/* The first libos in the table that can open files does so. */
static const struct libos *libos_with_files(void) {
    const struct libos *libos;
    for (size_t i = 0; (libos = libos_at(i)); i++)
        if (libos->open) return libos;
    return NULL;
}

int dmtr_open2(int *qd_out, const char *pathname, int flags, mode_t mode) {
    API_RUNTIME(rt);
    if (!qd_out || !pathname) return EINVAL;
    const struct libos *libos = libos_with_files();
    if (!libos) return ENODEV;
    void *state;
    int r = runtime_libos(rt, libos, &state);
    if (r) return -r;
    struct queue *q;
    r = libos->open(rt, state, pathname, flags, mode, &q);
    return r ? -r : open_fresh(q, qd_out);
}

int dmtr_open(int *qd_out, const char *pathname, int flags) {
    return dmtr_open2(qd_out, pathname, flags, 0666);
}

int dmtr_creat(int *qd_out, const char *pathname, mode_t mode) {
    return dmtr_open2(qd_out, pathname, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int dmtr_lseek(int qd, off_t offset, int whence, off_t *offset_out) {
    API_QUEUE(rt, q, qd);
    if (!offset_out) return EINVAL;
    return q->ops->lseek ? -q->ops->lseek(q, offset, whence, offset_out) : ESPIPE;
}

int dmtr_truncate(int qd, off_t length) {
    API_QUEUE(rt, q, qd);
    if (length < 0) return EINVAL;
    return q->ops->truncate ? -q->ops->truncate(q, length) : ESPIPE;
}

int dmtr_fsync(int qd) {
    API_QUEUE(rt, q, qd);
    return q->ops->fsync ? -q->ops->fsync(q) : ESPIPE;
}

int dmtr_close(int qd) {
    API_QUEUE(rt, q, qd);
    queue_close(q, NULL);
    runtime_event_sync(rt);
    return 0;
}

int dmtr_set_user(int qd, void *user) {
    API_QUEUE(rt, q, qd);
    q->user = user;
    return 0;
}

int dmtr_is_qd_valid(int *flag_out, int qd) {
    API_RUNTIME(rt);
    if (!flag_out) return EINVAL;
    *flag_out = queue_find(rt, qd) != NULL;
    return 0;
}
