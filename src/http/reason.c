/* reason - see reason.h. */
#include "reason.h"

#include <stddef.h>
#include <string.h>

static const char *const lists[REASON_KINDS][REASONS_MAX + 1] = {
    [REASON_REFUSED] = {"draining", "too_many_connections", "too_many_connects", "too_many_connections_of_user",
                        "too_many_connections_of_address", "too_many_catchups_of_user", "ticket_expired",
                        "grants_unavailable", "other"},
    [REASON_SENT_AWAY] = {"draining", "starved", "token_expires", "grants_changed", "grants_unavailable",
                          "too_many_catchups_of_user", "kicked", "other"},
    [REASON_GAP] = {"history_lost", "invalid_id", "unknown_source", "mode_changed", "oversize", "other"},
    [REASON_RESUMED] = {"live", "journal", "catchup", "rows", "waiting", "other"},
};

const char *reason_at(enum reason_kind kind, unsigned index)
{
    return lists[kind][index];
}

void reason_count(struct reason_counts *counts, enum reason_kind kind, const char *code)
{
    unsigned i = 0;
    while (lists[kind][i + 1] && strcmp(lists[kind][i], code) != 0) {
        i++;
    }
    atomic_fetch_add_explicit(&counts->counts[kind][i], 1, memory_order_relaxed);
}
