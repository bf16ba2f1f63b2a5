/* SPDX-License-Identifier: MIT */
/* One pthread key runs all exit handlers of a thread. */
#include "base/thread_exit.h"

#include <pthread.h>
#include <stddef.h>

struct handler {
    void (*fn)(void *arg);
    void *arg;
};

static _Thread_local struct handler handlers[THREAD_EXIT_COUNT];

static struct {
    pthread_once_t once;
    pthread_key_t key;
    bool created;
} exit_key = {.once = PTHREAD_ONCE_INIT};

/* Clears each handler before it runs, so that a handler may set another one. */
static void run(void *arg) {
    (void)arg;
    for (int i = 0; i < THREAD_EXIT_COUNT; i++) {
        struct handler h = handlers[i];
        handlers[i].fn = NULL;
        if (h.fn) h.fn(h.arg);
    }
}

static void make_key(void) {
    exit_key.created = pthread_key_create(&exit_key.key, run) == 0;
}

bool thread_exit_set(enum thread_exit which, void (*fn)(void *arg), void *arg) {
    if (pthread_once(&exit_key.once, make_key) != 0 || !exit_key.created) return false;
    handlers[which] = (struct handler){fn, arg};
    return pthread_setspecific(exit_key.key, handlers) == 0;
}
