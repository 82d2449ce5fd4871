/*
 * notices - what a source has found out about its deployment that an operator should change: each once, while it holds.
 *
 * A notice is a code and a subject ("db.collection", or "" for the deployment). Its sentence names things and measures
 * them and is for the log and for administrators; its code's sentence names nothing and is for everybody. A notice is
 * logged when it appears and when it is gone, not in between, however often it is set again. At most NOTICES_MAX are
 * held; what does not fit is told once.
 *
 * Written by the source's watcher, read by loops.  Thread: any; one mutex, a leaf in the lock order.
 */
#ifndef TAILWATER_CORE_NOTICES_H
#define TAILWATER_CORE_NOTICES_H

#include <stddef.h>
#include <stdint.h>

enum { NOTICES_MAX = 64 };

enum notice_code {
    NOTICE_SHORT_OPLOG_WINDOW,
    NOTICE_CAPPED_COLLECTION,
    NOTICE_MISSING_INDEX,
    NOTICE_NO_CHANGE_STREAM,
    NOTICE_UNJOURNALED_WRITERS,
    NOTICE_CODES,
};

/* The stable name ("short_oplog_window"), and the sentence that names nothing. */
const char *notice_code_name(enum notice_code code);
const char *notice_code_text(enum notice_code code);

struct notices;

/* source: its name, for the log; copied. */
struct notices *notices_new(const char *source);
void notices_free(struct notices *notices); /* NULL is fine */

/* This holds, in these words (without a final stop). subject and text are copied. */
void notices_set(struct notices *notices, enum notice_code code, const char *subject, const char *text);

/* If it was set, it still holds: nothing new was found out. */
void notices_keep(struct notices *notices, enum notice_code code, const char *subject);

/* This does not hold, or no longer. */
void notices_clear(struct notices *notices, enum notice_code code, const char *subject);

/*
 * For subjects that may vanish: begin a look at all of them, and clear at its end those of this code that were neither
 * set nor kept since.
 */
void notices_begin(struct notices *notices);
void notices_end(struct notices *notices, enum notice_code code);

/* One notice as it was at a moment. */
struct notice {
    enum notice_code code;
    char *subject, *text;
    int64_t since_ms; /* wall clock */
};

/* Copy them all, oldest first; returns how many. Give them to notices_release(). */
size_t notices_copy(struct notices *notices, struct notice out[NOTICES_MAX]);
void notices_release(struct notice *list, size_t count);

/* How many there are of each code, and since when (wall clock) the oldest of it; since_ms is 0 where there is none. */
struct notice_count {
    size_t count;
    int64_t since_ms;
};
void notices_count(struct notices *notices, struct notice_count out[NOTICE_CODES]);

#endif
