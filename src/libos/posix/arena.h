/* SPDX-License-Identifier: MIT */
/*
 * Memory to receive into when the length is not known before: data is packed one after another into blocks of the
 * heap, and each piece is a further owner of its block. Small messages thus keep little memory and stay near each
 * other.
 */
#ifndef POSIX_ARENA_H
#define POSIX_ARENA_H

#include <stdint.h>

#define ARENA_BLOCK_BYTES 262144u

struct recv_arena {
    char *block; /* NULL: none yet */
    uint32_t used;
};

/* Room for at least `bytes` (up to 64 KiB); NULL: no memory. It stays the arena's until arena_take. */
char *arena_room(struct recv_arena *a, uint32_t bytes);
/* The first `bytes` of the room are the caller's, to be freed with heap_free. */
char *arena_take(struct recv_arena *a, uint32_t bytes);
void arena_fini(struct recv_arena *a);

#endif
