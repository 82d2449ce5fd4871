/* rows_advice - see rows_advice.h. */
#include "rows_advice.h"

#include "history_index.h"
#include "inverse.h"
#include "tailwater/channel.h"

#include <string.h>

/* Does the pattern fix this segment? */
static bool fixes(struct slice pattern, size_t segment)
{
    const char *at = pattern.data, *end = pattern.data + pattern.len;
    for (; segment > 0; segment--) {
        at = memchr(at, ':', (size_t)(end - at));
        if (!at) {
            return false;
        }
        at++;
    }
    return *at != '*'; /* in a value it would be written %2A */
}

/* Can this collection's documents get a channel of the pattern? */
static bool concerns(const struct history_scan *scan, const struct slice *pattern)
{
    bson_t *unused = bson_new();
    bool could = inverse_filter(scan->mapping, (struct slice){scan->name, strlen(scan->name)}, pattern, 1, unused);
    bson_destroy(unused);
    return could;
}

static bool all_fix(const struct history_plan *plan, const struct history_scan *scan, size_t segment)
{
    for (size_t i = 0; i < plan->channel_count; i++) {
        if (concerns(scan, &plan->patterns[i]) && !fixes(plan->patterns[i], segment)) {
            return false;
        }
    }
    return true;
}

void rows_advice_slow(const struct history_plan *plan, const struct history_scan *scan, struct buffer *out)
{
    const struct template *t = mapping_channel(scan->mapping);
    struct slice fields[TAILWATER_SEGMENTS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < template_count(t); i++) {
        if (template_kind(t, i) == TEMPLATE_FIELD && all_fix(plan, scan, i)) {
            fields[count++] = template_field(t, i, 0);
        }
    }
    if (count == 0 || history_index_begins(scan->collection, fields, count)) {
        return;
    }
    buffer_printf(out, "searching collection %s for these channels took too long; create an index with ", scan->name);
    history_index_command(scan->name, fields, count, mapping_order(scan->mapping), out);
}
