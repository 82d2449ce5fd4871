/* model_world - see model_world.h. */
#include "model_world.h"

#include "buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME_COST = 200 }; /* about */

#define SECOND ((uint64_t)1 << 32)

/* --- chance ---------------------------------------------------------------------------------------- */

uint64_t model_random(struct model_world *w)
{
    uint64_t z = (w->random += 0x9e3779b97f4a7c15u); /* splitmix64 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint64_t model_between(struct model_world *w, uint64_t low, uint64_t high)
{
    return low + model_random(w) % (high - low + 1);
}

bool model_chance(struct model_world *w, unsigned percent)
{
    return model_random(w) % 100 < percent;
}

void model_fail(const struct model_world *w, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "world of seed 0x%016" PRIx64 ", step %" PRIu64 ": %s\n", w->seed, w->step, text);
    fail();
    abort();
}

/* --- life ------------------------------------------------------------------------------------------ */

static void choose_rules(struct model_world *w)
{
    w->rules = (struct model_rules){
        .journal_bytes = model_between(w, 3, 60) * FRAME_COST,
        .window_bytes = model_between(w, 3, 40) * FRAME_COST,
        .max_sweeps = (unsigned)model_between(w, 1, MODEL_SWEEPS_MAX),
        .batch_max = (unsigned)model_between(w, 2, model_chance(w, 30) ? MODEL_BATCH_MAX : 10),
        .shares_times = model_chance(w, 40),
        .forget_keep = (unsigned)model_between(w, 0, model_chance(w, 30) ? 150 : 2000),
    };
    w->rules.late_times = w->rules.shares_times && model_chance(w, 50);
}

void model_world_init(struct model_world *w, uint64_t seed, struct model_stats *stats)
{
    memset(w, 0, sizeof *w);
    w->seed = w->random = seed;
    w->stats = stats;
    w->now = w->oplog_time = 1000 * SECOND + 1;
    choose_rules(w);
    struct source_options options = {
        .name = "model",
        .tag = 'a',
        .journal = {.max_bytes = w->rules.journal_bytes},
        .catchup = {.max_sweeps = w->rules.max_sweeps, .window_bytes = w->rules.window_bytes},
    };
    w->source = source_new(&options);
}

void model_world_fini(struct model_world *w)
{
    for (unsigned i = 0; i < MODEL_SWEEPS_MAX; i++) {
        if (w->runs[i].sweep) {
            catchup_finish(w->source->catchup, w->runs[i].sweep);
        }
    }
    source_free(w->source);
    free(w->events);
    free(w->losses);
}

/* --- the history ----------------------------------------------------------------------------------- */

size_t model_index_at(const struct model_world *w, uint64_t time)
{
    size_t low = 0, high = w->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (w->events[middle].time < time) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

size_t model_index_after(const struct model_world *w, struct event_id id)
{
    size_t index = (size_t)id.hash;
    bool is_event = !event_id_is_position(id) && index < w->count && w->events[index].time == id.cluster_time;
    return is_event ? index + 1 : model_index_at(w, id.cluster_time);
}

static void add_event(struct model_world *w, bool shared)
{
    if (w->count == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 1024;
        w->events = memory_resize(w->events, w->cap * sizeof *w->events);
    }
    w->events[w->count++] = (struct model_event){
        .time = w->now,
        .channel = (uint8_t)model_between(w, 0, MODEL_CHANNELS - 1),
        .size = (uint8_t)model_between(w, 0, 150),
        .shared = shared,
    };
    w->stats->events++;
}

static void pass_time(struct model_world *w)
{
    unsigned kind = (unsigned)model_between(w, 0, 99);
    if (kind < 80) {
        w->now += model_between(w, 1, 3);
    } else {
        w->now += model_between(w, 1, kind < 97 ? 5 : 100) * SECOND;
    }
}

void model_produce(struct model_world *w)
{
    bool is_late = w->rules.late_times && model_chance(w, 20);
    if (!is_late) {
        pass_time(w);
    }
    if (model_chance(w, 10)) {
        return; /* others write, the clock goes on */
    }
    bool is_transaction = is_late || model_chance(w, 25);
    unsigned events = is_transaction ? (unsigned)model_between(w, 1, model_chance(w, 5) ? 60 : 6) : 1;
    w->stats->transactions += is_transaction;
    while (events-- > 0) {
        add_event(w, is_transaction);
    }
}

/* The oplog forgets its oldest part, whole cluster times. */
void model_forget(struct model_world *w)
{
    size_t first = model_index_at(w, w->oplog_time);
    if (w->count - first <= w->rules.forget_keep) {
        return;
    }
    size_t to = model_between(w, first, w->count - 1 - (w->rules.forget_keep < w->count ? w->rules.forget_keep : 0));
    if (w->events[to].time > w->oplog_time) {
        w->oplog_time = w->events[to].time;
        w->stats->forgets++;
    }
}

/* --- reading it, as mongo/reader.c does --------------------------------------------------------------- */

static void seek(struct model_world *w, struct model_place *p, uint64_t start)
{
    *p = (struct model_place){.start = start, .complete = start - 1, .next = model_index_at(w, start)};
}

static bool is_lost(const struct model_world *w, const struct model_place *p)
{
    uint64_t start = p->open_time ? p->open_time : p->complete + 1;
    return (p->reopening && start < w->oplog_time) || p->next < model_index_at(w, w->oplog_time);
}

static struct frame *make_frame(const struct model_world *w, size_t index)
{
    static const char data[] =
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    const struct model_event *e = &w->events[index];
    char channel = (char)('0' + e->channel);
    struct frame_event event = {
        .id = {e->time, (int64_t)index},
        .channel = {&channel, 1},
        .event = {"e", 1},
        .data = {data, e->size},
    };
    return frame_new(&event);
}

static void pass(const struct model_world *w, struct model_place *p, const struct model_event *e)
{
    if (e->time != p->open_time) {
        if (p->open_time > p->complete) {
            p->complete = p->open_time;
        }
        p->open_time = e->time;
    }
    if (!e->shared && !w->rules.shares_times) {
        p->complete = e->time;
        p->open_time = 0;
    }
}

static size_t read_batch(struct model_world *w, struct model_place *p, struct frame **frames)
{
    size_t n = 0, max = model_between(w, 1, w->rules.batch_max);
    p->reopening = false;
    while (p->next < w->count && w->events[p->next].time < p->start) {
        p->next++; /* they came late, from another shard */
    }
    for (; n < max && p->next < w->count; n++, p->next++) {
        frames[n] = make_frame(w, p->next);
        pass(w, p, &w->events[p->next]);
    }
    if (n > 0) {
        return n;
    }
    uint64_t reached = w->rules.late_times ? w->now - 1 : w->now;
    p->complete = reached > p->complete ? reached : p->complete;
    p->open_time = p->open_time <= p->complete ? 0 : p->open_time;
    return 0;
}

static void note_loss(struct model_world *w, uint64_t to)
{
    if (w->loss_count == w->loss_cap) {
        w->loss_cap = w->loss_cap ? w->loss_cap * 2 : 64;
        w->losses = memory_resize(w->losses, w->loss_cap * sizeof *w->losses);
    }
    w->losses[w->loss_count++] = to;
}

bool model_knows_loss(const struct model_world *w, uint64_t to)
{
    for (size_t i = w->loss_count; i > 0; i--) {
        if (w->losses[i - 1] == to) {
            return true;
        }
    }
    return false;
}

/* --- the watcher ------------------------------------------------------------------------------------- */

static void watcher_open(struct model_world *w)
{
    uint64_t back = model_chance(w, 50) ? model_between(w, 0, w->now - w->oplog_time) : 0;
    seek(w, &w->watcher, w->now + 1 - back);
    journal_open(w->source->journal, w->watcher.complete + 1);
    atomic_store(&w->source->status.opened, true);
    w->opened = true;
}

static void watcher_lose(struct model_world *w)
{
    uint64_t from = w->watcher.complete;
    uint64_t start = w->oplog_time + model_between(w, 0, 2);
    start = start < w->now + 1 ? start : w->now + 1;
    seek(w, &w->watcher, start > from ? start : from + 1);
    start = w->watcher.complete + 1;
    struct frame *loss = frame_new_loss(from, event_id_position(start), NULL);
    note_loss(w, start);
    journal_append(w->source->journal, &loss, 1, start - 1);
    w->stats->losses++;
}

void model_watch(struct model_world *w)
{
    struct frame *frames[MODEL_BATCH_MAX];
    if (!w->opened) {
        watcher_open(w);
        return;
    }
    w->watcher.reopening = w->watcher.reopening || model_chance(w, 2);
    if (is_lost(w, &w->watcher)) {
        watcher_lose(w);
        return;
    }
    size_t n = read_batch(w, &w->watcher, frames);
    journal_append(w->source->journal, frames, n, w->watcher.complete);
}

/* --- sweeps, as mongo/sweep.c runs them ------------------------------------------------------------------- */

static void sweep_lose(struct model_world *w, struct model_run *run)
{
    struct journal_state journal;
    journal_state(w->source->journal, &journal);
    uint64_t from = run->place.complete;
    uint64_t start = w->oplog_time + model_between(w, 0, 2);
    if (start >= journal.floor || start <= from) {
        start = journal.floor;
    }
    seek(w, &run->place, start);
    struct frame *loss = frame_new_loss(from, event_id_position(start), NULL);
    note_loss(w, start);
    catchup_advance(w->source->catchup, run->sweep, &loss, 1, start - 1);
    w->stats->sweep_losses++;
}

static void sweep_step(struct model_world *w, struct model_run *run)
{
    struct frame *frames[MODEL_BATCH_MAX];
    run->place.reopening = run->place.reopening || model_chance(w, 2);
    if (is_lost(w, &run->place)) {
        sweep_lose(w, run);
        return;
    }
    if (run->place.next < w->count && !sweep_wait_for_room(run->sweep, 0)) {
        return;
    }
    size_t n = read_batch(w, &run->place, frames);
    catchup_advance(w->source->catchup, run->sweep, frames, n, run->place.complete);
}

void model_sweep(struct model_world *w, unsigned index)
{
    struct model_run *run = &w->runs[index];
    struct catchup *catchup = w->source->catchup;
    if (!run->sweep) {
        uint64_t start;
        run->sweep = catchup_try_take(catchup, &start);
        if (run->sweep) {
            seek(w, &run->place, start);
            run->place.reopening = true;
            w->stats->sweeps++;
        }
        return;
    }
    if (catchup_reached(catchup, run->sweep) || !catchup_is_wanted(catchup, run->sweep)) {
        catchup_finish(catchup, run->sweep);
        run->sweep = NULL;
        return;
    }
    sweep_step(w, run);
}
