/* event_ordinal - see event_ordinal.h. */
#include "event_ordinal.h"

#include "buffer.h"

#include <stdlib.h>
#include <string.h>

enum { CAPACITY_FIRST = 64, CAPACITY_KEPT = 4096 };

struct event_ordinal_slot {
    uint64_t identity; /* 0: free */
    uint32_t count;
};

void event_ordinal_init(struct event_ordinal *o)
{
    *o = (struct event_ordinal){.cluster_time = 0};
}

void event_ordinal_fini(struct event_ordinal *o)
{
    free(o->slots);
    event_ordinal_init(o);
}

static struct event_ordinal_slot *find_slot(const struct event_ordinal *o, uint64_t identity)
{
    const uint64_t spread = 0x9e3779b97f4a7c15u; /* identities are hashes already; this also serves small test values */
    size_t at = (size_t)(identity * spread >> 20) & (o->capacity - 1);
    while (o->slots[at].identity && o->slots[at].identity != identity) {
        at = (at + 1) & (o->capacity - 1);
    }
    return &o->slots[at];
}

static void grow(struct event_ordinal *o)
{
    struct event_ordinal old = *o;
    o->capacity = old.capacity ? old.capacity * 2 : CAPACITY_FIRST;
    o->slots = memory_zero(o->capacity, sizeof *o->slots);
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.slots[i].identity) {
            *find_slot(o, old.slots[i].identity) = old.slots[i];
        }
    }
    free(old.slots);
}

/* Count in the table, which is at most half full. */
static uint32_t count_up(struct event_ordinal *o, uint64_t identity)
{
    if (o->used * 2 >= o->capacity) {
        grow(o);
    }
    struct event_ordinal_slot *slot = find_slot(o, identity);
    if (!slot->identity) {
        slot->identity = identity;
        o->used++;
    }
    return slot->count++;
}

/* One giant transaction must not make every later small one clear a giant table. */
static void empty(struct event_ordinal *o)
{
    if (o->capacity > CAPACITY_KEPT) {
        free(o->slots);
        o->slots = NULL;
        o->capacity = 0;
    } else if (o->used) {
        memset(o->slots, 0, o->capacity * sizeof *o->slots);
    }
    o->used = 0;
}

uint32_t event_ordinal_next(struct event_ordinal *o, uint64_t cluster_time, uint64_t identity)
{
    if (cluster_time != o->cluster_time || o->events == 0) {
        empty(o);
        o->cluster_time = cluster_time;
        o->first = identity;
        o->events = 1;
        return 0;
    }
    if (o->events++ == 1) {
        count_up(o, o->first);
    }
    return count_up(o, identity);
}
