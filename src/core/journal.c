/* journal - see journal.h. */
#include "journal.h"

#include "buffer.h"
#include "clock.h"

#include <pthread.h>
#include <stdlib.h>

enum { WATCHERS_MAX = 64, FIRST_SLOTS = 256 };

struct entry {
    struct frame *frame;
    int64_t appended_us;
};

struct journal {
    pthread_mutex_t lock;
    struct journal_limits limits;
    struct entry *ring; /* slots is a power of two; entry n lives at n & (slots - 1) */
    uint64_t slots;
    uint64_t first, next; /* entries [first, next) are held */
    uint64_t start;       /* the entry that the journal was started with anew; floor and complete speak of what follows */
    uint64_t floor, complete;
    size_t bytes;
    struct mailbox *watchers[WATCHERS_MAX];
    int watcher_count;
};

static struct entry *slot(const struct journal *j, uint64_t number)
{
    return &j->ring[number & (j->slots - 1)];
}

struct journal *journal_new(struct journal_limits limits)
{
    struct journal *j = memory_zero(1, sizeof *j);
    pthread_mutex_init(&j->lock, NULL);
    j->limits = limits;
    j->slots = FIRST_SLOTS;
    j->ring = memory_new(j->slots * sizeof *j->ring);
    j->first = j->next = 1;
    return j;
}

void journal_free(struct journal *j)
{
    if (!j) {
        return;
    }
    for (uint64_t n = j->first; n < j->next; n++) {
        frame_unref(slot(j, n)->frame);
    }
    free(j->ring);
    pthread_mutex_destroy(&j->lock);
    free(j);
}

void journal_watch(struct journal *j, struct mailbox *box)
{
    if (j->watcher_count < WATCHERS_MAX) {
        j->watchers[j->watcher_count++] = box;
    }
}

static void wake_watchers(struct journal *j)
{
    for (int i = 0; i < j->watcher_count; i++) {
        mailbox_wake(j->watchers[i]);
    }
}

void journal_open(struct journal *j, uint64_t floor)
{
    pthread_mutex_lock(&j->lock);
    j->floor = floor;
    j->complete = floor - 1;
    pthread_mutex_unlock(&j->lock);
    wake_watchers(j);
}

static void grow(struct journal *j)
{
    uint64_t slots = j->slots * 2;
    struct entry *ring = memory_new(slots * sizeof *ring);
    for (uint64_t n = j->first; n < j->next; n++) {
        ring[n & (slots - 1)] = *slot(j, n);
    }
    free(j->ring);
    j->ring = ring;
    j->slots = slots;
}

static void evict_oldest(struct journal *j)
{
    struct frame *f = slot(j, j->first)->frame;
    if (f->id.cluster_time >= j->floor && j->first >= j->start) {
        j->floor = f->id.cluster_time + 1;
    }
    j->bytes -= frame_cost(f);
    j->first++;
    frame_unref(f);
}

/* Drop what is too much or too old, but not what came just now, from entry `fresh` on: nobody could have read it yet,
 * and a batch above the limit would never reach anyone. */
static void evict(struct journal *j, uint64_t fresh, int64_t now_us)
{
    while (j->first < fresh && j->bytes > j->limits.max_bytes) {
        evict_oldest(j);
    }
    if (j->limits.max_age_us == 0) {
        return;
    }
    while (j->first < fresh && slot(j, j->first)->appended_us < now_us - j->limits.max_age_us) {
        evict_oldest(j);
    }
}

static void push(struct journal *j, struct frame *frame, int64_t now_us)
{
    if (j->next - j->first == j->slots) {
        grow(j);
    }
    *slot(j, j->next) = (struct entry){frame, now_us};
    j->next++;
    j->bytes += frame_cost(frame);
}

void journal_restart(struct journal *j, struct frame *frame, uint64_t floor)
{
    pthread_mutex_lock(&j->lock);
    j->start = j->next;
    j->floor = floor;
    j->complete = floor - 1;
    push(j, frame, clock_mono_us());
    pthread_mutex_unlock(&j->lock);
    wake_watchers(j);
}

void journal_append(struct journal *j, struct frame *const *frames, size_t count, uint64_t complete)
{
    int64_t now_us = clock_mono_us();
    pthread_mutex_lock(&j->lock);
    uint64_t fresh = j->next;
    for (size_t i = 0; i < count; i++) {
        push(j, frames[i], now_us);
    }
    if (complete > j->complete) {
        j->complete = complete;
    }
    evict(j, fresh, now_us);
    pthread_mutex_unlock(&j->lock);
    wake_watchers(j);
}

/* The first entry since the start whose cluster time is at least `time`; j->next when there is none. */
static uint64_t lower_bound(const struct journal *j, uint64_t time)
{
    uint64_t low = j->first > j->start ? j->first : j->start, high = j->next;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (slot(j, middle)->frame->id.cluster_time < time) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Does the source's loss at entry n take all of this cluster time? */
static bool is_lost(const struct journal *j, uint64_t n, uint64_t time)
{
    const struct frame *f = n < j->next ? slot(j, n)->frame : NULL;
    return f && f->kind == FRAME_LOSS && f->gap_from < time && f->id.cluster_time > time;
}

static enum journal_place find_locked(const struct journal *j, struct event_id point, uint64_t *number)
{
    if (j->floor == 0) {
        return JOURNAL_AHEAD;
    }
    bool is_behind = point.cluster_time < j->floor;
    uint64_t n = lower_bound(j, point.cluster_time);
    *number = n;
    if (event_id_is_position(point)) {
        return is_behind ? JOURNAL_BEHIND : JOURNAL_FOUND; /* also when it lies ahead: the reader skips */
    }
    /* The event itself is enough, even where the beginning of its cluster time was evicted: what follows it is held. */
    bool has_events = false;
    for (; n < j->next && slot(j, n)->frame->id.cluster_time == point.cluster_time; n++) {
        has_events = has_events || slot(j, n)->frame->kind != FRAME_LOSS;
        if (slot(j, n)->frame->id.hash == point.hash) {
            *number = n + 1;
            return JOURNAL_FOUND;
        }
    }
    if (point.cluster_time > j->complete) {
        return JOURNAL_AHEAD;
    }
    if (is_behind) {
        return JOURNAL_BEHIND;
    }
    /* A loss of all of it tells so by itself: nothing is sent again. */
    return !has_events && is_lost(j, n, point.cluster_time) ? JOURNAL_FOUND : JOURNAL_OVERLAP;
}

enum journal_place journal_find(struct journal *j, struct event_id point, uint64_t *number)
{
    pthread_mutex_lock(&j->lock);
    enum journal_place place = find_locked(j, point, number);
    pthread_mutex_unlock(&j->lock);
    return place;
}

int journal_read(struct journal *j, uint64_t *number, struct frame **out, int max)
{
    int count = 0;
    pthread_mutex_lock(&j->lock);
    if (*number < j->first) {
        count = -1;
    } else {
        for (; count < max && *number < j->next; count++, (*number)++) {
            out[count] = frame_ref(slot(j, *number)->frame);
        }
    }
    pthread_mutex_unlock(&j->lock);
    return count;
}

void journal_state(struct journal *j, struct journal_state *state)
{
    pthread_mutex_lock(&j->lock);
    *state = (struct journal_state){
        .floor = j->floor,
        .complete = j->complete,
        .first = j->first,
        .next = j->next,
        .oldest_time = j->first < j->next ? slot(j, j->first)->frame->id.cluster_time : 0,
        .bytes = j->bytes,
    };
    pthread_mutex_unlock(&j->lock);
}
