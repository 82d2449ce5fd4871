/*
 * load_check - is each connection's stream complete, in order and without doubles?
 *
 * A *lane* is one channel as one group of clients sees it; a *group* is all clients with the same request target.
 * Within a lane the producer numbers documents 1 apart (log_data.seq). A *track* is how far one client is in one lane.
 *
 * What is judged: gaps and doubles inside a track; its beginning against the lane's first event, when the client was
 * ready before that was sent; its end against the lane's newest event. An event that nobody of a group received is not
 * seen as missing: compare the count with the producer's.
 * Thread: owner only.
 */
#ifndef TAILWATER_BENCH_LOAD_CHECK_H
#define TAILWATER_BENCH_LOAD_CHECK_H

#include "hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#undef HASH_FUNCTION
#define HASH_FUNCTION(key, len, value) ((value) = (unsigned)hash_bytes(hash_process_key(), (key), (len)))
#include <uthash.h>

/* What was found, summed over any number of tracks. */
struct verdict {
    uint64_t missing;  /* numbers that never came */
    uint64_t doubles;  /* numbers that came again (or came late by 64 and more) */
    uint64_t disorder; /* numbers that came after a higher one */
};

struct lane {
    char *name;     /* the channel */
    unsigned index; /* in its group, from 0 */
    uint64_t first_seq, last_seq;
    int64_t first_sent_us; /* when first_seq was sent; wall clock [us] */
    uint64_t target_seq;   /* storm: what a returned client must have reached */
    UT_hash_handle hh;
};

struct group {
    char *target; /* request target */
    struct lane *lanes;
    unsigned lane_count;
    uint64_t away_events; /* storm: what its scout received since the others dropped */
    UT_hash_handle hh;
};

struct track {
    struct lane *lane; /* NULL: nothing received there */
    uint64_t first_seq, last_seq;
    uint64_t window; /* bit n: last_seq - n was received */
};

/* What a client keeps; zero-initialised it is empty. */
struct tracks {
    struct track *list; /* by lane index */
    unsigned count;
    struct track *recent;
};

/* The group with this target, made if need be. *groups is freed by groups_free(). */
struct group *group_find(struct group **groups, const char *target);
void groups_free(struct group **groups);

/* The client's track of a channel, made if need be; valid until the next call for this client. */
struct track *tracks_find(struct tracks *tracks, struct group *group, const char *channel, size_t len);
void tracks_free(struct tracks *tracks);

/* One event. Returns true when its number is new to this track. */
bool track_event(struct track *track, uint64_t seq, int64_t sent_us, struct verdict *verdict);

/* How many events up to the lanes' targets this client has not received. */
uint64_t tracks_pending(const struct tracks *tracks, const struct group *group);

/* Beginnings and, when ends is true, ends of all lanes of the group; ready_us: since when the client listened [us]. */
void tracks_judge(const struct tracks *tracks, const struct group *group, int64_t ready_us, bool ends,
                  struct verdict *verdict);

#endif
