/*
 * event_id - the resume token in its compact form, as written on SSE "id:" lines (CONTRACT section 3).
 *
 * An event: "6b0169cd00000001-5f3a9c1e0011", 16 hex digits of cluster time (seconds, increment), '-', 12 hex digits of a
 * hash of what identifies the event. A position: the 16 digits alone, meaning "before every event of that cluster
 * time". Ids of one source compare by cluster time; within one cluster time the order is the stream's.
 * Pure; any thread.
 */
#ifndef TAILWATER_CORE_EVENT_ID_H
#define TAILWATER_CORE_EVENT_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_id {
    uint64_t cluster_time; /* seconds << 32 | increment; 0 = no id at all */
    int64_t hash;          /* 48 bits, or EVENT_ID_POSITION */
};

#define EVENT_ID_POSITION (-1)

enum {
    EVENT_ID_TEXT_LEN = 29,     /* of an event */
    EVENT_ID_POSITION_LEN = 16, /* of a position */
    EVENT_ID_TOKEN_MAX = 4096,  /* longest raw resume token that is accepted, hex digits */
};

static inline struct event_id event_id_position(uint64_t cluster_time)
{
    return (struct event_id){cluster_time, EVENT_ID_POSITION};
}

static inline bool event_id_is_position(struct event_id id)
{
    return id.hash == EVENT_ID_POSITION;
}

/* Polled documents (source.h) have times below all real ones, 1, 2, 3, …: an order inside, never told to a client. */
#define EVENT_ID_FIRST_REAL ((uint64_t)1 << 62) /* in January 2004 */

static inline bool event_id_is_polled(struct event_id id)
{
    return id.cluster_time < EVENT_ID_FIRST_REAL;
}

static inline uint32_t event_id_seconds(struct event_id id)
{
    return (uint32_t)(id.cluster_time >> 32);
}

/* Write the text without a NUL; returns its length, EVENT_ID_TEXT_LEN or EVENT_ID_POSITION_LEN. */
size_t event_id_format(struct event_id id, char out[EVENT_ID_TEXT_LEN]);

/*
 * Parse what a client sent: an event, a position, or a raw resume token ("82…", used as the position of its cluster
 * time). Returns 0, or -1 when the form is wrong. Whether its time is plausible is the caller's business.
 */
int event_id_parse(const char *text, size_t len, struct event_id *out);

/*
 * The hash part for an event. ns: "db.collection"; key: BSON type byte and value bytes of _id; operation: 'i' or
 * 'r'; ordinal: how many events with the same three came before it in this cluster time.
 */
int64_t event_id_hash(const char *ns, size_t ns_len, const void *key, size_t key_len, char operation,
                      uint32_t ordinal);

#endif
