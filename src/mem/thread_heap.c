/* SPDX-License-Identifier: MIT */
/* The slow paths of a thread heap. */
#include "mem/thread_heap.h"

#include "base/sys.h"
#include "base/thread_exit.h"

#include <assert.h>
#include <sys/mman.h>

/* Both are constant: no_slab has no room, so nothing is ever allocated from no_heap, and nothing is freed into them. */
static struct slab no_slab = {.free = BLOCK_NONE, .remote = BLOCK_NONE};
static struct thread_heap no_heap = {.direct = {[0 ... DIRECT_MAX / GRANULE] = &no_slab},
                                     .current = {[0 ... CLASS_COUNT - 1] = &no_slab}};

_Thread_local struct thread_heap *thread_heap = &no_heap;

/* Protected by the region's lock. */
static struct {
    struct thread_heap *all;
} heaps;

/* ---- slabs of a heap that the calling thread owns or drains ---- */

/* Keeps an empty slab, up to a limit, so that a load that repeatedly empties and refills a slab takes no lock. */
static void retire(struct thread_heap *h, struct slab *s) {
    size_t bytes = (size_t)s->units * HEAP_UNIT_BYTES;
    list_remove(&s->link);
    if (atomic_load_explicit(&h->state, memory_order_relaxed) == HEAP_OWNED &&
        h->kept_bytes + bytes <= KEPT_MAX_BYTES) {
        s->kept = true;
        h->kept_bytes += bytes;
        list_push_back(&h->partial[s->cls], &s->link);
    } else {
        slab_delete(s);
    }
}

int thread_heap_relink(struct slab *s) {
    struct thread_heap *h = s->owner;
    if (s == h->current[s->cls]) return 0;
    if (s->used == 0)
        retire(h, s);
    else if (list_empty(&s->link) && slab_has_room(s))
        list_push_front(&h->partial[s->cls], &s->link);
    return 0;
}

void thread_heap_drain(struct thread_heap *h) {
    if (!atomic_load_explicit(&h->notices, memory_order_relaxed)) return;
    struct slab *s = atomic_exchange(&h->notices, NULL);
    while (s) {
        struct slab *next = s->notice_next; /* after slab_collect other threads may put the slab on the list again */
        slab_collect(s);
        thread_heap_relink(s);
        s = next;
    }
}

static void point_sizes_to(struct thread_heap *h, unsigned cls, struct slab *s) {
    uint32_t from = cls == 0 ? 0 : class_size(cls - 1) / GRANULE + 1, to = class_size(cls) / GRANULE;
    h->current[cls] = s;
    for (uint32_t i = from; i <= to && i <= DIRECT_MAX / GRANULE; i++)
        h->direct[i] = s;
}

/* Makes s the slab from which the class is allocated. Being current counts as one use. */
static void set_current(struct thread_heap *h, unsigned cls, struct slab *s) {
    struct slab *old = h->current[cls];
    point_sizes_to(h, cls, s);
    if (s != &no_slab) {
        list_remove(&s->link);
        s->used++;
        if (s->kept) h->kept_bytes -= (size_t)s->units * HEAP_UNIT_BYTES;
        s->kept = false;
    }
    if (old != &no_slab) {
        old->used--;
        thread_heap_relink(old);
    }
}

/* Releases the kept slabs. Returns whether there were any. */
static bool release_kept(struct thread_heap *h) {
    struct list *node, *next;
    if (h->kept_bytes == 0) return false;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        list_for_each (&h->partial[cls], node, next) {
            struct slab *s = list_entry(node, struct slab, link);
            if (!s->kept) continue;
            list_remove(&s->link);
            slab_delete(s);
        }
    }
    h->kept_bytes = 0;
    return true;
}

bool thread_heap_trim(void) {
    return release_kept(thread_heap);
}

/* ---- creating, parking and adopting heaps ---- */

/*
 * Drains a heap that no thread owns. A thread that adds a notice reads the state afterwards, and a thread that parks a
 * heap reads the list afterwards. Both are sequentially consistent, so one of the two threads sees the other's write.
 */
static void drain_parked(struct thread_heap *h) {
    enum thread_heap_state parked = HEAP_PARKED;
    while (atomic_load(&h->notices) && atomic_compare_exchange_strong(&h->state, &parked, HEAP_DRAINING)) {
        thread_heap_drain(h);
        atomic_store(&h->state, HEAP_PARKED);
    }
}

/* Runs when a thread exits. */
static void park(void *arg) {
    struct thread_heap *h = arg;
    thread_heap = &no_heap;
    atomic_store_explicit(&h->state, HEAP_DRAINING, memory_order_relaxed);
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        set_current(h, cls, &no_slab);
    release_kept(h);
    thread_heap_drain(h);
    atomic_store(&h->state, HEAP_PARKED);
    drain_parked(h);
}

static struct thread_heap *new_heap(void) {
    int error;
    struct thread_heap *h = sys_map(sizeof *h, PROT_READ | PROT_WRITE, 0, &error);
    if (!h) return NULL;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        point_sizes_to(h, cls, &no_slab);
        list_init(&h->partial[cls]);
    }
    h->all_next = heaps.all;
    heaps.all = h;
    return h;
}

/* Assigns this thread a parked heap or a new one. Returns NULL if there is no memory. */
static struct thread_heap *adopt(void) {
    region_lock();
    struct thread_heap *h = heaps.all;
    while (h) {
        enum thread_heap_state parked = HEAP_PARKED;
        if (atomic_compare_exchange_strong(&h->state, &parked, HEAP_OWNED)) break;
        h = h->all_next;
    }
    if (!h) h = new_heap();
    region_unlock();
    if (!h) return NULL;
    thread_heap = h;
    thread_exit_set(THREAD_EXIT_HEAP, park,
                    h); /* may allocate, which works from here on; if it fails, the heap is never parked */
    return h;
}

/* ---- slow paths ---- */

void *thread_heap_alloc_slow(unsigned cls) {
    struct thread_heap *h = thread_heap == &no_heap ? adopt() : thread_heap;
    if (!h) return NULL;
    thread_heap_drain(h);
    struct slab *s = h->current[cls];
    if (!slab_has_room(s)) {
        struct list *node = list_first(&h->partial[cls]);
        s = node ? list_entry(node, struct slab, link) : slab_new_small(h, cls);
        if (!s && release_kept(h)) s = slab_new_small(h, cls);
        if (!s) return NULL;
        set_current(h, cls, s);
    }
    if (s->free == BLOCK_NONE) slab_extend(s);
    return slab_pop(s);
}

static void notify_owner(struct slab *s) {
    struct thread_heap *h = s->owner;
    struct slab *first = atomic_load_explicit(&h->notices, memory_order_relaxed);
    do
        s->notice_next = first;
    while (!atomic_compare_exchange_weak(&h->notices, &first, s));
    drain_parked(h);
}

int thread_heap_free_remote(struct slab *s, uint32_t block) {
    if (!s->owner) {
        slab_delete(s);
        return 0;
    }
    uint16_t first = atomic_load_explicit(&s->remote, memory_order_relaxed);
    do
        s->next[block] = first;
    while (!atomic_compare_exchange_weak_explicit(&s->remote, &first, (uint16_t)block, memory_order_acq_rel,
                                                  memory_order_relaxed));
    if (first == BLOCK_NONE) notify_owner(s);
    return 0;
}
