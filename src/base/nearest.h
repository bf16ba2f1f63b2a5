/* SPDX-License-Identifier: MIT */
/* How far a name is from another, to tell who mistyped one what is meant. */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#define NEAREST_NAME_MAX 80u /* characters that are looked at */

/* Levenshtein's distance: insertions, deletions and replacements of a character. */
unsigned edit_distance(const char *a, const char *b);

#endif
