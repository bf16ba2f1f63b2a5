/* SPDX-License-Identifier: MIT */
/* What the sockets over one user-space stack share. */
#include "libos/socket/socket_set.h"

static void complete_of(struct list *pushes, const struct queue *q) {
    struct list *l, *tmp;
    list_for_each (pushes, l, tmp) {
        struct op *op = list_entry(l, struct op, link);
        if (op->q != q) continue;
        list_remove(&op->link);
        op_complete(q->rt, op, 0);
    }
}

void socket_set_complete(struct socket_set *set, const struct queue *q) {
    complete_of(&set->written, q);
    complete_of(&set->queued, q);
}
