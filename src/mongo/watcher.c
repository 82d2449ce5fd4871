/* watcher - see watcher.h. */
#include "watcher.h"

#include "buffer.h"
#include "clock.h"
#include "log.h"
#include "poller.h"
#include "random.h"
#include "server_facts.h"
#include "server_watch.h"
#include "stream_error.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    BACKOFF_FIRST_MS = 50,
    BACKOFF_MAX_MS = 5000,
    PROBE_EVERY_US = 5000000, /* while it polls: have change streams become possible? */
    SCAN_AFTER_S = 30,      /* a start further back than this is read with the long patience first */
};

struct watcher {
    pthread_t thread;
    struct watcher_options options;
    struct source *source;
    struct reader *reader;
    struct poller *poller;
    struct grants_feed *grants; /* or NULL */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping; /* under lock */
    /* of the thread alone */
    enum source_polling polls; /* and why; SOURCE_FOLLOWS_STREAM: it reads a change stream, or tries to */
    bool poll_begun;         /* it has looked once */
    int64_t probe_due_us;
    bool opened;             /* once */
    bool fresh;              /* opened, but nothing was read yet */
    uint64_t start;          /* the cluster time it was opened at */
    int64_t backoff_ms;
    int lost_attempts;
    unsigned failures;       /* in a row */
    uint64_t lost_from;      /* history was lost after this cluster time: told when the stream is open again */
    struct server_watch facts;
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

/* Go there, whatever was before. */
static void go_to(struct watcher *w, uint64_t start)
{
    reader_seek(w->reader, start);
    grants_feed_seek(w->grants, start);
}

static int first_place(struct watcher *w, struct error *err)
{
    uint64_t now;
    if (database_present(w->options.reader.database, &now, err) != 0) {
        return -1;
    }
    if (!atomic_load(&w->source->status.live_from)) {
        atomic_store(&w->source->status.live_from, now + 1);
    }
    source_note_cluster_time(w->source, now); /* before anyone is served: the start may lie in the past */
    uint64_t start = warm_place_find(w->options.reader.database, &w->options.warm, now);
    atomic_store(&w->source->status.warming, start <= now);
    go_to(w, start);
    return 0;
}

/* After a loss: near the oldest entry that is left, or the present when that cannot be known. */
static int place_after_loss(struct watcher *w, struct error *err)
{
    uint64_t now, first = 0, last;
    if (database_present(w->options.reader.database, &now, err) != 0) {
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
    go_to(w, start > least ? start : least);
    return 0;
}

/* --- opening ----------------------------------------------------------------------------------------- */

static bool is_far_back(struct watcher *w)
{
    if (!w->opened && atomic_load(&w->source->status.warming)) {
        return true; /* however short: those who come meanwhile must be able to tell that what is read is the past */
    }
    uint32_t now_s = source_cluster_seconds(w->source);
    return now_s && (uint32_t)(reader_complete(w->reader) >> 32) + SCAN_AFTER_S < now_s;
}

static void tell_loss(struct watcher *w)
{
    struct rows *rows = rows_replay_read(&w->options.reader, &w->options.replay, w->lost_from, w->start);
    struct frame *loss = frame_new_loss(w->lost_from, event_id_position(w->start), rows);
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
    if (reader_open(w->reader, far ? database_patience_after(w->failures) : DATABASE_TAIL, err) != 0) {
        return -1;
    }
    grants_feed_load(w->grants, reader_border(w->reader));
    w->start = reader_complete(w->reader) + 1;
    w->fresh = true;
    source_set_state(w->source, far ? SOURCE_SCANNING : SOURCE_STREAMING);
    return 0;
}

/* --- streaming ----------------------------------------------------------------------------------------- */

static void refresh_facts(struct watcher *w)
{
    const struct server_watch_options options = {
        .database = w->options.reader.database,
        .mappings = w->options.reader.mappings,
        .source = w->source,
        .oplog_window_min_s = w->options.oplog_window_min_s,
    };
    atomic_store(&w->source->status.warming, false);
    server_watch_run(&w->facts, &options, reader_lateness(w->reader));
}

static void tell_grants(struct watcher *w)
{
    struct frame *news = grants_feed_news(w->grants);
    if (news) {
        journal_append(w->source->journal, &news, 1, 0);
    }
}

/* Behind a batch: the grants are as old as the place that it has reached. */
static void tend_grants(struct watcher *w, const struct reader_batch *batch)
{
    uint64_t now = atomic_load(&w->source->status.cluster_time);
    grants_feed_confirm(w->grants, batch->idle ? now : batch->complete, now);
    grants_feed_load(w->grants, reader_border(w->reader));
    tell_grants(w);
}

static void take_batch(struct watcher *w, const struct reader_batch *batch)
{
    if (w->fresh) {
        note_open(w);
    }
    tell_grants(w);
    atomic_fetch_add(&w->source->status.events, batch->count - batch->grants);
    journal_append(w->source->journal, batch->frames, batch->count, batch->complete);
    tend_grants(w, batch);
    w->backoff_ms = BACKOFF_FIRST_MS;
    w->failures = 0;
    if (batch->reopen) {
        reader_close(w->reader, true);
        return;
    }
    if (!batch->at_tail) {
        return;
    }
    if (reader_patience(w->reader) != DATABASE_TAIL) {
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
    char sentence[320];
    snprintf(sentence, sizeof sentence, "%.150s (code %d)%s%.130s", err->text, err->code, *advice ? "; " : "", advice);
    source_note_error(w->source, sentence);
    log_write_limited(&w->error_limit, LOG_LEVEL_WARN, "watcher", "source %s: %s", w->source->name, sentence);
}

/* --- polling ---------------------------------------------------------------------------------------------- */

static bool must_stop(void *context)
{
    return is_stopping(context);
}

/* A change stream of a whole database can be opened also where all that it would tell of has none. */
static bool has_no_stream(struct watcher *w)
{
    mongoc_client_t *client = database_pop(w->options.reader.database, DATABASE_TAIL);
    bool needed = client && poller_is_needed(client, w->options.reader.mappings);
    if (client) {
        database_push(w->options.reader.database, DATABASE_TAIL, client);
    }
    return needed;
}

static void turn_to_polling(struct watcher *w, enum source_polling why)
{
    reader_close(w->reader, false);
    poller_reset(w->poller);
    w->polls = why;
    w->poll_begun = false;
    w->probe_due_us = clock_mono_us() + PROBE_EVERY_US;
    w->backoff_ms = BACKOFF_FIRST_MS;
}

/* It has looked once: only now is it certain that it can. */
static void begin_polling(struct watcher *w)
{
    struct source *s = w->source;
    uint64_t start = poller_clock(w->poller) + 1;
    log_warn("watcher", "source %s: %s", s->name, source_polling_sentence(w->polls));
    atomic_store(&s->status.lag_ms, -1);
    atomic_store(&s->status.polling, (int)w->polls); /* first, so that no id is told that means nothing any more */
    if (w->opened) {
        journal_restart(s->journal, frame_new_mode(event_id_position(start)), start);
    } else {
        journal_open(s->journal, start);
        w->opened = true;
        atomic_store(&s->status.opened, true);
    }
    w->poll_begun = true;
    w->lost_from = 0;
    w->lost_attempts = 0;
}

/* The stream is open from this cluster time on, and all that polling could find is in the journal. */
static void end_polling(struct watcher *w, uint64_t start)
{
    struct source *s = w->source;
    log_warn("watcher", "source %s: change streams have become possible; every reader is told of a gap", s->name);
    atomic_fetch_add(&s->status.opens, 1);
    atomic_store(&s->status.mode_since, start);
    atomic_store(&s->status.polling, SOURCE_FOLLOWS_STREAM);
    journal_restart(s->journal, frame_new_mode(event_id_position(start)), start);
    w->polls = SOURCE_FOLLOWS_STREAM;
    w->fresh = false;
}

/* Open a stream at the present, then look once more at everything before it. Returns false when there is none yet. */
static bool change_over(struct watcher *w, uint64_t now)
{
    struct error err = {0};
    struct reader_batch batch;
    go_to(w, now + 1);
    if (reader_open(w->reader, DATABASE_TAIL, &err) != 0 || reader_next(w->reader, &batch, &err) != 0) {
        report(w, stream_error_action(err.code), &err);
        reader_close(w->reader, false);
        return false;
    }
    if (poller_look(w->poller, now, &err) != 0) {
        report(w, STREAM_REOPEN, &err); /* what was not seen lies in the gap */
    }
    end_polling(w, now + 1);
    grants_feed_load(w->grants, now + 1);
    take_batch(w, &batch);
    return true;
}

/* Have change streams become possible? Then polling is over. */
static bool leave_polling(struct watcher *w)
{
    uint64_t now;
    struct error err;
    if (clock_mono_us() < w->probe_due_us) {
        return false;
    }
    w->probe_due_us = clock_mono_us() + PROBE_EVERY_US;
    if (database_present(w->options.reader.database, &now, &err) != 0 || has_no_stream(w)) {
        return false;
    }
    if (w->poll_begun) {
        return change_over(w, now);
    }
    atomic_store(&w->source->status.polling, SOURCE_FOLLOWS_STREAM);
    w->polls = SOURCE_FOLLOWS_STREAM;
    return true;
}

static void poll_turn(struct watcher *w)
{
    struct error err = {0};
    if (leave_polling(w)) {
        return;
    }
    if (poller_look(w->poller, 0, &err) != 0) {
        report(w, stream_error_action(err.code), &err);
        back_off(w, 0);
        return;
    }
    grants_feed_poll(w->grants, poller_clock(w->poller) + 1);
    if (!w->poll_begun) {
        begin_polling(w);
    }
    tell_grants(w);
    w->backoff_ms = BACKOFF_FIRST_MS;
    source_set_state(w->source, SOURCE_POLLING);
    sleep_ms(w, w->options.poll_interval_ms);
}

/* --- turns -------------------------------------------------------------------------------------------------- */

static void handle_error(struct watcher *w, const struct error *err)
{
    enum stream_action action = stream_error_action(err->code);
    enum source_polling why = stream_action_polling(action);
    if (why && w->options.may_poll) {
        turn_to_polling(w, why);
        return;
    }
    report(w, action, err);
    w->failures++;
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
        back_off(w, 0);
        break;
    case STREAM_NOT_REPLICA_SET:
    case STREAM_UNAUTHORIZED:
    case STREAM_NO_STREAM:
    case STREAM_MISCONFIGURED:
        back_off(w, BACKOFF_MAX_MS);
        break;
    case STREAM_REOPEN:
        back_off(w, 0);
        break;
    }
}

static void stream_turn(struct watcher *w)
{
    struct error err = {0};
    struct reader_batch batch;
    if (!reader_is_open(w->reader)) {
        if (!w->opened && w->options.may_poll && has_no_stream(w)) {
            turn_to_polling(w, SOURCE_POLLS_VIEWS);
        } else if (open_stream(w, &err) != 0) {
            handle_error(w, &err);
        }
    } else if (reader_next(w->reader, &batch, &err) == 0) {
        take_batch(w, &batch);
    } else {
        handle_error(w, &err);
    }
}

static void *watcher_main(void *arg)
{
    struct watcher *w = arg;
    pthread_setname_np(pthread_self(), "tw-watcher");
    while (!is_stopping(w)) {
        if (w->polls) {
            poll_turn(w);
        } else {
            stream_turn(w);
        }
    }
    reader_close(w->reader, true);
    source_set_state(w->source, SOURCE_STOPPED);
    return NULL;
}

static struct grants_feed *feed_new(const struct watcher_options *options)
{
    const struct reader_options *reader = &options->reader;
    const struct grants_feed_options feed = {reader->database, reader->mappings, options->grants, reader->source};
    const char *database, *collection;
    bool some = options->grants && mapping_set_grants(reader->mappings, &database, &collection);
    return some ? grants_feed_new(&feed) : NULL;
}

struct watcher *watcher_start(const struct watcher_options *options)
{
    struct watcher *w = memory_zero(1, sizeof *w);
    w->options = *options;
    w->source = options->reader.source;
    w->grants = feed_new(options);
    w->options.reader.grants = w->grants;
    w->reader = reader_new(&w->options.reader);
    w->poller = poller_new(&(struct poller_options){options->reader, options->poll_overlap_s, must_stop, w});
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
    poller_free(w->poller);
    grants_feed_free(w->grants);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w);
}
