/* watcher - see watcher.h. */
#include "watcher.h"

#include "buffer.h"
#include "clock.h"
#include "log.h"
#include "random.h"
#include "server_facts.h"
#include "stream_error.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    BACKOFF_FIRST_MS = 50,
    BACKOFF_MAX_MS = 5000,
    SCAN_AFTER_S = 30,      /* a start further back than this is read with the long patience first */
    FACTS_EVERY_US = 30000000,
};

struct watcher {
    pthread_t thread;
    struct watcher_options options;
    struct source *source;
    struct reader *reader;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping; /* under lock */
    /* of the thread alone */
    bool opened;             /* once */
    bool fresh;              /* opened, but nothing was read yet */
    uint64_t start;          /* the cluster time it was opened at */
    int64_t backoff_ms;
    int lost_attempts;
    uint64_t lost_from;      /* history was lost after this cluster time: told when the stream is open again */
    uint64_t guard_from;     /* too large: the guard stays until `complete` has passed this */
    bool guard;
    int64_t facts_due_us;
    struct log_limit error_limit;
};

static bool is_stopping(struct watcher *w)
{
    pthread_mutex_lock(&w->lock);
    bool stopping = w->stopping;
    pthread_mutex_unlock(&w->lock);
    return stopping;
}

static void sleep_ms(struct watcher *w, int64_t ms)
{
    struct timespec deadline = clock_deadline(ms);
    pthread_mutex_lock(&w->lock);
    while (!w->stopping && pthread_cond_timedwait(&w->wake, &w->lock, &deadline) == 0) {
    }
    pthread_mutex_unlock(&w->lock);
}

static void back_off(struct watcher *w, int64_t least_ms)
{
    source_set_state(w->source, SOURCE_BACKING_OFF);
    int64_t base = w->backoff_ms > least_ms ? w->backoff_ms : least_ms;
    sleep_ms(w, random_between(base / 2, base));
    w->backoff_ms = w->backoff_ms * 2 < BACKOFF_MAX_MS ? w->backoff_ms * 2 : BACKOFF_MAX_MS;
}

/* --- where to start -------------------------------------------------------------------------------- */

/* The deployment's present, by a client of its own for a moment. */
static int present(struct watcher *w, uint64_t *now, struct error *err)
{
    struct database_hello hello;
    mongoc_client_t *client = database_pop(w->options.reader.database, DATABASE_TAIL);
    if (!client) {
        return error_set(err, "no free connection to MongoDB");
    }
    int rc = database_hello(client, &hello, err);
    database_push(w->options.reader.database, DATABASE_TAIL, client);
    if (rc != 0) {
        return rc;
    }
    if (!hello.cluster_time) {
        error_set(err, "the server is not a member of a replica set");
        err->code = 40573;
        return -1;
    }
    *now = hello.cluster_time;
    return 0;
}

static int first_place(struct watcher *w, struct error *err)
{
    uint64_t now;
    if (present(w, &now, err) != 0) {
        return -1;
    }
    atomic_store(&w->source->status.live_from, now + 1);
    uint64_t warm = (uint64_t)w->options.warm_s << 32;
    reader_seek(w->reader, warm && warm < now ? now - warm : now + 1);
    return 0;
}

/* After a loss: near the oldest entry that is left, or the present when that cannot be known. */
static int place_after_loss(struct watcher *w, struct error *err)
{
    uint64_t now, first = 0, last;
    if (present(w, &now, err) != 0) {
        return -1;
    }
    mongoc_client_t *client = database_pop(w->options.reader.database, DATABASE_TAIL);
    if (client && server_facts_oplog(client, &first, &last, NULL) != 0) {
        first = 0;
    }
    if (client) {
        database_push(w->options.reader.database, DATABASE_TAIL, client);
    }
    /* Its oldest entries may go while we open there: a second later at each attempt. */
    uint64_t margin = (uint64_t)w->lost_attempts << 32;
    bool known = first && w->lost_attempts < 4 && first + margin < now;
    uint64_t start = known ? first + margin : now + 1;
    /* Of a transaction that was being read, some events are out already. */
    uint64_t border = reader_border(w->reader);
    uint64_t least = border == w->lost_from + 1 ? border : border + 1;
    reader_seek(w->reader, start > least ? start : least);
    return 0;
}

/* --- opening ----------------------------------------------------------------------------------------- */

static bool is_far_back(struct watcher *w)
{
    uint32_t now_s = source_cluster_seconds(w->source);
    return now_s && (uint32_t)(reader_complete(w->reader) >> 32) + SCAN_AFTER_S < now_s;
}

static void tell_loss(struct watcher *w)
{
    struct frame *loss = frame_new_loss(w->lost_from, event_id_position(w->start), NULL);
    log_error("watcher",
              "source %s: history was lost, the oplog no longer reaches back; a gap of %u s is told to every reader",
              w->source->name, (unsigned)((w->start >> 32) - (w->lost_from >> 32)));
    journal_append(w->source->journal, &loss, 1, w->start - 1);
    atomic_fetch_add(&w->source->status.losses, 1);
}

/* The first answer has come: only now is it certain that the stream is open (with batchSize 0 the server looks for the
 * start point, and may find that it is gone, in the first getMore). */
static void note_open(struct watcher *w)
{
    struct source *s = w->source;
    atomic_fetch_add(&s->status.opens, 1);
    log_info("watcher", "source %s: change stream open%s", s->name, w->opened ? " again" : "");
    if (!w->opened) {
        journal_open(s->journal, w->start);
        w->opened = true;
        atomic_store(&s->status.opened, true);
    } else if (w->lost_from) {
        tell_loss(w);
    }
    w->fresh = false;
    w->lost_from = 0;
    w->lost_attempts = 0;
}

static int find_place(struct watcher *w, struct error *err)
{
    if (!w->opened && !w->lost_from) {
        return first_place(w, err);
    }
    return w->lost_from ? place_after_loss(w, err) : 0;
}

static int open_stream(struct watcher *w, struct error *err)
{
    source_set_state(w->source, SOURCE_OPENING);
    if (find_place(w, err) != 0) {
        return -1;
    }
    bool far = is_far_back(w);
    if (reader_open(w->reader, far ? DATABASE_SCAN : DATABASE_TAIL, w->guard, err) != 0) {
        return -1;
    }
    w->start = reader_complete(w->reader) + 1;
    w->fresh = true;
    source_set_state(w->source, far ? SOURCE_SCANNING : SOURCE_STREAMING);
    return 0;
}

/* --- streaming ----------------------------------------------------------------------------------------- */

static void tell_oversize(struct watcher *w)
{
    /* Which collection it was in, nobody can know: everyone is told. */
    struct slice everything = {"*", 1};
    struct frame *frame = frame_new_oversize(event_id_position(reader_border(w->reader)), everything);
    journal_append(w->source->journal, &frame, 1, reader_complete(w->reader));
    atomic_fetch_add(&w->source->status.oversize, 1);
}

static void refresh_facts(struct watcher *w)
{
    int64_t now_us = clock_mono_us();
    if (now_us < w->facts_due_us) {
        return;
    }
    w->facts_due_us = now_us + FACTS_EVERY_US;
    mongoc_client_t *client = database_pop(w->options.reader.database, DATABASE_TAIL);
    if (!client) {
        return;
    }
    uint64_t first, last;
    if (server_facts_oplog(client, &first, &last, NULL) == 0) {
        atomic_store(&w->source->status.oplog_first, first);
        atomic_store(&w->source->status.oplog_last, last);
    }
    server_facts_collections(client, w->options.reader.mappings, w->source->catalog, NULL);
    database_push(w->options.reader.database, DATABASE_TAIL, client);
}

static void take_batch(struct watcher *w, const struct reader_batch *batch)
{
    if (w->fresh) {
        note_open(w);
    }
    atomic_fetch_add(&w->source->status.events, batch->count);
    journal_append(w->source->journal, batch->frames, batch->count, batch->complete);
    w->backoff_ms = BACKOFF_FIRST_MS;
    if (w->guard && batch->complete > w->guard_from) {
        w->guard = false; /* the giant lies behind us: open without the guard again, nothing is dropped silently */
        reader_close(w->reader, true);
        return;
    }
    if (!batch->at_tail) {
        return;
    }
    if (reader_patience(w->reader) == DATABASE_SCAN) {
        reader_close(w->reader, true); /* caught up: the short patience from here on */
        return;
    }
    source_set_state(w->source, SOURCE_STREAMING);
    refresh_facts(w);
}

/* --- errors ---------------------------------------------------------------------------------------------- */

static void report(struct watcher *w, enum stream_action action, const struct error *err)
{
    const char *advice = stream_action_advice(action);
    char sentence[256];
    snprintf(sentence, sizeof sentence, "%.150s (code %d)%s%.90s", err->text, err->code, *advice ? "; " : "", advice);
    source_note_error(w->source, sentence);
    log_write_limited(&w->error_limit, LOG_LEVEL_WARN, "watcher", "source %s: %s", w->source->name, sentence);
}

static void handle_error(struct watcher *w, const struct error *err)
{
    enum stream_action action = stream_error_action(err->code);
    report(w, action, err);
    switch (action) {
    case STREAM_HISTORY_LOST:
        if (!w->lost_from) {
            w->lost_from = reader_complete(w->reader) ? reader_complete(w->reader) : 1;
        } else {
            w->lost_attempts++;
        }
        back_off(w, 0);
        break;
    case STREAM_TOO_LARGE:
        w->guard = true;
        w->guard_from = reader_complete(w->reader);
        tell_oversize(w);
        back_off(w, 0);
        break;
    case STREAM_NOT_REPLICA_SET:
    case STREAM_UNAUTHORIZED:
    case STREAM_MISCONFIGURED:
        back_off(w, BACKOFF_MAX_MS);
        break;
    case STREAM_REOPEN:
        back_off(w, 0);
        break;
    }
}

static void *watcher_main(void *arg)
{
    struct watcher *w = arg;
    pthread_setname_np(pthread_self(), "tw-watcher");
    while (!is_stopping(w)) {
        struct error err = {0};
        struct reader_batch batch;
        if (!reader_is_open(w->reader)) {
            if (open_stream(w, &err) != 0) {
                handle_error(w, &err);
            }
        } else if (reader_next(w->reader, &batch, &err) == 0) {
            take_batch(w, &batch);
        } else {
            handle_error(w, &err);
        }
    }
    reader_close(w->reader, true);
    source_set_state(w->source, SOURCE_STOPPED);
    return NULL;
}

struct watcher *watcher_start(const struct watcher_options *options)
{
    struct watcher *w = memory_zero(1, sizeof *w);
    w->options = *options;
    w->source = options->reader.source;
    w->reader = reader_new(&options->reader);
    w->backoff_ms = BACKOFF_FIRST_MS;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    mapping_set_describe(options->reader.mappings, w->source->catalog);
    if (pthread_create(&w->thread, NULL, watcher_main, w) != 0) {
        abort(); /* nothing works without it, and there is nobody to tell yet */
    }
    return w;
}

void watcher_stop(struct watcher *w)
{
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void watcher_join(struct watcher *w)
{
    pthread_join(w->thread, NULL);
    reader_free(w->reader);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w);
}
