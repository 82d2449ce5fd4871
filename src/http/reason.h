/*
 * reason - the reasons for which streams are refused, sent away or told of a gap: stable codes, each counted by itself.
 * Any thread.
 */
#ifndef TAILWATER_HTTP_REASON_H
#define TAILWATER_HTTP_REASON_H

#include <stdatomic.h>
#include <stdint.h>

enum reason_kind { REASON_REFUSED, REASON_SENT_AWAY, REASON_GAP, REASON_RESUMED, REASON_KINDS };

enum { REASONS_MAX = 10 }; /* of a kind; the last one is "other" */

struct reason_counts {
    _Atomic uint64_t counts[REASON_KINDS][REASONS_MAX];
};

/* One more for this code. */
void reason_count(struct reason_counts *counts, enum reason_kind kind, const char *code);

/* The code at this place of a kind's list, or NULL behind its end. */
const char *reason_at(enum reason_kind kind, unsigned index);

#endif
