/* SPDX-License-Identifier: MIT */
/* Edit distance between names, to suggest the intended name for a mistyped one. */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#define NEAREST_NAME_MAX 80u /* further characters are ignored */

/* Levenshtein distance: the number of insertions, deletions and substitutions of one character. */
unsigned edit_distance(const char *a, const char *b);

#endif
