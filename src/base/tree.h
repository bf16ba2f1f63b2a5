/* SPDX-License-Identifier: MIT */
/*
 * Search tree: a treap (Aragon & Seidel, 1989). Its depth is logarithmic whatever the order of keys, as long as the
 * priorities are random and nobody else knows them. Nodes lie in what they order. Keys are serial numbers (RFC 1982):
 * all of a tree lie within 2^31 of each other.
 */
#ifndef BASE_TREE_H
#define BASE_TREE_H

#include <stdint.h>

/* A key may change while the order of the nodes stays the same. */
struct tree_node {
    struct tree_node *left, *right;
    uint32_t key, priority;
};

/* The root is NULL at first. Keys are unique. */
void tree_insert(struct tree_node **root, struct tree_node *node, uint32_t key, uint32_t priority);
/* The node is in the tree. */
void tree_remove(struct tree_node **root, const struct tree_node *node);

/* Each NULL: there is none. */
struct tree_node *tree_first(const struct tree_node *root);
struct tree_node *tree_last(const struct tree_node *root);
/* The last one whose key is at or before `key`; the first one whose key is behind it; the last one before it. */
struct tree_node *tree_at_or_before(const struct tree_node *root, uint32_t key);
struct tree_node *tree_after(const struct tree_node *root, uint32_t key);
struct tree_node *tree_before(const struct tree_node *root, uint32_t key);

#endif
