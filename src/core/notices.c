/* notices - see notices.h. */
#include "notices.h"

#include "buffer.h"
#include "clock.h"
#include "log.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct notice notice;
    uint64_t look; /* the look that saw it last */
};

struct notices {
    pthread_mutex_t lock;
    char *source;
    struct entry entries[NOTICES_MAX]; /* [0, count), oldest first */
    size_t count;
    uint64_t look;
    bool full_told;
};

static const struct {
    const char *name, *text;
} codes[NOTICE_CODES] = {
    [NOTICE_SHORT_OPLOG_WINDOW] = {"short_oplog_window",
        "the oplog reaches back less far than oplog_window_min_s: clients that were away for longer lose history; "
        "enlarge it with replSetResizeOplog, the log gives the command"},
    [NOTICE_CAPPED_COLLECTION] = {"capped_collection",
        "a mapped collection is capped: its documents leave by size, and it cannot be read as a snapshot; "
        "the log names it"},
    [NOTICE_MISSING_INDEX] = {"missing_index",
        "a mapped collection has no index for its order field: tail and history cannot read it; "
        "the log gives the command"},
    [NOTICE_NO_CHANGE_STREAM] = {"no_change_stream",
        "a mapped collection is a view or a time-series collection, for which MongoDB has no change stream: "
        "nothing of it is sent; the log names it"},
    [NOTICE_UNJOURNALED_WRITERS] = {"unjournaled_writers",
        "writers seem to use w:1 without j:true: their events arrive only with the journal flush, tens of "
        "milliseconds late; use write concern majority or j:true"},
};

const char *notice_code_name(enum notice_code code)
{
    return codes[code].name;
}

const char *notice_code_text(enum notice_code code)
{
    return codes[code].text;
}

struct notices *notices_new(const char *source)
{
    struct notices *n = memory_zero(1, sizeof *n);
    pthread_mutex_init(&n->lock, NULL);
    n->source = memory_text(source);
    return n;
}

void notices_free(struct notices *n)
{
    if (!n) {
        return;
    }
    for (size_t i = 0; i < n->count; i++) {
        notices_release(&n->entries[i].notice, 1);
    }
    free(n->source);
    pthread_mutex_destroy(&n->lock);
    free(n);
}

static struct entry *find(struct notices *n, enum notice_code code, const char *subject)
{
    for (size_t i = 0; i < n->count; i++) {
        struct entry *e = &n->entries[i];
        if (e->notice.code == code && strcmp(e->notice.subject, subject) == 0) {
            return e;
        }
    }
    return NULL;
}

/* --- set ------------------------------------------------------------------------------------------ */

enum placed { PLACED_KNOWN, PLACED_NEW, PLACED_FULL, PLACED_FULL_TOLD };

static enum placed place(struct notices *n, enum notice_code code, const char *subject, const char *text)
{
    struct entry *e = find(n, code, subject);
    if (e) {
        free(e->notice.text);
        e->notice.text = memory_text(text); /* what it measures may have changed */
        e->look = n->look;
        return PLACED_KNOWN;
    }
    if (n->count == NOTICES_MAX) {
        enum placed full = n->full_told ? PLACED_FULL_TOLD : PLACED_FULL;
        n->full_told = true;
        return full;
    }
    n->entries[n->count++] = (struct entry){
        .notice = {code, memory_text(subject), memory_text(text), clock_wall_ms()},
        .look = n->look,
    };
    return PLACED_NEW;
}

void notices_set(struct notices *n, enum notice_code code, const char *subject, const char *text)
{
    pthread_mutex_lock(&n->lock);
    enum placed placed = place(n, code, subject, text);
    pthread_mutex_unlock(&n->lock);
    if (placed == PLACED_NEW) {
        log_warn("notice", "source %s: %s: %s", n->source, notice_code_name(code), text);
    } else if (placed == PLACED_FULL) {
        log_warn("notice", "source %s: more than %d notices; the others are not shown", n->source, NOTICES_MAX);
    }
}

void notices_keep(struct notices *n, enum notice_code code, const char *subject)
{
    pthread_mutex_lock(&n->lock);
    struct entry *e = find(n, code, subject);
    if (e) {
        e->look = n->look;
    }
    pthread_mutex_unlock(&n->lock);
}

/* --- clear ---------------------------------------------------------------------------------------- */

static struct notice take(struct notices *n, struct entry *e)
{
    struct notice taken = e->notice;
    size_t behind = n->count - (size_t)(e - n->entries) - 1;
    memmove(e, e + 1, behind * sizeof *e);
    n->count--;
    n->full_told = false;
    return taken;
}

static void tell_gone(const struct notices *n, struct notice *gone)
{
    const char *subject = gone->subject;
    log_info("notice", "source %s: %s%s%s: no longer", n->source, notice_code_name(gone->code), *subject ? " of " : "",
             subject);
    notices_release(gone, 1);
}

void notices_clear(struct notices *n, enum notice_code code, const char *subject)
{
    struct notice gone;
    pthread_mutex_lock(&n->lock);
    struct entry *e = find(n, code, subject);
    if (e) {
        gone = take(n, e);
    }
    pthread_mutex_unlock(&n->lock);
    if (e) {
        tell_gone(n, &gone);
    }
}

void notices_begin(struct notices *n)
{
    pthread_mutex_lock(&n->lock);
    n->look++;
    pthread_mutex_unlock(&n->lock);
}

void notices_end(struct notices *n, enum notice_code code)
{
    struct notice gone[NOTICES_MAX];
    size_t count = 0;
    pthread_mutex_lock(&n->lock);
    for (size_t i = 0; i < n->count;) {
        struct entry *e = &n->entries[i];
        if (e->notice.code == code && e->look != n->look) {
            gone[count++] = take(n, e);
        } else {
            i++;
        }
    }
    pthread_mutex_unlock(&n->lock);
    for (size_t i = 0; i < count; i++) {
        tell_gone(n, &gone[i]);
    }
}

/* --- look ----------------------------------------------------------------------------------------- */

size_t notices_copy(struct notices *n, struct notice out[NOTICES_MAX])
{
    pthread_mutex_lock(&n->lock);
    size_t count = n->count;
    for (size_t i = 0; i < count; i++) {
        out[i] = n->entries[i].notice;
        out[i].subject = memory_text(out[i].subject);
        out[i].text = memory_text(out[i].text);
    }
    pthread_mutex_unlock(&n->lock);
    return count;
}

void notices_release(struct notice *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(list[i].subject);
        free(list[i].text);
    }
}

void notices_count(struct notices *n, struct notice_count out[NOTICE_CODES])
{
    memset(out, 0, NOTICE_CODES * sizeof *out);
    pthread_mutex_lock(&n->lock);
    for (size_t i = 0; i < n->count; i++) {
        struct notice_count *c = &out[n->entries[i].notice.code];
        c->since_ms = c->count ? c->since_ms : n->entries[i].notice.since_ms; /* the oldest comes first */
        c->count++;
    }
    pthread_mutex_unlock(&n->lock);
}
