/*
 * model_world - the simulated other side of the model test: one deployment's history with its oplog, the watcher that
 * fills the source's real journal, and the sweep threads that serve its real catch-up queue; all single-threaded and
 * driven by one seeded generator.
 *
 * The history keeps every event that ever happened, so that clients can be checked; what the oplog has forgotten is
 * only hidden from readers. An event's id carries its index in the history as hash.
 */
#ifndef TAILWATER_TEST_MODEL_WORLD_H
#define TAILWATER_TEST_MODEL_WORLD_H

#include "source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODEL_CHANNELS = 4, MODEL_SWEEPS_MAX = 3, MODEL_BATCH_MAX = 48 };

struct model_event {
    uint64_t time;
    uint8_t channel;
    uint8_t size;
    bool shared; /* of a transaction: its cluster time is complete only when something later has come */
};

/* The place of a change stream, kept as mongo/reader.c keeps it. */
struct model_place {
    uint64_t start; /* of the stream: earlier events are not in it */
    uint64_t complete, open_time;
    size_t next;    /* index of the event to be read next */
    bool reopening; /* the stream is closed: the oplog must still reach back to the place */
};

struct model_run {
    struct sweep *sweep; /* NULL = idle */
    struct model_place place;
};

/* What differs between worlds. */
struct model_rules {
    size_t journal_bytes, window_bytes;
    unsigned max_sweeps, batch_max;
    bool shares_times; /* servers >= 8.0 and mongos: any events may share a cluster time */
    bool late_times;   /* a mongos: more events of the newest cluster time may come */
    unsigned forget_keep; /* events that the oplog keeps at least when it forgets */
};

struct model_stats {
    uint64_t events, transactions, forgets, losses, sweep_losses, sweeps, evicted_windows;
    uint64_t connects, received, gaps, marks, overlaps, fall_backs, carry_losses, worlds;
};

struct model_world {
    uint64_t seed, random, step;
    uint64_t connections; /* numbers them, over all loops */
    struct model_rules rules;
    struct model_event *events;
    size_t count, cap;
    uint64_t now;        /* newest cluster time of the deployment */
    uint64_t oplog_time; /* the oplog holds everything from this cluster time on */
    uint64_t *losses;    /* where each told loss ends */
    size_t loss_count, loss_cap;
    struct source *source;
    bool opened;
    struct model_place watcher;
    struct model_run runs[MODEL_SWEEPS_MAX];
    struct model_stats *stats;
};

uint64_t model_random(struct model_world *world);
/* Evenly in [low, high]. */
uint64_t model_between(struct model_world *world, uint64_t low, uint64_t high);
bool model_chance(struct model_world *world, unsigned percent);

void model_world_init(struct model_world *world, uint64_t seed, struct model_stats *stats);
void model_world_fini(struct model_world *world);

/* Print where we are and fail the test. */
void model_fail(const struct model_world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/* Index of the first event whose cluster time is at least `time`. */
size_t model_index_at(const struct model_world *world, uint64_t time);

/* Index of the first event that a reader wants who has everything up to this id. */
size_t model_index_after(const struct model_world *world, struct event_id id);

/* One step of each actor. */
void model_produce(struct model_world *world);
void model_forget(struct model_world *world);
void model_watch(struct model_world *world);
void model_sweep(struct model_world *world, unsigned run);

/* Was this end of a loss ever told to a journal? */
bool model_knows_loss(const struct model_world *world, uint64_t to);

#endif
