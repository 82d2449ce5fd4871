/*
 * grants - who may read what, as the grants collection says: documents {_id: user, read: [patterns]}, followed live
 * (CONTRACT section 6).
 *
 * A grant_set is what one user's document said at one cluster time; immutable, shared by reference, any thread. The
 * grant_book holds the newest set of every user. Its writer is the thread that follows the collection (the watcher of
 * the source that holds it); loops read. One mutex, a leaf in the lock order.
 *
 * Who had something once is kept with an empty set, so that a reader of the past does not take an old change for news.
 *
 * A change reaches live streams as a FRAME_GRANTS in the journal of that source, so that it takes effect exactly in its
 * place among the events: the frame brings the set along, and streams apply it unless theirs is of a later time. New
 * streams, history and everything else that asks "now" reads the book.
 */
#ifndef TAILWATER_CORE_GRANTS_H
#define TAILWATER_CORE_GRANTS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { GRANTS_USER_MAX = 256 }; /* bytes of a user's name, in every place where one is named */

struct grant_set {
    _Atomic uint32_t refs;
    uint64_t time;     /* cluster time at which this was so; 0 where there is none (polling) */
    char **patterns;   /* valid channels and patterns, no doubles */
    unsigned count;    /* 0: nothing, or nothing any more */
    char user[];
};

/* Takes the patterns (memory_free_texts() frees them); gives one reference. */
struct grant_set *grant_set_new(const char *user, uint64_t time, char **patterns, unsigned count);
struct grant_set *grant_set_ref(struct grant_set *set);
void grant_set_unref(struct grant_set *set); /* NULL is fine */

/* Bytes of memory that it takes. */
size_t grant_set_cost(const struct grant_set *set);

enum grant_book_state {
    GRANTS_LOADING, /* not known yet: nobody who depends on them may be let in */
    GRANTS_CURRENT,
    GRANTS_STALE,   /* it could not be followed for longer than max_age: whoever depends on it is sent away */
};

struct grant_book;

/* max_bytes: of all sets together (grant_set_cost). */
struct grant_book *grant_book_new(int64_t max_age_us, size_t max_bytes);
void grant_book_free(struct grant_book *book); /* NULL is fine */

/*
 * Writer: this is all there was at this cluster time, and what was known before is forgotten. Takes the references; the
 * array stays the caller's. A user whose patterns are as they were keeps the set: nobody is disturbed. Confirms.
 * Returns 0, 1 when everyone has what they had, or -1 when it is more than max_bytes: nothing has changed then.
 */
int grant_book_load(struct grant_book *book, struct grant_set *const *sets, size_t count, uint64_t time);

/* Writer: one user's new set, also when it is empty (one reference is taken over). Returns 0, or -1 when it is more
 * than max_bytes: then the user has none, fail closed. */
int grant_book_put(struct grant_book *book, struct grant_set *set);

/* Writer: what is known cannot be relied on from this cluster time on. Nobody has anything; loading until a load. */
void grant_book_unload(struct grant_book *book, uint64_t time);

/* Writer: everything up to age_us ago is in. To be called at every answer of the stream that is followed. Nothing
 * before it was loaded. */
void grant_book_confirm(struct grant_book *book, int64_t age_us);

/* Any thread, as what follows. */
size_t grant_book_max_bytes(const struct grant_book *book);

enum grant_book_state grant_book_state(const struct grant_book *book);

/* The cluster time at which everything was last loaded: changes up to then are in. */
uint64_t grant_book_loaded(struct grant_book *book);

/* A user's newest set, one reference; NULL = none, as an empty one says it, too. */
struct grant_set *grant_book_find(struct grant_book *book, const char *user);

size_t grant_book_count(struct grant_book *book); /* users with a set that is not empty */

#endif
