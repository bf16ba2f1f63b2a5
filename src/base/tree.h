/* SPDX-License-Identifier: MIT */
/*
 * Search tree: a treap (Aragon & Seidel, 1989). Its depth is logarithmic for any order of keys, as long as the
 * priorities are random and secret. The nodes are intrusive. Keys are serial numbers (RFC 1982): all keys of a tree lie
 * within 2^31 of each other.
 */
#ifndef BASE_TREE_H
#define BASE_TREE_H

#include <stdint.h>

/* The owner may change a key as long as the order of the nodes stays the same. */
struct tree_node {
    struct tree_node *left, *right;
    uint32_t key, priority;
};

/* An empty tree has the root NULL. Keys are unique. */
void tree_insert(struct tree_node **root, struct tree_node *node, uint32_t key, uint32_t priority);
/* The node must be in the tree. */
void tree_remove(struct tree_node **root, const struct tree_node *node);

/* Each returns NULL if there is no such node. */
struct tree_node *tree_first(const struct tree_node *root);
struct tree_node *tree_last(const struct tree_node *root);
/* The last node at or before `key`; the first node after it; the last node before it. */
struct tree_node *tree_at_or_before(const struct tree_node *root, uint32_t key);
struct tree_node *tree_after(const struct tree_node *root, uint32_t key);
struct tree_node *tree_before(const struct tree_node *root, uint32_t key);

#endif
