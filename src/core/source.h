/*
 * source - one change stream's worth of events, as both worlds see it: its journal, its catalog, its catch-up queue, and
 * what is known about its state.
 *
 * The watcher thread writes, loops and admin pages read. The plain fields are constant after source_new(); the status is
 * atomics (each a fact of its own, no two need to agree) and one small mutex for the last error's text.
 */
#ifndef TAILWATER_CORE_SOURCE_H
#define TAILWATER_CORE_SOURCE_H

#include "catalog.h"
#include "catchup.h"
#include "journal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum source_state {
    SOURCE_OPENING,     /* not yet, or again, open */
    SOURCE_SCANNING,    /* reading what it missed */
    SOURCE_STREAMING,   /* at the tail */
    SOURCE_BACKING_OFF, /* failed, will try again */
    SOURCE_STOPPED,
};

struct source_status {
    _Atomic int state;                  /* enum source_state */
    atomic_bool opened;                 /* has been open once */
    _Atomic uint64_t cluster_time;      /* newest cluster time that the deployment told us */
    _Atomic uint64_t live_from;         /* what is older was the past already when the source was first opened */
    _Atomic int64_t cluster_seen_us;    /* monotonic time of that */
    _Atomic int64_t lag_ms;             /* wall clock - wallTime of the last event of the last batch; -1 = unknown */
    _Atomic int64_t contact_us;         /* monotonic time of the last answer from MongoDB */
    _Atomic uint64_t events;            /* frames made */
    _Atomic uint64_t unroutable, oversize, losses;
    _Atomic uint64_t errors, opens, catchup_opens;
    _Atomic uint64_t oplog_first, oplog_last; /* cluster times of its ends, 0 = unknown */
};

struct source {
    char name[33];
    char tag;
    unsigned index;
    struct journal *journal;
    struct catalog *catalog;
    struct catchup *catchup;
    struct source_status status;
    pthread_mutex_t error_lock;
    char last_error[256]; /* under error_lock; no secrets */
};

struct source_options {
    const char *name;
    char tag;
    unsigned index;
    struct journal_limits journal;
    struct catchup_limits catchup;
};

struct source *source_new(const struct source_options *options);
void source_free(struct source *source);

void source_set_state(struct source *source, enum source_state state);
const char *source_state_name(enum source_state state);

/* Remember the newest error's sentence (cut to fit) and count it. */
void source_note_error(struct source *source, const char *sentence);
void source_copy_error(struct source *source, char out[256]);

/* The deployment told its cluster time. */
void source_note_cluster_time(struct source *source, uint64_t cluster_time);

/* Has MongoDB not answered for five seconds? False before it ever did. */
bool source_is_away(struct source *source);

/* Estimate of the deployment's clock now, in seconds (never this machine's clock); 0 = not known yet. */
uint32_t source_cluster_seconds(struct source *source);

/* Seconds that the oplog reaches back, or -1. */
int64_t source_oplog_window_s(struct source *source);

#endif
