/* run - see run.h. */
#include "run.h"

#include "buffer.h"
#include "hash.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES_MAX = 128 * 1024 };

struct run {
    unsigned refs; /* of one thread */
    struct frame *first, *end, *last; /* of the frames it was made of; the newest that was wanted, or NULL */
    int count;
    bool chunked;
    bool is_unfit; /* there is no such run: remembered, so that it is not tried for every stream */
    unsigned events;
    struct buffer wanted; /* the subscription's channels */
    struct buffer bytes;
};

struct run *run_ref(struct run *run)
{
    run->refs++;
    return run;
}

void run_unref(struct run *run)
{
    if (run && --run->refs == 0) {
        frame_unref(run->first);
        frame_unref(run->end);
        frame_unref(run->last);
        buffer_fini(&run->wanted);
        buffer_fini(&run->bytes);
        free(run);
    }
}

struct slice run_bytes(const struct run *run)
{
    return (struct slice){run->bytes.data, run->bytes.len};
}

unsigned run_events(const struct run *run)
{
    return run->events;
}

const struct frame *run_last(const struct run *run)
{
    return run->last;
}

static void append_channels(struct buffer *out, const struct subscription *subscription)
{
    for (unsigned i = 0; i < subscription->count; i++) {
        buffer_append(out, subscription->list[i].text, subscription->list[i].len);
        buffer_append_byte(out, ',');
    }
}

/* Was it made for the same channels? To the letter: others must not be sent what these are. */
static bool is_for(const struct run *run, const struct subscription *subscription)
{
    const char *at = run->wanted.data, *end = at + run->wanted.len;
    for (unsigned i = 0; i < subscription->count; i++) {
        const struct subscription_channel *c = &subscription->list[i];
        if ((size_t)(end - at) < c->len + 1 || memcmp(at, c->text, c->len) != 0 || at[c->len] != ',') {
            return false;
        }
        at += c->len + 1;
    }
    return at == end;
}

/* Returns false when that makes it unfit. */
static bool add(struct run *run, struct frame *frame, const struct subscription *subscription)
{
    if (frame->kind == FRAME_GRANTS) {
        return true; /* took effect when the loop met it */
    }
    if (frame->kind != FRAME_EVENT) {
        return false;
    }
    if (subscription_wants(subscription, frame_channel(frame))) {
        struct slice bytes = run->chunked ? frame_chunk(frame) : frame_sse(frame);
        buffer_append(&run->bytes, bytes.data, bytes.len);
        run->last = frame;
        run->events++;
    }
    return run->bytes.len <= BYTES_MAX;
}

static struct run *run_new(struct frame *const *frames, int count, const struct subscription *subscription,
                           bool chunked)
{
    struct run *run = memory_zero(1, sizeof *run);
    run->refs = 1;
    run->count = count;
    run->chunked = chunked;
    append_channels(&run->wanted, subscription);
    for (int i = 0; i < count && !run->is_unfit; i++) {
        run->is_unfit = !add(run, frames[i], subscription);
    }
    if (run->is_unfit) {
        buffer_fini(&run->bytes);
        run->last = NULL;
    }
    run->first = frame_ref(frames[0]);
    run->end = frame_ref(frames[count - 1]);
    run->last = run->last ? frame_ref(run->last) : NULL;
    return run;
}

static struct run_slot *slot_of(struct run_cache *cache, uint64_t number, const struct subscription *subscription)
{
    uint64_t mix = number / RUN_FRAMES + subscription->count + subscription->list[0].len;
    return &cache->slots[mix % RUN_CACHE_SLOTS];
}

/* Does a second stream ask for the same? Only then is it worth a block: streams of many different channels would drive
 * each other's out of the cache. */
static bool is_asked_again(struct run_slot *slot, const struct frame *first, const struct subscription *subscription)
{
    static const struct hash_key key = {0, 0}; /* a guess is good enough: is_for() decides */
    const struct subscription_channel *c = &subscription->list[0];
    uint64_t print = hash_bytes(&key, c->text, c->len);
    bool again = slot->asked == first && slot->asked_print == print;
    slot->asked = first;
    slot->asked_print = print;
    return again;
}

static bool is_run(const struct run *run, struct frame *const *frames, int count, bool chunked)
{
    return run->first == frames[0] && run->end == frames[count - 1] && run->count == count && run->chunked == chunked;
}

struct run *run_of(struct run_cache *cache, struct frame *const *frames, int count, uint64_t number,
                   const struct subscription *subscription, bool chunked)
{
    struct run_slot *slot = slot_of(cache, number, subscription);
    if (!slot->run || !is_run(slot->run, frames, count, chunked) || !is_for(slot->run, subscription)) {
        if (!is_asked_again(slot, frames[0], subscription)) {
            return NULL;
        }
        run_unref(slot->run);
        slot->run = run_new(frames, count, subscription, chunked);
    }
    return slot->run->is_unfit ? NULL : slot->run;
}

void run_cache_clear(struct run_cache *cache)
{
    for (int i = 0; i < RUN_CACHE_SLOTS; i++) {
        run_unref(cache->slots[i].run);
        cache->slots[i] = (struct run_slot){0};
    }
}
