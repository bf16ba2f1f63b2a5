/* SPDX-License-Identifier: MIT */
/* Address space, chunks, units and devices. */
#include "mem/region.h"

#include "base/sys.h"
#include "mem/poison.h"
#include "mem/slab_layout.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define REGION_DEFAULT_BYTES ((size_t)64 << 30)
#define REGION_MIN_BYTES     (CHUNK_BYTES * 8)
#define CHUNKS_KEPT          8u  /* free chunks that stay mapped */
#define DEVICES_MAX          16u /* at most 32: one bit each in a word */
#define ALL_UNITS            0xffffffffu

_Static_assert(CHUNK_BYTES / HEAP_UNIT_BYTES == UNITS_PER_CHUNK, "units fill a chunk");

enum huge_policy { HUGE_AUTO, HUGE_ALWAYS, HUGE_NEVER };

struct chunk {
    uint32_t free;    /* bit per unit */
    uint32_t dirty;   /* bit per unit that may hold non-zero bytes */
    uint32_t devices; /* bit per device that has mapped the chunk */
    enum { CHUNK_ABSENT, CHUNK_MAPPING, CHUNK_MAPPED } state;
    bool huge;
};

struct region region;

/*
 * Recursive by hand, because code between our fork handlers may allocate; and usable before any constructor runs, for
 * which C libraries other than glibc have no recursive initialiser.
 */
static struct {
    pthread_mutex_t mutex;
    _Atomic(const char *) owner; /* the thread's &own; NULL: unlocked */
    uint32_t depth;
} lock = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local char own;

static struct {
    struct chunk *chunks;
    uint32_t chunk_count;
    uint32_t chunk_end;  /* no chunk from this one on is mapped */
    uint32_t free_first; /* no chunk below this one has a free unit */
    uint32_t mapped, huge, wholly_free;
    uint32_t pinned_end, pins; /* chunks below pinned_end stay mapped while pins > 0 */
    enum huge_policy huge_policy;
    struct heap_device devices[DEVICES_MAX]; /* map is NULL: free */
} state;

void region_lock(void) {
    if (atomic_load_explicit(&lock.owner, memory_order_relaxed) != &own) {
        pthread_mutex_lock(&lock.mutex);
        atomic_store_explicit(&lock.owner, &own, memory_order_relaxed);
    }
    lock.depth++;
}

void region_unlock(void) {
    if (--lock.depth > 0) return;
    atomic_store_explicit(&lock.owner, NULL, memory_order_relaxed);
    pthread_mutex_unlock(&lock.mutex);
}

/* The child's only thread is the one that took the lock, under a thread id that is no longer its own. */
static void reset_lock(void) {
    lock.mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    atomic_store_explicit(&lock.owner, NULL, memory_order_relaxed);
    lock.depth = 0;
}

/* Registered at load time and not at first use, because pthread_atfork may itself allocate. */
__attribute__((constructor)) static void register_fork_handlers(void) {
    pthread_atfork(region_lock, region_unlock, reset_lock);
}

/* ---- address space ---- */

static size_t wanted_bytes(void) {
    size_t bytes = REGION_DEFAULT_BYTES;
    const char *text = secure_getenv("DMTR_HEAP_MAX_BYTES");
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    if (text) {
        char *end;
        unsigned long long value = strtoull(text, &end, 10);
        if (end != text && *end == '\0' && value >= REGION_MIN_BYTES) bytes = (size_t)value;
    }
    /* A third, because the counts take half as much again and the rest of the program needs address space too. */
    (void)SYS(getrlimit, RLIMIT_AS, &limit); /* on failure there is no limit */
    if (limit.rlim_cur / 3 < bytes) bytes = limit.rlim_cur / 3;
    return bytes / CHUNK_BYTES * CHUNK_BYTES;
}

static enum huge_policy wanted_huge(void) {
    const char *text = secure_getenv("DMTR_HEAP_HUGEPAGES");
    if (text && strcmp(text, "always") == 0) return HUGE_ALWAYS;
    if (text && strcmp(text, "never") == 0) return HUGE_NEVER;
    return HUGE_AUTO;
}

/* One reservation for the region and all its descriptors: it succeeds or fails as a whole. */
static int reserve(size_t bytes) {
    size_t units = bytes / HEAP_UNIT_BYTES, chunks = bytes / CHUNK_BYTES;
    size_t tables = units * sizeof *region.slabs + chunks * sizeof *state.chunks;
    size_t tables_room = (tables + CHUNK_BYTES - 1) / CHUNK_BYTES * CHUNK_BYTES;
    size_t per_unit = sizeof *region.descriptors + LISTS_STRIDE + COUNTS_STRIDE;
    size_t total = bytes + tables_room + units * per_unit + CHUNK_BYTES;
    int error;
    char *p = sys_map(total, PROT_NONE, MAP_NORESERVE, &error);
    if (!p) return -error;
    char *base = (char *)(((uintptr_t)p + CHUNK_BYTES - 1) & ~(CHUNK_BYTES - 1));
    char *table = base + bytes;
    if (SYS(mprotect, table, tables_room, PROT_READ | PROT_WRITE) < 0) {
        munmap(p, total);
        return -ENOMEM;
    }
    region.slabs = (void *)table;
    state.chunks = (void *)(table + units * sizeof *region.slabs);
    region.descriptors = (void *)(table + tables_room);
    region.lists = (char *)(region.descriptors + units);
    region.counts = region.lists + units * LISTS_STRIDE;
    state.chunk_count = (uint32_t)chunks;
    atomic_store_explicit(&region.base, base, memory_order_relaxed);
    atomic_store_explicit(&region.bytes, bytes, memory_order_release);
    return 0;
}

int region_init(void) {
    if (region.bytes) return 0;
    state.huge_policy = wanted_huge();
    for (size_t bytes = wanted_bytes(); bytes >= REGION_MIN_BYTES; bytes = bytes / 2 / CHUNK_BYTES * CHUNK_BYTES)
        if (reserve(bytes) == 0) return 0;
    return -ENOMEM;
}

/* ---- chunks ---- */

/* Makes the pages under [p, p + bytes) accessible. */
static int commit(void *p, size_t bytes) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = (uintptr_t)p & ~(page - 1), to = ((uintptr_t)p + bytes + page - 1) & ~(page - 1);
    return SYS(mprotect, (void *)from, to - from, PROT_READ | PROT_WRITE);
}

/*
 * A chunk's descriptors stay accessible when the chunk is unmapped: they are small, and a late free must find NULL
 * instead of faulting.
 */
static int commit_descriptors(uint32_t first_unit, uint32_t units) {
    int r = commit(&region.descriptors[first_unit], units * sizeof *region.descriptors);
    if (r == 0) r = commit(region.lists + first_unit * LISTS_STRIDE, units * LISTS_STRIDE);
    if (r == 0) r = commit(region.counts + first_unit * COUNTS_STRIDE, units * COUNTS_STRIDE);
    return r;
}

/*
 * Backs the range with hugepages of the kernel's pool. Maps them elsewhere and moves them, because a mapping that fails
 * over an existing one may leave a hole in the reservation.
 */
static int back_with_hugepages(char *at, size_t bytes) {
    int error;
    char *p = sys_map(bytes, PROT_READ | PROT_WRITE, MAP_HUGETLB, &error);
    if (!p) return -error;
    if (!FAULT_POINT("mremap") && mremap(p, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, at) == at) return 0;
    munmap(p, bytes);
    return -ENOMEM;
}

static int back_chunks(char *at, size_t bytes, bool *huge) {
    *huge = state.huge_policy != HUGE_NEVER && back_with_hugepages(at, bytes) == 0;
    if (*huge) return 0;
    if (state.huge_policy == HUGE_ALWAYS) return -ENOMEM;
    int r = SYS(mprotect, at, bytes, PROT_READ | PROT_WRITE);
    if (r < 0) return -ENOMEM;
    if (state.huge_policy == HUGE_AUTO)
        (void)SYS(madvise, at, bytes, MADV_HUGEPAGE); /* only advice: the kernel may not know it */
    return 0;
}

static char *chunk_at(uint32_t chunk) {
    return region_base() + chunk * CHUNK_BYTES;
}

/* ---- mapping one chunk for devices ---- */

static void device_unmap(uint32_t device, uint32_t chunk) {
    struct heap_device *d = &state.devices[device];
    if (!(state.chunks[chunk].devices & 1u << device)) return;
    d->unmap(d->ctx, chunk_at(chunk), CHUNK_BYTES);
    state.chunks[chunk].devices &= ~(1u << device);
}

/* A device that is being added may have mapped the chunk already: its map allocated memory, and the heap grew. */
static int device_map(uint32_t device, uint32_t chunk) {
    struct heap_device *d = &state.devices[device];
    if (!d->map || state.chunks[chunk].devices & 1u << device) return 0;
    int r = d->map(d->ctx, chunk_at(chunk), CHUNK_BYTES);
    if (r == 0) state.chunks[chunk].devices |= 1u << device;
    return r;
}

/* ---- mapping and unmapping chunks ---- */

static void chunk_unmap(uint32_t chunk) {
    struct chunk *c = &state.chunks[chunk];
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    int error;
    for (uint32_t i = 0; i < DEVICES_MAX; i++)
        device_unmap(i, chunk);
    state.mapped--;
    if (c->huge) state.huge--;
    *c = (struct chunk){.state = CHUNK_ABSENT};
    if (sys_mmap(chunk_at(chunk), CHUNK_BYTES, PROT_NONE, flags, -1, &error)) return;
    /* The process has reached its limit of mappings. */
    (void)SYS(madvise, chunk_at(chunk), CHUNK_BYTES, MADV_DONTNEED);
    c->dirty = ALL_UNITS;
}

/*
 * Maps chunks [first, end), all of them CHUNK_MAPPING; the caller owns their units. A failure leaves all of them
 * ABSENT. A device's map may allocate; it cannot get units of these chunks, because none is free yet.
 */
static int chunks_map(uint32_t first, uint32_t end) {
    bool huge = false;
    int r = commit_descriptors(first * UNITS_PER_CHUNK, (end - first) * UNITS_PER_CHUNK);
    if (r == 0) r = back_chunks(chunk_at(first), (end - first) * CHUNK_BYTES, &huge);
    if (r < 0) {
        for (uint32_t i = first; i < end; i++)
            state.chunks[i].state = CHUNK_ABSENT;
        return -ENOMEM;
    }
    poison(chunk_at(first), (end - first) * CHUNK_BYTES);
    for (uint32_t i = first; i < end; i++) {
        state.chunks[i].state = CHUNK_MAPPED;
        state.chunks[i].huge = huge;
        state.mapped++;
        if (huge) state.huge++;
    }
    if (end > state.chunk_end) state.chunk_end = end;
    for (uint32_t i = first; r == 0 && i < end; i++)
        for (uint32_t device = 0; r == 0 && device < DEVICES_MAX; device++)
            r = device_map(device, i);
    for (uint32_t i = first; r < 0 && i < end; i++)
        chunk_unmap(i);
    return r < 0 ? -ENOMEM : 0;
}

/* ---- units ---- */

static uint32_t unit_bits(uint32_t first, uint32_t count) {
    return (count == UNITS_PER_CHUNK ? ALL_UNITS : (1u << count) - 1) << first;
}

static void chunk_free(uint32_t chunk, uint32_t bits) {
    struct chunk *c = &state.chunks[chunk];
    assert((c->free & bits) == 0);
    c->free |= bits;
    if (chunk < state.free_first) state.free_first = chunk;
    if (c->free != ALL_UNITS) return;
    if (state.wholly_free < CHUNKS_KEPT || chunk < state.pinned_end)
        state.wholly_free++;
    else
        chunk_unmap(chunk);
}

/* Marks all units of a newly mapped chunk free. */
static void chunk_added(uint32_t chunk) {
    state.wholly_free++;
    state.chunks[chunk].free = ALL_UNITS;
    if (chunk < state.free_first) state.free_first = chunk;
}

/* Allocates free units. Returns whether they are unused since the chunk was mapped. */
static bool chunk_alloc(uint32_t chunk, uint32_t bits) {
    struct chunk *c = &state.chunks[chunk];
    bool zeroed = (c->dirty & bits) == 0;
    if (c->free == ALL_UNITS) state.wholly_free--;
    c->free &= ~bits;
    c->dirty |= bits;
    return zeroed;
}

/* Returns the first unit of the lowest free run, or -1. */
static int find_run(uint32_t free, uint32_t count, uint32_t align) {
    for (uint32_t at = 0; at + count <= UNITS_PER_CHUNK; at += align)
        if ((free & unit_bits(at, count)) == unit_bits(at, count)) return (int)at;
    return -1;
}

/* Allocates a run inside one chunk. */
static int64_t alloc_units(uint32_t count, uint32_t align, bool *zeroed) {
    uint32_t chunk;
    int at = -1;
    while (state.free_first < state.chunk_end && state.chunks[state.free_first].free == 0)
        state.free_first++;
    for (chunk = state.free_first; chunk < state.chunk_end; chunk++) {
        if (state.chunks[chunk].free == 0) continue;
        at = find_run(state.chunks[chunk].free, count, align);
        if (at >= 0) break;
    }
    if (at < 0) {
        for (chunk = 0; chunk < state.chunk_count && state.chunks[chunk].state != CHUNK_ABSENT; chunk++) {
        }
        if (chunk == state.chunk_count) return -ENOMEM;
        state.chunks[chunk].state = CHUNK_MAPPING;
        if (chunks_map(chunk, chunk + 1) < 0) return -ENOMEM;
        chunk_added(chunk);
        at = 0;
    }
    *zeroed = chunk_alloc(chunk, unit_bits((uint32_t)at, count));
    return chunk * UNITS_PER_CHUNK + at;
}

static bool chunk_is_whole(uint32_t chunk) {
    const struct chunk *c = &state.chunks[chunk];
    return c->state == CHUNK_ABSENT || (c->state == CHUNK_MAPPED && c->free == ALL_UNITS);
}

/* Returns the first chunk, from `at` on, whose address is a multiple of `align` chunks. */
static uint32_t align_chunk(uint32_t at, uint32_t align) {
    size_t number = (uintptr_t)region_base() / CHUNK_BYTES + at;
    return at + (uint32_t)(-number & (align - 1));
}

/* Returns the lowest run of chunks that are free or not mapped yet; chunk_count: none. */
static uint32_t find_chunks(uint32_t count, uint32_t align) {
    uint32_t at = align_chunk(0, align);
    while (count <= state.chunk_count && at <= state.chunk_count - count) {
        uint32_t n = count;
        while (n > 0 && chunk_is_whole(at + n - 1))
            n--;
        if (n == 0) return at;
        at = align_chunk(at + n, align); /* skip the last chunk that is in use */
    }
    return state.chunk_count;
}

/*
 * Maps those of the chunks [first, end) that are in the state CHUNK_MAPPING; the caller has already allocated the
 * others.
 */
static int map_chunks(uint32_t first, uint32_t end) {
    while (first < end) {
        uint32_t run = first;
        while (run < end && state.chunks[run].state == CHUNK_MAPPING)
            run++;
        if (run > first && chunks_map(first, run) < 0) return -ENOMEM;
        first = run > first ? run : first + 1;
    }
    return 0;
}

/* Allocates a run of whole chunks; surplus units of the last one stay free. */
static int64_t alloc_chunks(uint32_t units, uint32_t align, bool *zeroed) {
    uint32_t count = (units + UNITS_PER_CHUNK - 1) / UNITS_PER_CHUNK;
    uint32_t first = find_chunks(count, align < UNITS_PER_CHUNK ? 1 : align / UNITS_PER_CHUNK);
    uint32_t end = first + count, rest = count * UNITS_PER_CHUNK - units;
    if (first == state.chunk_count) return -ENOMEM;
    *zeroed = true;
    for (uint32_t i = first; i < end; i++) {
        if (state.chunks[i].state == CHUNK_ABSENT)
            state.chunks[i].state = CHUNK_MAPPING;
        else if (!chunk_alloc(i, ALL_UNITS))
            *zeroed = false;
    }
    int r = map_chunks(first, end);
    for (uint32_t i = first; i < end; i++) {
        if (r < 0 && state.chunks[i].state == CHUNK_MAPPING) state.chunks[i].state = CHUNK_ABSENT;
        if (r < 0 && state.chunks[i].state == CHUNK_MAPPED) chunk_free(i, ALL_UNITS);
        if (r == 0) state.chunks[i].dirty = ALL_UNITS;
    }
    if (r < 0) return r;
    if (rest) chunk_free(end - 1, unit_bits(UNITS_PER_CHUNK - rest, rest));
    return (int64_t)first * UNITS_PER_CHUNK;
}

int64_t region_alloc(uint32_t count, uint32_t align, bool *zeroed) {
    if (count <= UNITS_PER_CHUNK && align <= UNITS_PER_CHUNK) return alloc_units(count, align, zeroed);
    return alloc_chunks(count, align, zeroed);
}

void region_free(uint32_t first, uint32_t count) {
    while (count > 0) {
        uint32_t at = first % UNITS_PER_CHUNK, n = UNITS_PER_CHUNK - at;
        if (n > count) n = count;
        chunk_free(first / UNITS_PER_CHUNK, unit_bits(at, n));
        first += n;
        count -= n;
    }
}

/* ---- pinned chunks ---- */

/* Maps those of the chunks [0, end) that are absent. */
static int pin_chunks(uint32_t end) {
    for (uint32_t i = 0; i < end; i++) {
        if (state.chunks[i].state != CHUNK_ABSENT) continue;
        state.chunks[i].state = CHUNK_MAPPING;
        if (chunks_map(i, i + 1) < 0) return -ENOMEM;
        chunk_added(i);
    }
    return 0;
}

static void unpin(void) {
    uint32_t end = state.pinned_end;
    if (--state.pins > 0) return;
    state.pinned_end = 0;
    while (end-- > 0 && state.wholly_free > CHUNKS_KEPT) {
        if (state.chunks[end].state != CHUNK_MAPPED || state.chunks[end].free != ALL_UNITS) continue;
        state.wholly_free--;
        chunk_unmap(end);
    }
}

int heap_range(void **base, size_t *bytes) {
    region_lock();
    int r = region_init();
    region_unlock();
    if (r) return r;
    *base = region_base();
    *bytes = region.bytes;
    return 0;
}

int heap_pin(size_t *bytes, void **base) {
    region_lock();
    int r = region_init();
    if (r == 0) {
        size_t most = state.chunk_count * CHUNK_BYTES;
        uint32_t end = (uint32_t)((*bytes < most ? *bytes : most) / CHUNK_BYTES);
        if (end > state.pinned_end) state.pinned_end = end;
        state.pins++;
        r = pin_chunks(end);
        if (r < 0) unpin();
        *bytes = end * CHUNK_BYTES;
        *base = region_base();
    }
    region_unlock();
    return r;
}

void heap_unpin(void) {
    region_lock();
    unpin();
    region_unlock();
}

uint32_t region_units_end(void) {
    return state.chunk_end * UNITS_PER_CHUNK;
}

void region_stats(struct heap_stats *s) {
    s->reserved_bytes = region.bytes;
    s->mapped_bytes = state.mapped * CHUNK_BYTES;
    s->huge_bytes = state.huge * CHUNK_BYTES;
}

/* ---- adding and removing devices ---- */

static void device_detach(uint32_t device) {
    for (uint32_t i = 0; i < state.chunk_end; i++)
        device_unmap(device, i);
    state.devices[device] = (struct heap_device){0};
}

int heap_device_add(const struct heap_device *d) {
    uint32_t device = 0;
    int r = 0;
    region_lock();
    while (device < DEVICES_MAX && state.devices[device].map)
        device++;
    if (device < DEVICES_MAX)
        state.devices[device] = *d;
    else
        r = -ENOSPC;
    for (uint32_t i = 0; r == 0 && i < state.chunk_end; i++)
        if (state.chunks[i].state == CHUNK_MAPPED) r = device_map(device, i);
    if (r < 0 && device < DEVICES_MAX) device_detach(device);
    region_unlock();
    return r;
}

void heap_device_remove(const struct heap_device *d) {
    region_lock();
    for (uint32_t i = 0; i < DEVICES_MAX; i++) {
        const struct heap_device *known = &state.devices[i];
        if (known->map == d->map && known->unmap == d->unmap && known->ctx == d->ctx) device_detach(i);
    }
    region_unlock();
}
