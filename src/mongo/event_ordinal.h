/*
 * event_ordinal - how many events with the same identity came before in the same cluster time.
 *
 * Usually each event has a cluster time of its own, and counting costs a comparison. A transaction's events share one:
 * they go into a hash table that is emptied at the next cluster time.
 * Thread: owner only.
 */
#ifndef TAILWATER_MONGO_EVENT_ORDINAL_H
#define TAILWATER_MONGO_EVENT_ORDINAL_H

#include <stddef.h>
#include <stdint.h>

struct event_ordinal {
    uint64_t cluster_time;
    uint64_t first; /* identity of its first event, which enters the table only with the second one */
    uint32_t events;
    struct event_ordinal_slot *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t used;
};

void event_ordinal_init(struct event_ordinal *o);
void event_ordinal_fini(struct event_ordinal *o);

/* Count one event and return how many equal ones came before. identity: any but 0. */
uint32_t event_ordinal_next(struct event_ordinal *o, uint64_t cluster_time, uint64_t identity);

#endif
