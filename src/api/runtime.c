/* SPDX-License-Identifier: MIT */
/* Starting and ending a thread's runtime. */
#include "api/api.h"
#include "base/clock.h"
#include "base/thread_exit.h"
#include "core/registry.h"
#include "core/wait.h"
#include "dmtr/dmtr.h"
#include "libos/registry.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Thread_local struct dmtr_runtime *api_runtime;

static int start(const struct config *config, struct dmtr_runtime **rt_out) {
    const struct log log = {.level = (enum log_level)config->log_level, .sink = (enum log_sink)config->log_sink};
    const struct libos *libos = libos_want(config->libos, &log);
    if (!libos) return -EINVAL;
    struct dmtr_runtime *rt;
    int r = runtime_new(&rt, config);
    if (r) {
        log_error(&log, "cannot start a runtime: %s", strerror(-r));
        return r;
    }
    void *state;
    r = runtime_libos(rt, libos, &state);
    if (r) {
        runtime_delete(rt);
        return r;
    }
    *rt_out = rt;
    return 0;
}

static void end_runtime(void) {
    api_runtime->calls++; /* so that exit() in a signal handler does not end it a second time */
    runtime_delete(api_runtime);
    api_runtime = NULL;
}

/*
 * A process that ends by exit() or by returning from main closes its connections as dmtr_fini does. Only the runtime of
 * the exiting thread can be closed: the others may be in use. The runtime is left alone in a forked child, which has a
 * copy of its parent's runtime, and if a callback or a signal handler exits in the middle of a call.
 */
static void at_exit(void) {
    const struct dmtr_runtime *rt = api_runtime;
    if (rt && rt->calls == 0 && rt->pid == (int)getpid()) end_runtime();
}

/*
 * A thread that ends without dmtr_fini frees its runtime's number, memory and descriptors. It does not wait for
 * undelivered data, because a thread that joins it expects it to end.
 */
static void at_thread_exit(void *arg) {
    struct dmtr_runtime *rt = api_runtime;
    (void)arg;
    if (!rt || rt->calls > 0 || rt->pid != (int)getpid()) return;
    rt->config.linger_ms = 0;
    end_runtime();
}

static bool exit_is_handled;

static void handle_exit(void) {
    exit_is_handled = atexit(at_exit) == 0;
}

/* An atexit handler and no destructor of the library: when destructors run, what the handler needs may be gone. */
static bool at_exit_registered(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    return pthread_once(&once, handle_exit) == 0 && exit_is_handled;
}

int dmtr_init(int argc, char *argv[]) {
    if (api_runtime) return EEXIST;
    if (argc < 0 || (argc > 0 && !argv)) return EINVAL;
    struct config config;
    char error[CONFIG_ERROR_MAX];
    int r = config_load(&config, libos_option_groups, argc, argv, error);
    if (r) {
        const struct log log = {.level = LOG_LEVEL_ERROR, .sink = LOG_SINK_STDERR};
        log_error(&log, "%s", error);
        return -r;
    }
    if (!at_exit_registered() || !thread_exit_set(THREAD_EXIT_RUNTIME, at_thread_exit, NULL)) return ENOMEM;
    return -start(&config, &api_runtime);
}

int dmtr_fini(void) {
    if (!api_runtime) return ENOSYS;
    if (api_runtime->calls > 0)
        return EBUSY; /* in a callback or a signal handler: the interrupted call still uses the runtime */
    end_runtime();
    return 0;
}

_Static_assert((int)DMTR_LOG_ERROR == (int)LOG_LEVEL_ERROR && (int)DMTR_LOG_DEBUG == (int)LOG_LEVEL_DEBUG, "the same");

int dmtr_log(int level, const char *text) {
    API_RUNTIME(rt);
    if (!text || level < DMTR_LOG_ERROR || level > DMTR_LOG_DEBUG) return EINVAL;
    log_at(&rt->log, (enum log_level)level, "%s", text);
    return 0;
}

int dmtr_runtime_current(dmtr_runtime_t *runtime_out) {
    API_RUNTIME(rt);
    if (!runtime_out) return EINVAL;
    *runtime_out = rt->id;
    return 0;
}

int dmtr_wake(dmtr_runtime_t runtime) {
    return -registry_wake(runtime);
}

int dmtr_event_fd(int *fd_out) {
    API_RUNTIME(rt);
    if (!fd_out) return EINVAL;
    return -event_fd_get(rt, fd_out);
}

uint64_t dmtr_now_ns(void) {
    return clock_now_ns();
}
