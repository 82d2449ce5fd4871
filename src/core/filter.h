/*
 * filter - which events of its channels a reader wants: min_level, level, q (CONTRACT section 4). One function for live,
 * replay and history, evaluated on the event exactly as sent: what was omitted or cut cannot be found.
 *
 *   min_level  at least this severe; an event without a known level passes
 *   level      one of these; an event without a known level fails
 *   q          a substring, ASCII case-insensitive, of any decoded string value inside log_data, or in what was published inside data
 *              (keys do not count)
 *
 * Total and bounded: any bytes give an answer, in time proportional to the event. Thread: owner only (it has scratch
 * memory).
 */
#ifndef TAILWATER_CORE_FILTER_H
#define TAILWATER_CORE_FILTER_H

#include "buffer.h"
#include "error.h"
#include "frame.h"

#include <stdbool.h>

enum { FILTER_Q_MAX = 256 };

struct filter;

/* What was asked for; each NULL when absent. Levels are names or pino's numbers. */
struct filter_request {
    const char *min_level;
    const char *level; /* a list, joined by commas */
    const char *q;
};

/* Gives a filter, or NULL in *out when nothing was asked for. Returns 0, or -1 with *err naming the parameter. */
int filter_new(const struct filter_request *request, struct filter **out, struct error *err);
void filter_free(struct filter *filter);

/* Another one that passes the same, for another thread; NULL for NULL. */
struct filter *filter_copy(const struct filter *filter);

/* Append what was asked for as a JSON object, q in lower case; null for NULL. */
void filter_append_json(const struct filter *filter, struct buffer *out);

/* Does an event of this level with this JSON line pass? A NULL filter passes everything. */
bool filter_passes(struct filter *filter, uint8_t level, struct slice line);

#endif
