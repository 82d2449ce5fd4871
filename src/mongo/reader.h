/*
 * reader - a change stream that knows its place: opens at a cluster time, turns batches into frames, and can be opened
 * again after any error without losing or repeating an event.
 *
 * The place is kept outside of the stream: `complete` (every event up to this cluster time was given out) and, inside a
 * cluster time that several events share (a transaction; any events on servers >= 8.0), how many of them were. It
 * reopens by startAtOperationTime and skips that many: a resume token would tie us to pipeline and namespace.
 *
 * Used by the watcher and by catch-up sweeps. Thread: owner only.
 */
#ifndef TAILWATER_MONGO_READER_H
#define TAILWATER_MONGO_READER_H

#include "database.h"
#include "event_builder.h"
#include "grants_feed.h"
#include "lateness.h"
#include "source.h"

struct reader;

struct reader_options {
    struct database *database;
    const struct mapping_set *mappings;
    struct event_builder_options build;
    struct source *source; /* counters and catalog */
    struct grants_feed *grants; /* to be fed, or NULL; the watcher's reader alone has it */
};

/* Frames that one getMore brought; they and the array are given to the caller until the next call. */
struct reader_batch {
    struct frame **frames; /* one reference each goes to the caller; the array stays the reader's */
    size_t count;
    size_t grants;         /* of them, changes of grants */
    uint64_t complete;     /* every event up to this cluster time has now been given out */
    bool reopen;           /* the caller closes and opens again before it goes on */
    bool idle;             /* nothing came: there is nothing more */
    bool at_tail;          /* nothing came, or what came is younger than the stream: the present is reached */
};

struct reader *reader_new(const struct reader_options *options);
void reader_free(struct reader *reader);

/* Go to a place: everything from this cluster time on. Forgets where it was. */
void reader_seek(struct reader *reader, uint64_t start);

/* The cluster time up to which everything was given out. */
uint64_t reader_complete(const struct reader *reader);

/* A position that nothing given out lies behind and nothing to come lies before. */
uint64_t reader_border(const struct reader *reader);

/* How late events arrive that are waited for. */
const struct lateness *reader_lateness(const struct reader *reader);

/* Open (again) where it is. Returns 0, or -1 with *err and its code. */
int reader_open(struct reader *reader, enum database_patience patience, struct error *err);

/* Is it open, and with which patience? */
bool reader_is_open(const struct reader *reader);
enum database_patience reader_patience(const struct reader *reader);

/* Returns 0, or -1 with *err: the stream is closed then, its place is kept. It is before a change of the grants that
 * could not be read. Where an event above 16 MB stands in the way
 * (STREAM_TOO_LARGE) opening again and again steps over it and gives out a gap for it. */
int reader_next(struct reader *reader, struct reader_batch *batch, struct error *err);

/* Close the stream; `polite` tells the server. */
void reader_close(struct reader *reader, bool polite);

#endif
