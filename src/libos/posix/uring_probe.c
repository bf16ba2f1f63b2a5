/* SPDX-License-Identifier: MIT */
/* Creates the ring: checks the kernel's features and tries set-up flags, the best first. */
#include "libos/posix/uring.h"

#include <string.h>

/* Completions per submission entry: a multishot request has many. */
#define CQ_PER_SQ 4

/*
 * With the first flags the kernel works for this thread only when the thread enters it, and shows in shared memory that
 * there is work. With the second flags it works during any system call, so it may receive ahead until all buffers are
 * full.
 */
static const unsigned flag_choices[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG, /* Linux 6.1 */
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,  /* Linux 6.0 */
};

static int setup(unsigned entries, struct io_uring *ring, unsigned flags, unsigned *features) {
    struct io_uring_params p = {.flags = flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL,
                                .cq_entries = entries * CQ_PER_SQ};
    int error = FAULT_POINT("io_uring_setup");
    int r = error ? -error : io_uring_queue_init_params(entries, ring, &p);
    *features = p.features;
    return r;
}

static const char *setup_hint(int error) {
    switch (error) {
    case -ENOSYS:
        return "the kernel has no io_uring";
    case -EPERM:
        return "it is disabled (kernel.io_uring_disabled, or a seccomp filter)";
    case -ENOMEM:
        return "no memory, or RLIMIT_MEMLOCK is too low (ulimit -l)";
    case -EINVAL:
        return "the kernel is older than Linux 6.0";
    default:
        return strerror(-error);
    }
}

static int check_features(const struct uring *u, unsigned features, enum log_level level) {
    static const struct {
        unsigned bit;
        const char *name;
    } needed[] = {
        {IORING_FEAT_NODROP, "NODROP"},       {IORING_FEAT_EXT_ARG, "EXT_ARG"},
        {IORING_FEAT_FAST_POLL, "FAST_POLL"}, {IORING_FEAT_RW_CUR_POS, "RW_CUR_POS"},
        {IORING_FEAT_CQE_SKIP, "CQE_SKIP"},
    };
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        if (features & needed[i].bit) continue;
        log_at(&u->px->rt->log, level, "io_uring: the kernel lacks the feature %s", needed[i].name);
        return -EOPNOTSUPP;
    }
    return 0;
}

/* Multishot receive has no feature bit; it was added with SEND_ZC in Linux 6.0. */
static int check_operations(struct uring *u, enum log_level level) {
    struct io_uring_probe *probe = FAULT_POINT("io_uring_probe") ? NULL : io_uring_get_probe_ring(&u->ring);
    if (!probe) return -ENOMEM;
    u->zerocopy = u->zerocopy_reports = io_uring_opcode_supported(probe, IORING_OP_SEND_ZC) != 0;
    io_uring_free_probe(probe);
    if (u->zerocopy) return 0;
    log_at(&u->px->rt->log, level, "io_uring: the kernel has no multishot receive (Linux 6.0)");
    return -EOPNOTSUPP;
}

int uring_setup(struct uring *u, enum log_level level) {
    struct dmtr_runtime *rt = u->px->rt;
    unsigned features = 0;
    int r = -EINVAL;
    for (size_t i = 0; i < sizeof flag_choices / sizeof *flag_choices && r == -EINVAL; i++)
        r = setup((unsigned)u->px->options->ring_entries, &u->ring, flag_choices[i], &features);
    if (r) {
        log_at(&rt->log, level, "io_uring: cannot create a ring: %s", setup_hint(r));
        return r;
    }
    r = check_features(u, features, level);
    if (!r) r = check_operations(u, level);
    if (r) {
        io_uring_queue_exit(&u->ring);
        return r;
    }
    r = FAULT_POINT("io_uring_register");
    r = r ? -r : io_uring_register_ring_fd(&u->ring);
    if (r < 0) log_info(&rt->log, "io_uring: the ring's descriptor is not registered: %s", strerror(-r));
    return 0;
}
