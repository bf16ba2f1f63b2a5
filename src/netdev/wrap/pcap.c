/* SPDX-License-Identifier: MIT */
/*
 * Wrapper that writes all frames to a pcapng file (draft-ietf-opsawg-pcapng), one write per frame, so that the file can
 * be read while it grows. Times are of CLOCK_REALTIME, or virtual over a simulation. After a write error the file ends
 * with its last complete block, and the device keeps working.
 */
#include "netdev/options.h"
#include "netdev/wrap/wrapper.h"

#include "base/sys.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PATH_MAX_BYTES     256
#define LINKTYPE_ETHERNET  1
#define BLOCK_SECTION      0x0a0d0d0au
#define BLOCK_INTERFACE    1u
#define BLOCK_PACKET       6u
#define OPTION_END         0u
#define OPTION_FLAGS       2u /* of a packet */
#define OPTION_RESOLUTION  9u /* of an interface's timestamps */
#define DIRECTION_INBOUND  1u
#define DIRECTION_OUTBOUND 2u

struct pcap_device {
    struct netdev_wrapper wrapper;
    int file;                /* -1: a write failed */
    uint64_t complete_bytes; /* of the file, up to the end of its last complete block */
    uint64_t offset_ns;      /* from the caller's clock to the timestamps in the file */
    bool mapped;
    struct log log;
    char path[PATH_MAX_BYTES];
};

struct pcap_options {
    char file[PATH_MAX_BYTES];
};

static const struct netdev_option options_table[] = {
    {"file", NETDEV_OPTION_TEXT, offsetof(struct pcap_options, file), 0, PATH_MAX_BYTES, "PATH", NULL, NULL,
     "File to write, in the pcapng format; existing contents are replaced"},
};

/* Blocks as laid out in the file; byte_order tells readers the writer's byte order. */
struct file_start {
    uint32_t section_type, section_bytes, byte_order;
    uint16_t major, minor;
    uint64_t section_length;
    uint32_t section_bytes_again;
    uint32_t interface_type, interface_bytes;
    uint16_t linktype, reserved;
    uint32_t snap_bytes;
    uint16_t resolution_code, resolution_bytes;
    uint8_t resolution, pad[3];
    uint16_t end_code, end_bytes;
    uint32_t interface_bytes_again;
} __attribute__((packed));

struct packet_start {
    uint32_t type, bytes, interface, time_high, time_low, captured_bytes, frame_bytes;
};

struct packet_end {
    uint16_t flags_code, flags_bytes;
    uint32_t flags;
    uint16_t end_code, end_bytes;
    uint32_t bytes_again;
};

_Static_assert(sizeof(struct file_start) == 60 && sizeof(struct packet_start) == 28 && sizeof(struct packet_end) == 16,
               "no padding: the layout of the file");

/*
 * A write past RLIMIT_FSIZE, or to a pipe without a reader, raises a signal that kills by default. The kernel sends
 * both to this thread, so the signal is blocked and then consumed, unless it was pending before.
 */
static ssize_t write_without_signal(int file, const struct iovec *iov, int n) {
    sigset_t signals, before, pending;
    struct timespec at_once = {0};
    sigemptyset(&signals);
    sigaddset(&signals, SIGXFSZ);
    sigaddset(&signals, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &signals, &before);
    sigpending(&pending);
    ssize_t r = SYS(writev, file, iov, n);
    int raised = r == -EFBIG ? SIGXFSZ : r == -EPIPE ? SIGPIPE : 0;
    if (raised && !sigismember(&pending, raised)) {
        sigemptyset(&signals);
        sigaddset(&signals, raised);
        (void)sigtimedwait(&signals, NULL, &at_once); /* fails if none was raised */
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

/*
 * Writes all bytes. After a short write it writes the rest, which also finds the reason. Returns 0 or a negative errno.
 */
static int write_block(int file, struct iovec *iov, int n, size_t bytes) {
    while (bytes > 0) {
        ssize_t r = write_without_signal(file, iov, n);
        if (r <= 0) return r < 0 ? (int)r : -EIO;
        bytes -= (size_t)r;
        for (; n > 0 && (size_t)r >= iov->iov_len; n--, iov++)
            r -= (ssize_t)iov->iov_len;
        if (n > 0) *iov = (struct iovec){(char *)iov->iov_base + r, iov->iov_len - (size_t)r};
    }
    return 0;
}

static int write_start(int file) {
    struct file_start s = {
        .section_type = BLOCK_SECTION,
        .section_bytes = 28,
        .byte_order = 0x1a2b3c4d,
        .major = 1,
        .section_length = UINT64_MAX, /* unknown */
        .section_bytes_again = 28,
        .interface_type = BLOCK_INTERFACE,
        .interface_bytes = 32,
        .linktype = LINKTYPE_ETHERNET,
        .resolution_code = OPTION_RESOLUTION,
        .resolution_bytes = 1,
        .resolution = 9, /* nanoseconds */
        .end_code = OPTION_END,
        .interface_bytes_again = 32,
    };
    return write_block(file, &(struct iovec){&s, sizeof s}, 1, sizeof s);
}

/* Truncates the file to whole blocks: readers would reject a file with a partial block. */
static void end_capture(struct pcap_device *d, int error) {
    int r = SYS(ftruncate, d->file, (off_t)d->complete_bytes);
    log_error(&d->log, "pcap: %s: %s; %s", d->path, strerror(-error),
              r == 0 ? "the capture ends here" : "the capture ends here, with a partial block");
    close(d->file);
    d->file = -1;
}

/* Maps the caller's clock, which may be any, to the time of day at the first frame. */
static uint64_t file_time_ns(struct pcap_device *d, uint64_t now_ns) {
    if (!d->mapped) {
        struct timespec day;
        clock_gettime(CLOCK_REALTIME, &day);
        d->offset_ns = (uint64_t)day.tv_sec * 1000000000u + (uint64_t)day.tv_nsec - now_ns;
        if (d->wrapper.dev.virtual_time) d->offset_ns = 0;
        d->mapped = true;
    }
    return now_ns + d->offset_ns;
}

static void write_frame(struct pcap_device *d, const struct netdev_frame *f, uint32_t direction, uint64_t now_ns) {
    static const char zeros[4];
    uint32_t pad = -f->bytes & 3,
             bytes = (uint32_t)(sizeof(struct packet_start) + sizeof(struct packet_end)) + f->bytes + pad;
    uint64_t time_ns = file_time_ns(d, now_ns);
    struct packet_start start = {BLOCK_PACKET,      bytes,    0,       (uint32_t)(time_ns >> 32),
                                 (uint32_t)time_ns, f->bytes, f->bytes};
    struct packet_end end = {OPTION_FLAGS, 4, direction, OPTION_END, 0, bytes};
    struct iovec iov[NETDEV_SEGS_MAX + 3] = {{&start, sizeof start}};
    int n = 1, r;
    if (f->segs_count > NETDEV_SEGS_MAX) return; /* the device has refused it */
    if (d->file < 0) {
        d->wrapper.dev.stats.capture_lost++;
        return;
    }
    for (uint32_t i = 0; i < f->segs_count; i++)
        iov[n++] = (struct iovec){(void *)(uintptr_t)f->segs[i].data, f->segs[i].bytes};
    iov[n++] = (struct iovec){(void *)(uintptr_t)zeros, pad};
    iov[n++] = (struct iovec){&end, sizeof end};
    r = write_block(d->file, iov, n, bytes);
    if (r == 0) {
        d->complete_bytes += bytes;
        return;
    }
    d->wrapper.dev.stats.capture_lost++;
    end_capture(d, r);
}

static int pcap_rx(struct netdev *dev, struct netdev_buffer *frames, uint32_t n, uint64_t now_ns) {
    struct pcap_device *d = (struct pcap_device *)dev;
    int count = wrapper_rx(&d->wrapper, frames, n, now_ns);
    for (int i = 0; i < count; i++) {
        struct netdev_seg seg = {frames[i].data, frames[i].bytes};
        write_frame(d, &(struct netdev_frame){.segs = &seg, .segs_count = 1, .bytes = seg.bytes}, DIRECTION_INBOUND,
                    now_ns);
    }
    return count;
}

static int pcap_tx(struct netdev *dev, const struct netdev_frame *frames, uint32_t n, uint64_t now_ns) {
    struct pcap_device *d = (struct pcap_device *)dev;
    int count = wrapper_tx(&d->wrapper, frames, n, now_ns);
    for (int i = 0; i < count; i++)
        write_frame(d, &frames[i], DIRECTION_OUTBOUND, now_ns);
    return count;
}

static void pcap_close(struct netdev *dev) {
    struct pcap_device *d = (struct pcap_device *)dev;
    netdev_close(d->wrapper.lower);
    if (d->file >= 0) close(d->file);
    sys_free(d);
}

static int pcap_open(const struct netdev_args *args, struct netdev **dev) {
    struct pcap_options o = {0};
    struct pcap_device *d;
    int r = netdev_options(args, options_table, sizeof options_table / sizeof *options_table, &o), file;
    if (r < 0) return r;
    file = SYS(open, o.file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    r = file < 0 ? file : write_start(file);
    d = r == 0 ? sys_calloc(1, sizeof *d) : NULL;
    if (!d) {
        if (file >= 0) close(file);
        if (r == 0) r = -ENOMEM;
        return netdev_refuse(args, r, "pcap: %s: %s", o.file, strerror(-r));
    }
    wrapper_init(&d->wrapper, &netdev_pcap, args->lower);
    d->file = file;
    d->complete_bytes = sizeof(struct file_start);
    d->log = args->log ? *args->log : (struct log){.sink = LOG_SINK_NONE};
    memcpy(d->path, o.file, sizeof d->path);
    *dev = &d->wrapper.dev;
    return 0;
}

const struct netdev_ops netdev_pcap = {
    .name = "pcap",
    .text = "A wrapper that writes all frames to a file, with the time of day, or over sim with the virtual time",
    .options = options_table,
    .options_count = sizeof options_table / sizeof *options_table,
    .wraps = true,
    .open = pcap_open,
    .close = pcap_close,
    .rx = pcap_rx,
    .tx = pcap_tx,
    .prepare = wrapper_prepare,
    .claim = wrapper_claim,
    .own = wrapper_own,
    .update = wrapper_update,
    .next_ns = wrapper_next_ns,
};
