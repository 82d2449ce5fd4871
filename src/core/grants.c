/* grants - see grants.h. */
#include "grants.h"

#include "buffer.h"
#include "clock.h"
#include "seeded_table.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct book_entry {
    struct grant_set *set;
    uint64_t loading; /* the newest loading that had it */
    UT_hash_handle hh; /* by set->user */
};

struct grant_book {
    int64_t max_age_us;
    size_t max_bytes;
    _Atomic int64_t confirmed_us; /* monotonic; 0 = not loaded */
    pthread_mutex_t lock;
    struct book_entry *entries; /* under lock, as what follows */
    size_t bytes;
    size_t granted;   /* entries whose set is not empty */
    uint64_t loading; /* how many there were */
    uint64_t loaded;
};

/* --- sets ------------------------------------------------------------------------------------------ */

struct grant_set *grant_set_new(const char *user, uint64_t time, char **patterns, unsigned count)
{
    size_t len = strlen(user);
    struct grant_set *set = memory_zero(1, sizeof *set + len + 1);
    atomic_init(&set->refs, 1);
    set->time = time;
    set->patterns = patterns;
    set->count = count;
    memcpy(set->user, user, len);
    return set;
}

struct grant_set *grant_set_ref(struct grant_set *set)
{
    atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    return set;
}

void grant_set_unref(struct grant_set *set)
{
    if (set && atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) == 1) {
        memory_free_texts(set->patterns, set->count);
        free(set);
    }
}

size_t grant_set_cost(const struct grant_set *set)
{
    size_t bytes = sizeof *set + sizeof(struct book_entry) + strlen(set->user) + 1;
    for (unsigned i = 0; i < set->count; i++) {
        bytes += sizeof(char *) + strlen(set->patterns[i]) + 1;
    }
    return bytes;
}

/* --- the book -------------------------------------------------------------------------------------- */

struct grant_book *grant_book_new(int64_t max_age_us, size_t max_bytes)
{
    struct grant_book *book = memory_zero(1, sizeof *book);
    book->max_age_us = max_age_us;
    book->max_bytes = max_bytes;
    pthread_mutex_init(&book->lock, NULL);
    return book;
}

static void remove_entry(struct grant_book *book, struct book_entry *entry)
{
    book->bytes -= grant_set_cost(entry->set);
    book->granted -= entry->set->count > 0;
    HASH_DELETE(hh, book->entries, entry);
    grant_set_unref(entry->set);
    free(entry);
}

/* All, or only those that grant nothing. */
static void remove_all(struct grant_book *book, bool only_empty)
{
    struct book_entry *entry, *next;
    HASH_ITER(hh, book->entries, entry, next)
    {
        if (!only_empty || entry->set->count == 0) {
            remove_entry(book, entry);
        }
    }
}

void grant_book_free(struct grant_book *book)
{
    if (book) {
        remove_all(book, false);
        pthread_mutex_destroy(&book->lock);
        free(book);
    }
}

static struct book_entry *find_entry(const struct grant_book *book, const char *user)
{
    struct book_entry *entry;
    HASH_FIND(hh, book->entries, user, strlen(user), entry);
    return entry;
}

/* Takes the reference. */
static void add_entry(struct grant_book *book, struct grant_set *set)
{
    struct book_entry *entry = memory_zero(1, sizeof *entry);
    entry->set = set;
    entry->loading = book->loading;
    book->bytes += grant_set_cost(set);
    book->granted += set->count > 0;
    HASH_ADD_KEYPTR(hh, book->entries, set->user, strlen(set->user), entry);
}

static bool has_room(struct grant_book *book, const struct grant_set *set)
{
    if (book->bytes + grant_set_cost(set) > book->max_bytes) {
        remove_all(book, true); /* that an old change may be taken for news is better than to lose what is granted */
    }
    return book->bytes + grant_set_cost(set) <= book->max_bytes;
}

/* The user's set is this from now on. Takes the reference. */
static int replace(struct grant_book *book, struct grant_set *set)
{
    struct book_entry *old = find_entry(book, set->user);
    if (old) {
        remove_entry(book, old);
    }
    if (has_room(book, set)) {
        add_entry(book, set);
        return 0;
    }
    grant_set_unref(set);
    return -1;
}

/* The entry stays, its user has nothing any more. */
static void empty_entry(struct grant_book *book, struct book_entry *entry, uint64_t time)
{
    struct grant_set *old = entry->set;
    entry->set = grant_set_new(old->user, time, NULL, 0);
    entry->hh.key = entry->set->user; /* the same bytes: its place in the table stays */
    book->bytes -= grant_set_cost(old) - grant_set_cost(entry->set);
    book->granted--;
    grant_set_unref(old);
}

static size_t cost_of_all(struct grant_set *const *sets, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += grant_set_cost(sets[i]);
    }
    return bytes;
}

static bool is_same(const struct grant_set *a, const struct grant_set *b)
{
    bool same = a->count == b->count;
    for (unsigned i = 0; same && i < a->count; i++) {
        same = strcmp(a->patterns[i], b->patterns[i]) == 0;
    }
    return same;
}

/* Does this user have just that? Then what is kept belongs to this loading, too. */
static bool keep(struct grant_book *book, const struct grant_set *set)
{
    struct book_entry *known = find_entry(book, set->user);
    bool same = known && is_same(known->set, set);
    if (same) {
        known->loading = book->loading;
    }
    return same;
}

/* Who is not in this loading has nothing any more. Returns whether there is anyone. */
static bool empty_others(struct grant_book *book, uint64_t time)
{
    bool changes = false;
    for (struct book_entry *entry = book->entries; entry; entry = entry->hh.next) {
        if (entry->loading != book->loading && entry->set->count > 0) {
            empty_entry(book, entry, time);
            changes = true;
        }
    }
    return changes;
}

/* A loading that fits: what differs makes room before anything is added. */
static bool load(struct grant_book *book, struct grant_set *const *sets, size_t count, uint64_t time)
{
    book->loading++;
    book->loaded = time;
    for (size_t i = 0; i < count; i++) {
        keep(book, sets[i]);
    }
    bool changes = empty_others(book, time);
    for (size_t i = 0; i < count; i++) {
        if (keep(book, sets[i])) {
            grant_set_unref(sets[i]);
        } else {
            changes = true;
            replace(book, sets[i]);
        }
    }
    return changes;
}

int grant_book_load(struct grant_book *book, struct grant_set *const *sets, size_t count, uint64_t time)
{
    if (cost_of_all(sets, count) > book->max_bytes) {
        for (size_t i = 0; i < count; i++) {
            grant_set_unref(sets[i]);
        }
        return -1;
    }
    pthread_mutex_lock(&book->lock);
    bool changes = load(book, sets, count, time);
    pthread_mutex_unlock(&book->lock);
    atomic_store(&book->confirmed_us, clock_mono_us());
    return changes ? 0 : 1;
}

int grant_book_put(struct grant_book *book, struct grant_set *set)
{
    pthread_mutex_lock(&book->lock);
    int rc = replace(book, set);
    pthread_mutex_unlock(&book->lock);
    return rc;
}

void grant_book_unload(struct grant_book *book, uint64_t time)
{
    atomic_store(&book->confirmed_us, 0);
    pthread_mutex_lock(&book->lock);
    book->loading++;
    empty_others(book, time);
    pthread_mutex_unlock(&book->lock);
}

void grant_book_confirm(struct grant_book *book, int64_t age_us)
{
    int64_t then_us = clock_mono_us() - age_us, confirmed_us = atomic_load(&book->confirmed_us);
    if (confirmed_us != 0 && then_us > confirmed_us) {
        atomic_store(&book->confirmed_us, then_us);
    }
}

size_t grant_book_max_bytes(const struct grant_book *book)
{
    return book->max_bytes;
}

enum grant_book_state grant_book_state(const struct grant_book *book)
{
    int64_t confirmed_us = atomic_load(&book->confirmed_us);
    if (confirmed_us == 0) {
        return GRANTS_LOADING;
    }
    return clock_mono_us() - confirmed_us > book->max_age_us ? GRANTS_STALE : GRANTS_CURRENT;
}

uint64_t grant_book_loaded(struct grant_book *book)
{
    pthread_mutex_lock(&book->lock);
    uint64_t loaded = book->loaded;
    pthread_mutex_unlock(&book->lock);
    return loaded;
}

struct grant_set *grant_book_find(struct grant_book *book, const char *user)
{
    pthread_mutex_lock(&book->lock);
    struct book_entry *entry = find_entry(book, user);
    struct grant_set *set = entry ? grant_set_ref(entry->set) : NULL;
    pthread_mutex_unlock(&book->lock);
    return set;
}

size_t grant_book_count(struct grant_book *book)
{
    pthread_mutex_lock(&book->lock);
    size_t count = book->granted;
    pthread_mutex_unlock(&book->lock);
    return count;
}
