/* reader - see reader.h. */
#include "reader.h"

#include "buffer.h"
#include "change_stream.h"
#include "clock.h"
#include "log.h"
#include "stream_error.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { BATCH_SIZE = 1000, GIANT_FRAMES = 2 };

/* A collection that was seen, so that the catalog is told of each only once. */
struct seen_collection {
    UT_hash_handle hh;
    char name[];
};

struct reader {
    struct reader_options options;
    struct event_builder *builder;
    mongoc_client_t *client;
    enum database_patience patience;
    struct change_stream *stream;
    struct frame **frames;
    size_t frame_cap;
    /* the place */
    uint64_t complete;
    uint64_t open_time;  /* a cluster time > complete of which some events were given out, or 0 */
    uint64_t open_count; /* how many */
    uint64_t open_small; /* without those whose document was left out: what a stream with the guard has of them */
    /* around a giant, see note_giant() */
    unsigned careful; /* so many events are still read one at a time */
    bool guard;       /* a stream that is opened now drops giants */
    bool guard_told;  /* a gap was given out for this guard */
    bool moved;       /* something came since the stream was opened */
    /* of the open stream */
    uint64_t skip;       /* events of open_time still to be skipped */
    bool shares_times;   /* server >= 8.0, or several shards: any events may share a cluster time */
    uint64_t present;    /* the deployment's cluster time when it was opened */
    bool waits;          /* the last answer held all there was: the next one is waited for */
    struct lateness lateness;
    int64_t moments[BATCH_SIZE]; /* of the batch: the different wallTimes, in their order */
    size_t moment_count;
    struct seen_collection *seen;
    struct log_limit unroutable_limit;
};

struct reader *reader_new(const struct reader_options *options)
{
    struct reader *r = memory_zero(1, sizeof *r);
    r->options = *options;
    return r;
}

void reader_free(struct reader *r)
{
    if (!r) {
        return;
    }
    reader_close(r, false);
    struct seen_collection *c, *next;
    HASH_ITER(hh, r->seen, c, next)
    {
        HASH_DEL(r->seen, c);
        free(c);
    }
    free(r->frames);
    free(r);
}

void reader_seek(struct reader *r, uint64_t start)
{
    r->complete = start - 1;
    r->open_time = r->open_count = r->open_small = 0;
}

uint64_t reader_complete(const struct reader *r)
{
    return r->complete;
}

uint64_t reader_border(const struct reader *r)
{
    return r->open_time > r->complete ? r->open_time : r->complete + 1;
}

bool reader_is_open(const struct reader *r)
{
    return r->stream != NULL;
}

enum database_patience reader_patience(const struct reader *r)
{
    return r->patience;
}

const struct lateness *reader_lateness(const struct reader *r)
{
    return &r->lateness;
}

void reader_close(struct reader *r, bool polite)
{
    if (r->stream) {
        atomic_fetch_sub(&r->options.source->status.streams_open, 1);
    }
    change_stream_close(r->stream, polite);
    r->stream = NULL;
    event_builder_free(r->builder);
    r->builder = NULL;
    if (r->client) {
        database_push(r->options.database, r->patience, r->client);
        r->client = NULL;
    }
}

static int learn_server(struct reader *r, struct error *err)
{
    struct database_hello hello;
    if (database_hello(r->client, &hello, err) != 0) {
        return -1;
    }
    r->shares_times = hello.major >= 8 || hello.is_mongos;
    r->present = hello.cluster_time;
    source_note_cluster_time(r->options.source, hello.cluster_time);
    return 0;
}

static int open_stream(struct reader *r, struct error *err)
{
    struct change_stream_options options = {
        .mappings = r->options.mappings,
        .start = r->open_time ? r->open_time : r->complete + 1,
        .drop_oversize = r->guard,
        .with_grants = r->options.grants != NULL,
        .batch_size = r->careful ? 1 : BATCH_SIZE,
        .max_await_ms = database_max_await_ms(r->options.database),
    };
    if (learn_server(r, err) != 0 || change_stream_open(r->client, &options, &r->stream, err) != 0) {
        return -1;
    }
    atomic_fetch_add(&r->options.source->status.streams_open, 1);
    /* A new builder: the counts that number equal events start with the cluster time. */
    r->builder = event_builder_new(r->options.mappings, &r->options.build);
    r->skip = !r->open_time ? 0 : r->guard ? r->open_small : r->open_count;
    r->waits = r->moved = false;
    return 0;
}

int reader_open(struct reader *r, enum database_patience patience, struct error *err)
{
    reader_close(r, false);
    r->patience = patience;
    r->client = database_pop(r->options.database, patience);
    if (!r->client) {
        return error_set(err, "no free connection to MongoDB");
    }
    if (open_stream(r, err) != 0) {
        reader_close(r, false);
        return -1;
    }
    return 0;
}

/* --- one batch ----------------------------------------------------------------------------------- */

static void note_collection(struct reader *r, const struct change *change)
{
    struct seen_collection *c;
    HASH_FIND(hh, r->seen, change->collection.data, change->collection.len, c);
    if (c || change->collection.len == 0) {
        return;
    }
    const struct mapping *m = mapping_set_find(r->options.mappings, change->database, change->collection);
    if (m) {
        mapping_describe_collection(m, change->collection, r->options.source->catalog);
    }
    c = memory_zero(1, sizeof *c + change->collection.len);
    memcpy(c->name, change->collection.data, change->collection.len);
    HASH_ADD_KEYPTR(hh, r->seen, c->name, change->collection.len, c);
}

/* Move the place past this change; true when it had been given out before the stream was reopened. */
static bool pass(struct reader *r, const struct change *change, bool is_small)
{
    r->moved = r->moved || !r->skip || change->cluster_time != r->open_time;
    if (r->skip && change->cluster_time == r->open_time) {
        r->skip--;
        return true;
    }
    r->skip = 0;
    if (change->cluster_time != r->open_time) {
        if (r->open_time > r->complete) {
            r->complete = r->open_time;
        }
        r->open_time = change->cluster_time;
        r->open_count = r->open_small = 0;
    }
    r->open_count++;
    r->open_small += is_small;
    if (!change->in_transaction && !r->shares_times) {
        r->complete = change->cluster_time;
        r->open_time = r->open_count = r->open_small = 0;
    }
    return false;
}

static void note_moment(struct reader *r, int64_t wall_ms)
{
    bool is_new = r->moment_count == 0 || r->moments[r->moment_count - 1] != wall_ms;
    if (is_new && wall_ms && r->moment_count < BATCH_SIZE) {
        r->moments[r->moment_count++] = wall_ms;
    }
}

/* What a change gives. */
struct made {
    struct frame *frame; /* NULL: nothing */
    enum event_outcome outcome;
    bool is_small;       /* the guard lets it pass */
    struct error reason;
};

static int make_grants(struct reader *r, const struct change *change, struct made *made, struct error *err)
{
    int outcome = grants_feed_take(r->options.grants, r->client, change, &made->frame, err);
    made->outcome = EVENT_UNCOVERED;
    made->is_small = outcome != GRANTS_GIANT;
    return outcome;
}

/* Returns 0, or -1 with *err. */
static int make(struct reader *r, const struct change *change, struct made *made, struct error *err)
{
    made->frame = NULL;
    int grants = r->options.grants ? make_grants(r, change, made, err) : GRANTS_OTHER;
    if (grants == GRANTS_OTHER) {
        note_collection(r, change);
        made->outcome = event_builder_change(r->builder, change, &made->frame, &made->reason);
        made->is_small = made->outcome != EVENT_OVERSIZE;
    }
    return grants < 0 ? -1 : 0;
}

static void count_made(struct reader *r, const struct change *change, const struct made *made)
{
    struct source_status *status = &r->options.source->status;
    atomic_fetch_add(&status->oversize, made->outcome == EVENT_OVERSIZE);
    if (made->outcome == EVENT_UNROUTABLE) {
        struct error sentence;
        error_set(&sentence, "no channel for %.*s.%.*s: %s", (int)change->database.len, change->database.data,
                  (int)change->collection.len, change->collection.data, made->reason.text);
        source_note_unroutable(r->options.source, sentence.text);
        log_write_limited(&r->unroutable_limit, LOG_LEVEL_WARN, "mapping", "source %s: %s", r->options.source->name,
                          sentence.text);
    }
}

/* Returns 0, or -1 with *err: the place is before this change. */
static int take_change(struct reader *r, const struct change *change, struct reader_batch *batch, int64_t *wall_ms,
                       struct error *err)
{
    struct made made;
    if (make(r, change, &made, err) != 0) {
        return -1;
    }
    if (pass(r, change, made.is_small)) {
        frame_unref(made.frame);
        return 0;
    }
    *wall_ms = change->wall_ms;
    note_moment(r, change->wall_ms);
    count_made(r, change, &made);
    if (made.frame) {
        batch->frames[batch->count++] = made.frame;
        batch->grants += made.frame->kind == FRAME_GRANTS;
    }
    return 0;
}

/* Take them one after the other. Returns 0, or -1 with *err: the place is before the one that could not be taken. */
static int take_changes(struct reader *r, bson_iter_t *documents, struct reader_batch *batch, int64_t *wall_ms,
                        struct error *err)
{
    struct change change;
    if (r->options.grants) {
        grants_feed_begin(r->options.grants, r->client, documents);
    }
    while (bson_iter_next(documents)) {
        if (change_read_at(documents, &change) && take_change(r, &change, batch, wall_ms, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Nothing more came: everything up to what the server vouches for was read. */
static void note_tail(struct reader *r, const struct change_batch *got)
{
    if (got->complete > r->complete) {
        r->complete = got->complete;
    }
    if (r->open_time && r->open_time <= r->complete) {
        r->open_time = r->open_count = r->open_small = 0;
    }
}

/* --- giants ---------------------------------------------------------------------------------------- */

/*
 * An event above 16 MB makes the whole answer fail: read on one at a time, until it is the next one; then open with the
 * guard, which drops it, and tell a gap in its place. The guard drops more than we know of, so it goes as soon as
 * something has passed; inside a cluster time with several events, whose number we would lose, at its end, with a gap.
 */
static void note_giant(struct reader *r)
{
    if (!r->careful) {
        r->careful = BATCH_SIZE;
    } else if (!r->moved) {
        r->guard_told = r->guard_told && r->guard;
        r->guard = true;
    }
}

static void tell_giant(struct reader *r, struct reader_batch *batch)
{
    /* Which collection it was in, nobody can know: everyone is told. */
    const struct slice everything = {"*", 1};
    batch->frames[batch->count++] = frame_new_oversize(event_id_position(reader_border(r)), everything);
    atomic_fetch_add(&r->options.source->status.oversize, 1);
    r->guard_told = true;
}

/* After a batch that began at this place: may the guard go? */
static void leave_guard(struct reader *r, struct reader_batch *batch, bool was_inside)
{
    if (!r->guard || r->open_time || !r->guard_told) {
        return;
    }
    if (was_inside) {
        tell_giant(r, batch);
    }
    r->guard = r->guard_told = false;
    batch->reopen = true;
}

static void count_careful(struct reader *r, size_t events)
{
    r->careful = r->careful > events ? r->careful - (unsigned)events : 0;
    if (r->stream && !r->careful && !r->guard) {
        change_stream_set_batch_size(r->stream, BATCH_SIZE);
    }
}

/* Make room for the frames of an answer; returns how many events it holds. */
static size_t reserve_frames(struct reader *r, const bson_iter_t *documents)
{
    bson_iter_t it = *documents;
    size_t count = 0;
    while (bson_iter_next(&it)) {
        count++;
    }
    if (count + GIANT_FRAMES > r->frame_cap) {
        r->frame_cap = count + GIANT_FRAMES;
        r->frames = memory_resize(r->frames, r->frame_cap * sizeof(struct frame *));
    }
    return count;
}

/* How late is what was waited for? A full answer tells nothing: its events may have waited for us. */
static void note_lateness(struct reader *r, size_t events, int64_t arrived_ms)
{
    bool is_full = events >= BATCH_SIZE || r->careful;
    if (r->waits && !is_full) {
        const struct lateness_batch batch = {r->moments, r->moment_count, events};
        lateness_take(&r->lateness, &batch, arrived_ms, clock_mono_us());
    }
    r->waits = !is_full;
}

static int get_batch(struct reader *r, struct change_batch *got, struct error *err)
{
    int rc = change_stream_next(r->stream, got, err);
    if (rc != 0) {
        if (err && stream_error_action(err->code) == STREAM_TOO_LARGE) {
            note_giant(r);
        }
        reader_close(r, false);
    }
    return rc;
}

/* A change could not be taken: what came before it is given out, or the error told. */
static int cut_batch(struct reader *r, struct reader_batch *batch)
{
    batch->complete = r->complete;
    batch->reopen = true;
    if (batch->count == 0) {
        reader_close(r, true);
        return -1;
    }
    return 0;
}

static void note_progress(struct reader *r, const struct change_batch *got, int64_t wall_ms)
{
    source_note_cluster_time(r->options.source, got->cluster_time);
    if (wall_ms) {
        atomic_store(&r->options.source->status.lag_ms, clock_wall_ms() - wall_ms);
    } else if (got->empty) {
        atomic_store(&r->options.source->status.lag_ms, 0);
    }
}

int reader_next(struct reader *r, struct reader_batch *batch, struct error *err)
{
    struct change_batch got;
    if (get_batch(r, &got, err) != 0) {
        return -1;
    }
    int64_t wall_ms = 0, arrived_ms = clock_wall_ms();
    size_t events = reserve_frames(r, &got.documents);
    *batch = (struct reader_batch){.frames = r->frames};
    r->moment_count = 0;
    bool was_inside = r->open_time != 0;
    if (r->guard && !r->guard_told && (events > r->skip || got.complete > r->complete)) {
        tell_giant(r, batch);
    }
    int rc = take_changes(r, &got.documents, batch, &wall_ms, err);
    note_progress(r, &got, wall_ms);
    if (rc != 0) {
        return cut_batch(r, batch);
    }
    note_tail(r, &got);
    leave_guard(r, batch, was_inside);
    count_careful(r, events);
    note_lateness(r, events, arrived_ms);
    batch->complete = r->complete;
    batch->idle = got.empty;
    batch->at_tail = got.empty || r->complete > r->present;
    return 0;
}
