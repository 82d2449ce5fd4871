/*
 * nearest - the name that somebody probably meant. Pure; any thread.
 */
#ifndef TAILWATER_APP_NEAREST_H
#define TAILWATER_APP_NEAREST_H

#include <stddef.h>

/*
 * How far apart two names are: edits of one letter (insert, delete, replace, swap of neighbours), ignoring case and
 * taking '-' and '_' for the same. Names of more than 64 bytes are infinitely far from everything.
 */
enum { NEAREST_FAR = 1000 };
int nearest_distance(const char *a, const char *b);

/* The nearest of count names, or NULL when none is near: at most one edit in three letters. */
const char *nearest_name(const char *given, const char *const *names, size_t count);

#endif
