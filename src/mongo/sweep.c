/* sweep - see sweep.h. */
#include "sweep.h"

#include "buffer.h"
#include "log.h"
#include "random.h"
#include "server_facts.h"
#include "stream_error.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { BACKOFF_FIRST_MS = 50, BACKOFF_MAX_MS = 2000, ROOM_WAIT_MS = 100 };

struct sweep_threads {
    struct reader_options options;
    atomic_bool stopping;
    unsigned count;
    pthread_t *threads;
};

/* One run from a point to the journal. */
struct run {
    struct sweep_threads *pool;
    struct catchup *catchup;
    struct source *source;
    struct sweep *sweep;
    struct reader *reader;
    uint64_t lost_from; /* history was lost after this cluster time, to be told when the stream is open */
    int lost_attempts;
    int64_t backoff_ms;
    bool begun;         /* the stream has answered since it was opened */
    unsigned failures;  /* in a row */
};

static void nap(int64_t ms)
{
    struct timespec t = {ms / 1000, (ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

static bool must_stop(const struct run *run)
{
    return atomic_load(&run->pool->stopping);
}

/* Where to go on after a loss: near the oldest entry of the oplog. 0: that cannot be read, or all that is left of it is in
 * the source's journal. */
static uint64_t place_after_loss(struct run *run)
{
    struct journal_state journal;
    uint64_t first = 0, last = 0;
    journal_state(run->source->journal, &journal);
    mongoc_client_t *client = database_pop(run->pool->options.database, DATABASE_TAIL);
    if (client) {
        if (server_facts_oplog(client, &first, &last, NULL) != 0) {
            first = 0;
        }
        database_push(run->pool->options.database, DATABASE_TAIL, client);
    }
    /* Its oldest entries may go while we open there: a second later at each attempt. */
    uint64_t start = first + ((uint64_t)run->lost_attempts << 32);
    /* Of a transaction that was being read, some events are out already. */
    uint64_t border = reader_border(run->reader);
    uint64_t least = border == run->lost_from + 1 ? border : border + 1;
    bool known = first && run->lost_attempts < 4 && start < journal.floor;
    return !known ? 0 : start > least ? start : least;
}

static void tell_loss(struct run *run, uint64_t to)
{
    struct frame *loss = frame_new_loss(run->lost_from, event_id_position(to), NULL);
    catchup_advance(run->catchup, run->sweep, &loss, 1, to - 1);
    run->lost_from = 0;
    run->lost_attempts = 0;
}

/* Nothing can be read between here and the source's journal: a loss up to it, and the sweep has reached its end. */
static void lose_up_to_journal(struct run *run)
{
    struct journal_state journal;
    journal_state(run->source->journal, &journal);
    tell_loss(run, journal.floor);
}

static int open_stream(struct run *run, struct error *err)
{
    if (run->lost_from) {
        uint64_t place = place_after_loss(run);
        if (place == 0) {
            lose_up_to_journal(run);
            return 0;
        }
        reader_seek(run->reader, place);
    }
    run->begun = false;
    if (reader_open(run->reader, database_patience_after(run->failures), err) != 0) {
        return -1;
    }
    atomic_fetch_add(&run->source->status.catchup_opens, 1);
    return 0;
}

static void take_batch(struct run *run, uint64_t before, const struct reader_batch *batch)
{
    run->backoff_ms = BACKOFF_FIRST_MS;
    if (!run->begun && run->lost_from) {
        tell_loss(run, before + 1);
    }
    run->begun = true;
    run->failures = 0;
    while (batch->count && !must_stop(run) && !sweep_wait_for_room(run->sweep, ROOM_WAIT_MS)) {
        if (!catchup_is_wanted(run->catchup, run->sweep)) {
            break;
        }
    }
    catchup_advance(run->catchup, run->sweep, batch->frames, batch->count, batch->complete);
    if (batch->reopen) {
        reader_close(run->reader, true);
    }
}

static void handle_error(struct run *run, const struct error *err)
{
    enum stream_action action = stream_error_action(err->code);
    source_note_error(run->source, err->text);
    log_write(LOG_LEVEL_WARN, "catchup", "source %s: %s (code %d)", run->source->name, err->text, err->code);
    if (action == STREAM_HISTORY_LOST) {
        run->lost_attempts += run->lost_from != 0;
        run->lost_from = run->lost_from ? run->lost_from : reader_complete(run->reader);
    }
    run->failures++;
    nap(random_between(run->backoff_ms / 2, run->backoff_ms));
    run->backoff_ms = run->backoff_ms * 2 < BACKOFF_MAX_MS ? run->backoff_ms * 2 : BACKOFF_MAX_MS;
}

static void step(struct run *run)
{
    struct error err = {0};
    struct reader_batch batch;
    uint64_t before = reader_complete(run->reader);
    if (!reader_is_open(run->reader)) {
        if (open_stream(run, &err) != 0) {
            handle_error(run, &err);
        }
        return;
    }
    if (reader_next(run->reader, &batch, &err) == 0) {
        take_batch(run, before, &batch);
        return;
    }
    handle_error(run, &err);
}

static void sweep_run(struct sweep_threads *pool, struct sweep *sweep, uint64_t start)
{
    struct run run = {
        .pool = pool,
        .catchup = pool->options.source->catchup,
        .source = pool->options.source,
        .sweep = sweep,
        .reader = reader_new(&pool->options),
        .backoff_ms = BACKOFF_FIRST_MS,
    };
    reader_seek(run.reader, start);
    while (!must_stop(&run) && !catchup_reached(run.catchup, sweep) && catchup_is_wanted(run.catchup, sweep)) {
        step(&run);
    }
    reader_close(run.reader, true);
    reader_free(run.reader);
    catchup_finish(run.catchup, sweep);
}

static void *sweep_main(void *arg)
{
    struct sweep_threads *pool = arg;
    struct sweep *sweep;
    uint64_t start;
    pthread_setname_np(pthread_self(), "tw-sweep");
    while ((sweep = catchup_take(pool->options.source->catchup, &start))) {
        sweep_run(pool, sweep, start);
    }
    return NULL;
}

struct sweep_threads *sweep_threads_start(const struct reader_options *options, unsigned count)
{
    struct sweep_threads *pool = memory_zero(1, sizeof *pool);
    pool->options = *options;
    pool->count = count;
    pool->threads = memory_zero(count, sizeof *pool->threads);
    for (unsigned i = 0; i < count; i++) {
        if (pthread_create(&pool->threads[i], NULL, sweep_main, pool) != 0) {
            abort();
        }
    }
    return pool;
}

void sweep_threads_stop(struct sweep_threads *pool)
{
    atomic_store(&pool->stopping, true);
    catchup_stop(pool->options.source->catchup);
}

void sweep_threads_join(struct sweep_threads *pool)
{
    for (unsigned i = 0; i < pool->count; i++) {
        pthread_join(pool->threads[i], NULL);
    }
    free(pool->threads);
    free(pool);
}
