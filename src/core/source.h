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
#include "notices.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum source_state {
    SOURCE_OPENING,     /* not yet, or again, open */
    SOURCE_SCANNING,    /* reading what it missed */
    SOURCE_STREAMING,   /* at the tail */
    SOURCE_POLLING,     /* looks at the collections from time to time */
    SOURCE_BACKING_OFF, /* failed, will try again */
    SOURCE_STOPPED,
};

/*
 * How a source is followed: by a change stream, or by polling where there can be none. While it polls no frame has an
 * id that means anything to a client, and nobody can resume. A change from one to the other is a FRAME_MODE in the
 * journal.
 */
enum source_polling {
    SOURCE_FOLLOWS_STREAM = 0,
    SOURCE_POLLS_STANDALONE, /* the server is not a member of a replica set */
    SOURCE_POLLS_VIEWS,      /* all that is read are views and time-series collections */
};

/* A sentence and when it was said [wall clock]. */
struct source_sample {
    int64_t at_ms;
    char text[256];
};

enum { SOURCE_SAMPLES = 5 };

struct source_status {
    _Atomic int state;                  /* enum source_state */
    _Atomic int polling;                /* enum source_polling; 0 = change stream */
    _Atomic uint64_t mode_since;        /* cluster time at which a change stream took over from polling; 0 = never */
    atomic_bool opened;                 /* has been open once */
    atomic_bool warming;                /* reads the past that fills its journal at the start; not at the tail yet */
    _Atomic uint64_t cluster_time;      /* newest cluster time that the deployment told us */
    _Atomic uint64_t live_from;         /* what is older was the past already when the source was first opened */
    _Atomic int64_t cluster_seen_us;    /* monotonic time of that */
    _Atomic int64_t lag_ms;             /* wall clock - wallTime of the last event of the last batch; -1 = unknown */
    _Atomic int64_t contact_us;         /* monotonic time of the last answer from MongoDB */
    _Atomic uint64_t events;            /* frames made */
    _Atomic uint64_t unroutable, oversize, losses;
    _Atomic uint64_t errors, opens, catchup_opens;
    _Atomic uint64_t streams_open;      /* change streams now, of watcher and sweeps */
    _Atomic uint64_t commands, command_failures; /* that succeeded; that failed */
    _Atomic uint64_t oplog_first, oplog_last; /* cluster times of its ends, 0 = unknown */
};

struct source {
    char name[33];
    char tag;
    unsigned index;
    struct journal *journal;
    struct catalog *catalog;
    struct catchup *catchup;
    struct notices *notices;
    struct source_status status;
    pthread_mutex_t error_lock;
    char last_error[256]; /* under error_lock; no secrets */
    struct source_sample unroutable[SOURCE_SAMPLES]; /* the same; the oldest is at unroutable_count % SOURCE_SAMPLES */
    uint64_t unroutable_count;
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

/* Why the source polls, what that means and what to do about it; NULL for SOURCE_FOLLOWS_STREAM. */
const char *source_polling_sentence(enum source_polling polling);

/* Can a reader go on behind this id? Not while the source polls, nor across a change of mode. */
bool source_can_resume(const struct source *source, struct event_id point);

/* Remember the newest error's sentence (cut to fit) and count it. */
void source_note_error(struct source *source, const char *sentence);
void source_copy_error(struct source *source, char out[256]);

/* A document has no channel: count it and keep the sentence (cut to fit). */
void source_note_unroutable(struct source *source, const char *sentence);

/* The newest such sentences, newest first; returns how many. */
unsigned source_copy_unroutable(struct source *source, struct source_sample out[SOURCE_SAMPLES]);

/* The deployment told its cluster time. */
void source_note_cluster_time(struct source *source, uint64_t cluster_time);

/* Has MongoDB not answered for five seconds? False before it ever did. */
bool source_is_away(struct source *source);

/* Estimate of the deployment's clock now, in seconds (never this machine's clock); 0 = not known yet. */
uint32_t source_cluster_seconds(struct source *source);

/* Seconds that the oplog reaches back, or -1; also while the source polls, for nobody can resume then. */
int64_t source_oplog_window_s(struct source *source);

#endif
