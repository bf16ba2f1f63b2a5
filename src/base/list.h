/* SPDX-License-Identifier: MIT */
/* Intrusive circular doubly linked list. A head is a node; an unlinked node points to itself. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev, *next;
};

#define list_entry(node, type, member) ((type *)(void *)((char *)(node) - offsetof(type, member)))

/* The body may remove `node`. */
#define list_for_each(head, node, tmp)                                                                                 \
    for ((node) = (head)->next, (tmp) = (node)->next; (node) != (head); (node) = (tmp), (tmp) = (node)->next)

static inline void list_init(struct list *l) {
    l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l) {
    return l->next == l;
}

static inline void list_insert_before(struct list *at, struct list *node) {
    node->prev = at->prev;
    node->next = at;
    at->prev->next = node;
    at->prev = node;
}

static inline void list_push_back(struct list *head, struct list *node) {
    list_insert_before(head, node);
}

static inline void list_push_front(struct list *head, struct list *node) {
    list_insert_before(head->next, node);
}

/* Unlinks the node but leaves its own pointers unchanged, for owners that track whether it is linked. */
static inline void list_unlink(struct list *node) {
    node->prev->next = node->next;
    node->next->prev = node->prev;
}

static inline void list_remove(struct list *node) {
    list_unlink(node);
    list_init(node);
}

static inline struct list *list_first(const struct list *head) {
    return head->next == head ? NULL : head->next;
}

static inline struct list *list_pop_front(struct list *head) {
    struct list *node = list_first(head);
    if (node) list_remove(node);
    return node;
}

/* Moves all nodes of `from` to the end of `to`. */
static inline void list_splice_back(struct list *to, struct list *from) {
    if (list_empty(from)) return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#endif
