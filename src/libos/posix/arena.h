/* SPDX-License-Identifier: MIT */
/*
 * Memory to receive into when the length is not known in advance. Data is packed into heap blocks, and each piece is a
 * further owner of its block, so that small messages use little memory and stay close to each other.
 */
#ifndef POSIX_ARENA_H
#define POSIX_ARENA_H

#include <stdint.h>

#define ARENA_BLOCK_BYTES 262144u

struct recv_arena {
    char *block; /* NULL: none yet */
    uint32_t used;
};

/*
 * Returns room for at least `bytes` (up to 64 KiB), or NULL if there is no memory. The arena owns it until
 * arena_commit.
 */
char *arena_room(struct recv_arena *a, uint32_t bytes);
/* Makes the caller the owner of the first `bytes` of the room. The caller frees them with heap_free. */
char *arena_commit(struct recv_arena *a, uint32_t bytes);
void arena_fini(struct recv_arena *a);

#endif
