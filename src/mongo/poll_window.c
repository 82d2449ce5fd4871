/* poll_window - see poll_window.h. */
#include "poll_window.h"

#include "buffer.h"

#include <stdlib.h>
#include <string.h>

enum {
    SAMPLES = 32,
    FIRST_SLOTS = 64,
    NOBODY = -1, /* no document has this hash */
};

/* A document that was seen: when, as a number that counts all passings. 0 = free. */
struct seen {
    int64_t hash;
    uint64_t at;
};

/* What was the newest value at a moment. */
struct sample {
    int64_t at_us;
    bson_value_t value;
};

struct poll_window {
    int64_t overlap_us;
    size_t limit;
    struct seen *slots; /* open addressing; a power of two, at most three quarters used */
    size_t slot_count, used;
    uint64_t clock;       /* the newest passing */
    uint64_t look;        /* the clock when this look began */
    uint64_t kept_from;   /* of this look, passings after this one are remembered */
    uint64_t half;        /* a passing about limit / 2 after that one, 0 = none yet, */
    bson_value_t half_at; /* and its value */
    bson_value_t bound, newest, previous; /* value_type 0 = none */
    struct sample samples[SAMPLES]; /* oldest first */
    unsigned sample_count;
};

/* --- values --------------------------------------------------------------------------------------- */

static bool is_set(const bson_value_t *value)
{
    return value->value_type != BSON_TYPE_EOD;
}

static void clear(bson_value_t *value)
{
    if (is_set(value)) {
        bson_value_destroy(value);
        memset(value, 0, sizeof *value);
    }
}

/* Takes what `from` holds. */
static void move(bson_value_t *to, bson_value_t *from)
{
    clear(to);
    *to = *from;
    memset(from, 0, sizeof *from);
}

static void copy(bson_value_t *to, const bson_value_t *from)
{
    bson_value_t made;
    bson_value_copy(from, &made);
    move(to, &made);
}

static bool is_number(const bson_value_t *v)
{
    return v->value_type == BSON_TYPE_INT32 || v->value_type == BSON_TYPE_INT64 || v->value_type == BSON_TYPE_DOUBLE;
}

static int compare_int(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_numbers(const bson_value_t *a, const bson_value_t *b)
{
    if (a->value_type == BSON_TYPE_DOUBLE || b->value_type == BSON_TYPE_DOUBLE) {
        double x = a->value_type == BSON_TYPE_DOUBLE  ? a->value.v_double
                   : a->value_type == BSON_TYPE_INT32 ? (double)a->value.v_int32
                                                      : (double)a->value.v_int64;
        double y = b->value_type == BSON_TYPE_DOUBLE  ? b->value.v_double
                   : b->value_type == BSON_TYPE_INT32 ? (double)b->value.v_int32
                                                      : (double)b->value.v_int64;
        return (x > y) - (x < y);
    }
    return compare_int(a->value_type == BSON_TYPE_INT32 ? a->value.v_int32 : a->value.v_int64,
                       b->value_type == BSON_TYPE_INT32 ? b->value.v_int32 : b->value.v_int64);
}

static int compare_texts(const bson_value_t *a, const bson_value_t *b)
{
    uint32_t a_len = a->value.v_utf8.len, b_len = b->value.v_utf8.len;
    int order = memcmp(a->value.v_utf8.str, b->value.v_utf8.str, a_len < b_len ? a_len : b_len);
    return order ? (order > 0) - (order < 0) : compare_int(a_len, b_len);
}

int poll_window_compare(const bson_value_t *a, const bson_value_t *b)
{
    if (is_number(a) && is_number(b)) {
        return compare_numbers(a, b);
    }
    if (a->value_type != b->value_type) {
        return 0;
    }
    switch (a->value_type) {
    case BSON_TYPE_OID:
        return compare_int(bson_oid_compare(&a->value.v_oid, &b->value.v_oid), 0);
    case BSON_TYPE_DATE_TIME:
        return compare_int(a->value.v_datetime, b->value.v_datetime);
    case BSON_TYPE_TIMESTAMP:
        return compare_int((int64_t)a->value.v_timestamp.timestamp << 32 | a->value.v_timestamp.increment,
                           (int64_t)b->value.v_timestamp.timestamp << 32 | b->value.v_timestamp.increment);
    case BSON_TYPE_UTF8:
        return compare_texts(a, b);
    default:
        return 0;
    }
}

static bool is_future(const bson_value_t *value, int64_t server_ms)
{
    switch (value->value_type) {
    case BSON_TYPE_OID:
        return (int64_t)bson_oid_get_time_t(&value->value.v_oid) * 1000 > server_ms;
    case BSON_TYPE_DATE_TIME:
        return value->value.v_datetime > server_ms;
    case BSON_TYPE_TIMESTAMP:
        return (int64_t)value->value.v_timestamp.timestamp * 1000 > server_ms;
    default:
        return false; /* a number may count anything */
    }
}

/* --- the set -------------------------------------------------------------------------------------- */

/* The slot that holds the hash, or where it belongs. */
static struct seen *find(const struct poll_window *w, int64_t hash)
{
    size_t i = (size_t)hash & (w->slot_count - 1);
    while (w->slots[i].at && w->slots[i].hash != hash) {
        i = (i + 1) & (w->slot_count - 1);
    }
    return &w->slots[i];
}

static void insert(struct poll_window *w, struct seen seen)
{
    struct seen *slot = find(w, seen.hash);
    w->used += slot->at == 0;
    *slot = seen;
}

/* Forget those that were passed after `from`, up to `to`, and clean up. */
static void forget_passings(struct poll_window *w, uint64_t from, uint64_t to)
{
    struct seen *old = w->slots;
    size_t count = w->slot_count, kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (old[i].hash == NOBODY || (old[i].at > from && old[i].at <= to)) {
            old[i].at = 0;
        }
        kept += old[i].at != 0;
    }
    w->slot_count = FIRST_SLOTS;
    while (w->slot_count < kept * 2) {
        w->slot_count *= 2;
    }
    w->slots = memory_zero(w->slot_count, sizeof *w->slots);
    w->used = 0;
    for (size_t i = 0; i < count; i++) {
        if (old[i].at) {
            insert(w, old[i]);
        }
    }
    free(old);
}

static void make_room(struct poll_window *w)
{
    if (w->used * 4 >= w->slot_count * 3) {
        forget_passings(w, 0, 0); /* nothing, but in a larger table */
    }
}

/* --- bounds --------------------------------------------------------------------------------------- */

static void drop_samples(struct poll_window *w, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        clear(&w->samples[i].value);
    }
    memmove(w->samples, w->samples + count, (w->sample_count - count) * sizeof *w->samples);
    w->sample_count -= count;
    memset(w->samples + w->sample_count, 0, count * sizeof *w->samples);
}

/* Too many: the older half of this look's passings goes, and the window begins where the other half did. */
static void shed(struct poll_window *w)
{
    forget_passings(w, w->look, w->half);
    copy(&w->bound, &w->half_at);
    drop_samples(w, w->sample_count);
    w->kept_from = w->half;
    w->half = 0;
}

/* The middle is taken where the value changes: documents with the value of the bound are looked at again. */
static void bound_memory(struct poll_window *w, const bson_value_t *order)
{
    uint64_t kept = w->clock - w->kept_from;
    bool changes = !is_set(&w->previous) || poll_window_compare(&w->previous, order) != 0;
    if (!w->half && kept > w->limit / 2 && (changes || kept >= w->limit)) {
        w->half = w->clock - 1; /* this one is of the younger half */
        copy(&w->half_at, order);
    }
    if (w->half && kept >= w->limit) {
        shed(w);
    }
    copy(&w->previous, order);
}

static void take_sample(struct poll_window *w, int64_t now_us)
{
    const struct sample *last = w->sample_count ? &w->samples[w->sample_count - 1] : NULL;
    bool grown = !last || poll_window_compare(&w->newest, &last->value) > 0;
    bool due = !last || now_us - last->at_us >= w->overlap_us / (SAMPLES - 2);
    if (!is_set(&w->newest) || !grown || !due) {
        return;
    }
    if (w->sample_count == SAMPLES) {
        drop_samples(w, 1);
    }
    w->samples[w->sample_count].at_us = now_us;
    copy(&w->samples[w->sample_count].value, &w->newest);
    w->sample_count++;
}

/* The bound becomes the newest sample that is as old as the overlap; it stays where that lies before it. */
static void move_bound(struct poll_window *w, int64_t now_us)
{
    unsigned old = 0;
    while (old < w->sample_count && w->samples[old].at_us <= now_us - w->overlap_us) {
        old++;
    }
    if (old == 0) {
        return;
    }
    const bson_value_t *value = &w->samples[old - 1].value;
    if (!is_set(&w->bound) || poll_window_compare(value, &w->bound) > 0) {
        copy(&w->bound, value);
    }
    drop_samples(w, old - 1); /* the last of them stays: it is what new values are compared with */
}

/* --- outside -------------------------------------------------------------------------------------- */

struct poll_window *poll_window_new(int64_t overlap_us, size_t limit)
{
    struct poll_window *w = memory_zero(1, sizeof *w);
    w->overlap_us = overlap_us;
    w->limit = limit;
    w->slot_count = FIRST_SLOTS;
    w->slots = memory_zero(w->slot_count, sizeof *w->slots);
    return w;
}

void poll_window_free(struct poll_window *w)
{
    if (!w) {
        return;
    }
    drop_samples(w, w->sample_count);
    clear(&w->half_at);
    clear(&w->bound);
    clear(&w->newest);
    clear(&w->previous);
    free(w->slots);
    free(w);
}

const bson_value_t *poll_window_bound(const struct poll_window *w)
{
    return is_set(&w->bound) ? &w->bound : NULL;
}

void poll_window_raise(struct poll_window *w, const bson_value_t *bound)
{
    copy(&w->bound, bound);
}

bool poll_window_see(struct poll_window *w, const bson_value_t *order, int64_t hash, int64_t server_ms)
{
    make_room(w);
    bool is_new = find(w, hash)->at == 0;
    insert(w, (struct seen){hash, ++w->clock});
    bool newer = !is_set(&w->newest) || poll_window_compare(order, &w->newest) > 0;
    if (newer && !is_future(order, server_ms)) {
        copy(&w->newest, order);
    }
    bound_memory(w, order);
    return is_new;
}

void poll_window_forget(struct poll_window *w, int64_t hash)
{
    struct seen *slot = find(w, hash);
    if (slot->at) {
        slot->hash = NOBODY;
    }
}

void poll_window_end(struct poll_window *w, int64_t now_us)
{
    forget_passings(w, 0, w->look);
    w->look = w->kept_from = w->clock;
    w->half = 0;
    clear(&w->previous);
    take_sample(w, now_us);
    move_bound(w, now_us);
}

size_t poll_window_count(const struct poll_window *w)
{
    return w->used;
}
