/*
 * topic - the subscription index of one loop: from a channel to its subscribers.
 *
 * Exact channels by hash, patterns by a trie of segments: matching costs the channel's segments, not the number of
 * subscriptions. Thread: the loop that owns it; no locks.
 */
#ifndef TAILWATER_CORE_TOPIC_H
#define TAILWATER_CORE_TOPIC_H

#include <stdint.h>
#include <stddef.h>

struct topic_index;
struct topic_list;

/* One subscription of one subscriber; embedded in what the subscriber owns. */
struct topic_entry {
    struct topic_list *list; /* NULL = not in an index */
    uint32_t at;             /* its place in the list */
    void *subscriber;
};

struct topic_index *topic_index_new(void);
void topic_index_free(struct topic_index *index); /* entries must have been removed */

/* Subscribe entry->subscriber to a valid channel or pattern. The entry must stay where it is until it is removed. */
void topic_add(struct topic_index *index, const char *pattern, size_t len, struct topic_entry *entry);

/* Unsubscribe; harmless when the entry is in no index. Not from inside topic_match. */
void topic_remove(struct topic_index *index, struct topic_entry *entry);

/* Call visit for every entry that matches the channel. A subscriber with several matching entries is visited several
 * times. */
typedef void topic_visit_fn(void *subscriber, void *arg);
void topic_match(struct topic_index *index, const char *channel, size_t len, topic_visit_fn *visit, void *arg);

/* Number of distinct channels and patterns that somebody is subscribed to. */
size_t topic_count(const struct topic_index *index);

#endif
