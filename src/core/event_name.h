/*
 * event_name - the names of SSE events that mappings and publishers may use (CONTRACT section 4).
 * Thread: any, pure.
 */
#ifndef TAILWATER_CORE_EVENT_NAME_H
#define TAILWATER_CORE_EVENT_NAME_H

#include <stdbool.h>
#include <stddef.h>

enum { EVENT_NAME_MAX = 64 };

/* Is it 1 to EVENT_NAME_MAX of A-Z a-z 0-9 . _ - ? */
bool event_name_is_plain(const char *name, size_t len);

/* Is it one of tailwater's own names, or one that browsers use? */
bool event_name_is_reserved(const char *name, size_t len);

/* NULL when an event may have this name, else a sentence about what is wrong. */
const char *event_name_problem(const char *name, size_t len);

#endif
