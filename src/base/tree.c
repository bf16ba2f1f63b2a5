/* SPDX-License-Identifier: MIT */
/* Search tree. */
#include "base/tree.h"

#include <stdbool.h>
#include <stddef.h>

static bool key_before(uint32_t a, uint32_t b) {
    return (int32_t)(a - b) < 0;
}

void tree_insert(struct tree_node **root, struct tree_node *node, uint32_t key, uint32_t priority) {
    struct tree_node **at = root;
    while (*at && (*at)->priority >= priority)
        at = key_before(key, (*at)->key) ? &(*at)->left : &(*at)->right;
    /* Splits the subtree at this position into the node's two subtrees. */
    struct tree_node *rest = *at, **left = &node->left, **right = &node->right;
    while (rest) {
        if (key_before(rest->key, key)) {
            *left = rest;
            left = &rest->right;
            rest = rest->right;
        } else {
            *right = rest;
            right = &rest->left;
            rest = rest->left;
        }
    }
    *left = *right = NULL;
    node->key = key;
    node->priority = priority;
    *at = node;
}

void tree_remove(struct tree_node **root, const struct tree_node *node) {
    struct tree_node **at = root;
    while (*at != node)
        at = key_before(node->key, (*at)->key) ? &(*at)->left : &(*at)->right;
    /* Merges the node's two subtrees into one. */
    struct tree_node *left = node->left, *right = node->right;
    while (left && right) {
        if (left->priority >= right->priority) {
            *at = left;
            at = &left->right;
            left = left->right;
        } else {
            *at = right;
            at = &right->left;
            right = right->left;
        }
    }
    *at = left ? left : right;
}

struct tree_node *tree_first(const struct tree_node *root) {
    while (root && root->left)
        root = root->left;
    return (struct tree_node *)(uintptr_t)root;
}

struct tree_node *tree_last(const struct tree_node *root) {
    while (root && root->right)
        root = root->right;
    return (struct tree_node *)(uintptr_t)root;
}

struct tree_node *tree_at_or_before(const struct tree_node *root, uint32_t key) {
    const struct tree_node *found = NULL;
    while (root) {
        bool after = key_before(key, root->key);
        if (!after) found = root;
        root = after ? root->left : root->right;
    }
    return (struct tree_node *)(uintptr_t)found;
}

struct tree_node *tree_after(const struct tree_node *root, uint32_t key) {
    const struct tree_node *found = NULL;
    while (root) {
        bool after = key_before(key, root->key);
        if (after) found = root;
        root = after ? root->left : root->right;
    }
    return (struct tree_node *)(uintptr_t)found;
}

struct tree_node *tree_before(const struct tree_node *root, uint32_t key) {
    return tree_at_or_before(root, key - 1);
}
