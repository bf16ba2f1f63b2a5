/* SPDX-License-Identifier: MIT */
/* Path MTU table. */
#include "inet/ip/path.h"

#include "base/sys.h"

struct path {
    struct list link; /* by age */
    struct inet_timer timer;
    struct inet_addr to;
    uint16_t mtu;
    bool fragment;
};

int paths_init(struct inet *s) {
    list_init(&s->paths.by_age);
    return hash_init(&s->paths.by_addr, sizeof(struct inet_addr), offsetof(struct path, to), PATHS_MAX, s->hash_seed);
}

static void path_forget(struct inet *s, struct path *p) {
    inet_timer_cancel(s, &p->timer);
    hash_remove(&s->paths.by_addr, &p->to);
    list_remove(&p->link);
    sys_free(p);
}

void paths_fini(struct inet *s) {
    struct list *node;
    while ((node = list_first(&s->paths.by_age)))
        path_forget(s, list_entry(node, struct path, link));
    hash_fini(&s->paths.by_addr);
}

static void path_fire(struct inet *s, struct inet_timer *t) {
    path_forget(s, list_entry(t, struct path, timer));
    s->path_epoch++;
}

uint16_t path_mtu(const struct inet *s, const struct inet_addr *to, bool *fragment) {
    const struct path *p = hash_count(&s->paths.by_addr) > 0 ? hash_find(&s->paths.by_addr, to) : NULL;
    *fragment = p && p->fragment;
    return p && p->mtu < s->config.mtu ? p->mtu : s->config.mtu;
}

static struct path *path_new(struct inet *s, const struct inet_addr *to) {
    if (hash_count(&s->paths.by_addr) == PATHS_MAX)
        path_forget(s, list_entry(list_first(&s->paths.by_age), struct path, link));
    struct path *p = sys_calloc(1, sizeof *p);
    if (!p) return NULL;
    p->to = *to;
    inet_timer_init(&p->timer, path_fire);
    if (hash_insert(&s->paths.by_addr, p)) {
        sys_free(p);
        return NULL;
    }
    list_push_back(&s->paths.by_age, &p->link);
    return p;
}

/* The next smaller common MTU (RFC 1191 section 7.1). */
static uint16_t plateau_below(uint16_t bytes) {
    static const uint16_t plateaus[] = {8166, 4352, 2002, 1492, 1006, PATH_MTU_LEAST};
    size_t i = 0;
    while (i + 1 < sizeof plateaus / sizeof *plateaus && plateaus[i] >= bytes)
        i++;
    return plateaus[i];
}

bool path_learn(struct inet *s, const struct inet_addr *to, uint16_t mtu, uint16_t packet_bytes) {
    bool fragment;
    uint16_t known = path_mtu(s, to, &fragment);
    if (mtu == 0) mtu = plateau_below(packet_bytes);
    bool too_small = mtu < PATH_MTU_LEAST;
    uint16_t limit = too_small ? PATH_MTU_LEAST : mtu;
    if (limit >= known && (fragment || !too_small)) return false; /* nothing new, or an impossible report */
    struct path *p = hash_find(&s->paths.by_addr, to);
    if (!p && !(p = path_new(s, to))) {
        inet_count(s, no_memory);
        return false;
    }
    p->fragment = too_small;
    p->mtu = limit;
    inet_timer_arm(s, &p->timer, s->now + PATH_MTU_AGE_NS);
    inet_count(s, path_mtu_lowered);
    s->path_epoch++;
    return true;
}
