/* SPDX-License-Identifier: MIT */
/* The runtimes of this process, by number. */
#include "core/registry.h"

#include "base/sys.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* fd_plus_one 0: no eventfd yet. One slot per cache line, so that wakes of one runtime do not slow down another. */
struct slot {
    _Alignas(64) atomic_bool used;
    atomic_bool woken;
    atomic_int fd_plus_one;
};

static struct slot slots[RUNTIME_MAX];

/*
 * A forked child inherits its parent's descriptors, and its wakes would reach the parent's threads. So the child closes
 * the eventfds; its copies of the parent's runtimes keep their numbers.
 */
static void leave_to_parent(void) {
    for (int id = 0; id < RUNTIME_MAX; id++) {
        int fd = atomic_exchange(&slots[id].fd_plus_one, 0) - 1;
        if (fd >= 0) close(fd);
    }
}

static bool forks_are_handled;

static void handle_forks(void) {
    forks_are_handled = pthread_atfork(NULL, NULL, leave_to_parent) == 0;
}

int registry_take(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (pthread_once(&once, handle_forks) != 0 || !forks_are_handled) return -ENOMEM;
    for (int id = 0; id < RUNTIME_MAX; id++) {
        struct slot *s = &slots[id];
        bool free = false;
        if (!atomic_compare_exchange_strong(&s->used, &free, true)) continue;
        if (atomic_load(&s->fd_plus_one) == 0) {
            int fd = SYS(eventfd, 0, EFD_CLOEXEC | EFD_NONBLOCK);
            if (fd < 0) {
                atomic_store(&s->used, false);
                return fd;
            }
            atomic_store(&s->fd_plus_one, fd + 1);
        }
        atomic_store(&s->woken, false);
        return id;
    }
    return -EMFILE;
}

void registry_give_back(uint32_t id) {
    registry_drain(registry_wake_fd(id));
    atomic_store(&slots[id].used, false);
}

int registry_wake_fd(uint32_t id) {
    return atomic_load(&slots[id].fd_plus_one) - 1;
}

void registry_drain(int wake_fd) {
    uint64_t count;
    /* A failure means that it is not readable, which is the aim. */
    ssize_t r = read(wake_fd, &count, sizeof count);
    (void)r;
}

int registry_wake(uint32_t id) {
    if (id >= RUNTIME_MAX || !atomic_load(&slots[id].used)) return -EINVAL;
    int saved_errno = errno;
    uint64_t one = 1;
    atomic_store(&slots[id].woken, true);
    /* Fails only if the eventfd is readable already. */
    ssize_t r = write(registry_wake_fd(id), &one, sizeof one);
    (void)r;
    errno = saved_errno;
    return 0;
}

bool registry_wake_pending(uint32_t id) {
    return atomic_load_explicit(&slots[id].woken, memory_order_relaxed);
}

bool registry_take_wake(uint32_t id) {
    return registry_wake_pending(id) && atomic_exchange(&slots[id].woken, false);
}
