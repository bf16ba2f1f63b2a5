/* SPDX-License-Identifier: MIT */
/* DPDK's environment (EAL), which the first device starts, once per process. Its log messages go to our log. */
#include "netdev/dpdk/dpdk.h"

#include "base/sys.h"

#include <pthread.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX    64
#define MESSAGE_MAX  160
#define HUGE_NEEDED  96 /* pages of 2 MiB */
#define HUGE_COUNTER "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"

static struct {
    pthread_mutex_t lock;
    bool started;
    struct log log;
    char message[MESSAGE_MAX]; /* the last error logged */
} eal = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- log ---- */

static enum log_level level_of(int dpdk_level) {
    if (dpdk_level <= (int)RTE_LOG_ERR) return LOG_LEVEL_ERROR;
    if (dpdk_level <= (int)RTE_LOG_WARNING) return LOG_LEVEL_WARN;
    return dpdk_level <= (int)RTE_LOG_INFO ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;
}

/*
 * Logs DPDK's errors as info, because many come from attempts that are later replaced by one that works. We report the
 * errors that matter.
 */
static ssize_t write_log(void *ctx, const char *text, size_t bytes) {
    enum log_level level = level_of(rte_log_cur_msg_loglevel());
    int len = (int)bytes;
    (void)ctx;
    while (len > 0 && text[len - 1] == '\n')
        len--;
    if (level == LOG_LEVEL_ERROR) snprintf(eal.message, sizeof eal.message, "%.*s", len, text);
    if (level < LOG_LEVEL_INFO) level = LOG_LEVEL_INFO;
    log_at(&eal.log, level, "dpdk: %.*s", len, text);
    return (ssize_t)bytes;
}

static FILE *open_log(void) {
    static const cookie_io_functions_t functions = {.write = write_log};
    FILE *f = fopencookie(NULL, "w", functions);
    if (!f) return NULL;
    setlinebuf(f);
    rte_openlog_stream(f);
    return f;
}

/* ---- arguments ---- */

static long free_hugepages(void) {
    long n = 0;
    FILE *f = fopen(HUGE_COUNTER, "re");
    if (!f) return 0;
    if (fscanf(f, "%ld", &n) != 1) n = 0;
    fclose(f);
    return n;
}

struct words {
    char *word[WORDS_MAX];
    int count;
    char text[DPDK_TEXT_MAX], lcores[32], allow[DPDK_PORT_MAX];
};

static bool add(struct words *w, char *word) {
    if (w->count == WORDS_MAX - 1) return false;
    w->word[w->count++] = word;
    return true;
}

/* Splits text at spaces. A semicolon stands for a comma, because commas separate our own options. */
static bool split(struct words *w, const char *text) {
    char *at;
    snprintf(w->text, sizeof w->text, "%s", text);
    for (at = w->text; *at; at++)
        if (*at == ';') *at = ',';
    for (char *word = strtok_r(w->text, " ", &at); word; word = strtok_r(NULL, " ", &at))
        if (!add(w, word)) return false;
    return true;
}

/* DPDK binds its threads to processors; pass it one that we may use. */
static void choose_processor(struct words *w, const cpu_set_t *allowed) {
    int cpu = 0;
    while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, allowed))
        cpu++;
    snprintf(w->lcores, sizeof w->lcores, "--lcores=0@%d", cpu);
    add(w, w->lcores);
}

static bool is_pci(const char *name) {
    unsigned domain, bus, device, function;
    return sscanf(name, "%x:%x:%x.%x", &domain, &bus, &device, &function) == 4 ||
           sscanf(name, "%x:%x.%x", &bus, &device, &function) == 3;
}

/*
 * Frames are in our heap, so DPDK needs its own hugepages only for the rings of hardware devices. Without free
 * hugepages it uses ordinary pages.
 */
static bool choose(struct words *w, const struct dpdk_options *o, const cpu_set_t *allowed) {
    static char in_memory[] = "--in-memory", no_huge[] = "--no-huge", no_conf[] = "--no-shconf", no_pci[] = "--no-pci",
                megabytes[] = "-m", size[] = "192", va[] = "--iova-mode=va";
    choose_processor(w, allowed);
    if (free_hugepages() >= HUGE_NEEDED) {
        add(w, in_memory);
    } else {
        add(w, no_huge);
        add(w, no_conf);
    }
    add(w, megabytes);
    add(w, size);
    if (!is_pci(o->port)) return add(w, no_pci) && add(w, va);
    snprintf(w->allow, sizeof w->allow, "%s", o->port);
    static char allow[] = "-a";
    return add(w, allow) && add(w, w->allow);
}

/* ---- start ---- */

static const struct {
    int error;
    const char *remedy;
} remedies[] = {
    {EACCES, "DPDK lacks privileges: run as root, or with CAP_IPC_LOCK and access to /dev/vfio"},
    {EPERM, "DPDK lacks privileges: run as root, or with CAP_IPC_LOCK and access to /dev/vfio"},
    {ENOMEM, "DPDK cannot allocate memory: sysctl -w vm.nr_hugepages=128, or eal=--no-huge -m 192"},
    {ENODEV, "DPDK finds no driver: install librte-net drivers (package libdpdk-dev) or bind the device to vfio-pci"},
    {EINVAL, "DPDK rejects its arguments: see eal="},
};

const char *dpdk_last_error(void) {
    return eal.message[0] ? eal.message : "DPDK gives no reason";
}

static int refuse(const struct netdev_args *args, int error) {
    const char *remedy = "DPDK does not start: see eal=";
    for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++)
        if (remedies[i].error == error) remedy = remedies[i].remedy;
    return netdev_refuse(args, -error, "dpdk: %s; %s", remedy, dpdk_last_error());
}

static int start(const struct netdev_args *args, const struct dpdk_options *o) {
    static char name[] = "dmtr", no_telemetry[] = "--no-telemetry";
    static struct words w; /* DPDK keeps pointers into it */
    FILE *log, *before = rte_log_get_stream();
    cpu_set_t allowed;
    int r, error;
    w.count = 0;
    add(&w, name);
    add(&w, no_telemetry);
    CPU_ZERO(&allowed);
    r = SYS(sched_getaffinity, 0, sizeof allowed, &allowed);
    if (r < 0) return r;
    if (!(o->eal[0] ? split(&w, o->eal) : choose(&w, o, &allowed)))
        return netdev_refuse(args, -E2BIG, "dpdk: eal= has more than %d words", WORDS_MAX);
    log = open_log();
    if (!log) return -ENOMEM;
    r = rte_eal_init(w.count, w.word);
    error = r < 0 ? rte_errno : 0;
    if (error) { /* also if another user of DPDK has set a log stream */
        rte_openlog_stream(before);
        fclose(log);
    }
    (void)SYS(sched_setaffinity, 0, sizeof allowed, &allowed);
    if (error && error != EALREADY) return refuse(args, error);
    log_info(&eal.log, "dpdk: %s; it has %s", error ? "already started by another user in the process" : "started",
             rte_eal_has_hugepages() ? "hugepages" : "no hugepages, which costs TLB misses on its rings");
    return 0;
}

int dpdk_eal_start(const struct netdev_args *args, const struct dpdk_options *o) {
    int r = 0;
    pthread_mutex_lock(&eal.lock);
    if (!eal.started) {
        eal.log = args->log ? *args->log : (struct log){.sink = LOG_SINK_NONE};
        r = start(args, o);
        eal.started = r == 0;
    }
    pthread_mutex_unlock(&eal.lock);
    return r;
}
