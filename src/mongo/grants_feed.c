/* grants_feed - see grants_feed.h. */
#include "grants_feed.h"

#include "buffer.h"
#include "clock.h"
#include "event_id.h"
#include "grants_read.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum {
    GIVE_UP_US = 3000000, /* so long a change may fail to be read: a fail-over is no reason to revoke everything */
    RETRY_FIRST_MS = 500,
    RETRY_MAX_MS = 15000,
    TOGETHER_MAX = 100, /* users read by one question */
    ERROR_UNAUTHORIZED = 13,
};

/* A user whose documents change in the answer at hand. */
struct changed_user {
    UT_hash_handle hh; /* by name */
    unsigned changes;
    struct grant_set *set; /* read together with others', or NULL */
    char name[];
};

struct grants_feed {
    struct grants_feed_options options;
    struct grants_place place;
    struct source *source;
    struct grant_book *book;
    bool current;          /* loaded, and every change since was taken */
    bool known;            /* loaded once: streams may depend on it */
    uint64_t news_at;      /* loaded anew where the stream was here, and not told yet; 0 = no */
    uint64_t passed;       /* what is loaded must have everything up to this cluster time in */
    int64_t retry_us, retry_ms;
    uint64_t failed_time;  /* of the change that could not be read */
    int64_t failed_us;     /* when it first could not */
    struct changed_user *changed;
    struct log_limit error_limit, odd_limit;
};

struct grants_feed *grants_feed_new(const struct grants_feed_options *options)
{
    struct grants_feed *feed = memory_zero(1, sizeof *feed);
    feed->options = *options;
    feed->source = options->source;
    feed->book = options->book;
    feed->place.source = options->source->name;
    feed->place.max_bytes = grant_book_max_bytes(options->book);
    mapping_set_grants(options->mappings, &feed->place.database, &feed->place.collection);
    return feed;
}

static void forget_changed(struct grants_feed *feed)
{
    struct changed_user *user, *next;
    HASH_ITER(hh, feed->changed, user, next)
    {
        HASH_DEL(feed->changed, user);
        grant_set_unref(user->set);
        free(user);
    }
}

void grants_feed_free(struct grants_feed *feed)
{
    if (feed) {
        forget_changed(feed);
        free(feed);
    }
}

/* --- loading --------------------------------------------------------------------------------------- */

static void report(struct grants_feed *feed, const struct error *err)
{
    char sentence[256];
    bool refused = err->code == ERROR_UNAUTHORIZED;
    snprintf(sentence, sizeof sentence, "grants: %.120s (code %d)%s", err->text, err->code,
             refused ? "; the user of mongodb.uri needs find and changeStream on the grants collection" : "");
    source_note_error(feed->source, sentence);
    log_write_limited(&feed->error_limit, LOG_LEVEL_WARN, "grants", "source %s: %s", feed->source->name, sentence);
}

/* Read everything and put it into the book. Returns as grant_book_load(). */
static int load(struct grants_feed *feed, mongoc_client_t *client, uint64_t least, bool with_time, struct error *err)
{
    struct grants_list list;
    if (grants_read_all(client, &feed->place, least, &list, err) != 0) {
        return -1;
    }
    int rc = grant_book_load(feed->book, list.sets, list.count, with_time ? list.time : 0);
    list.count = 0; /* the book has them */
    grants_list_fini(&list);
    return rc < 0 ? error_set(err, "the grants collection holds more than limits.grants_bytes") : rc;
}

static int load_by_own_client(struct grants_feed *feed, uint64_t least, bool with_time, struct error *err)
{
    *err = (struct error){0};
    mongoc_client_t *client = database_pop(feed->options.database, DATABASE_SEARCH);
    if (!client) {
        return error_set(err, "no free connection to MongoDB");
    }
    int rc = load(feed, client, least, with_time, err);
    database_push(feed->options.database, DATABASE_SEARCH, client);
    return rc;
}

static void note_loaded(struct grants_feed *feed)
{
    feed->known = true;
    log_info("grants", "source %s: grants: %zu users", feed->source->name, grant_book_count(feed->book));
}

static void retry_later(struct grants_feed *feed)
{
    feed->retry_us = clock_mono_us() + feed->retry_ms * 1000;
    feed->retry_ms = feed->retry_ms * 2 < RETRY_MAX_MS ? feed->retry_ms * 2 : RETRY_MAX_MS;
}

static void must_load(struct grants_feed *feed, uint64_t passed)
{
    feed->current = false;
    feed->passed = passed;
    feed->retry_us = 0;
    feed->retry_ms = RETRY_FIRST_MS;
}

void grants_feed_seek(struct grants_feed *feed, uint64_t start)
{
    if (feed) {
        must_load(feed, start - 1);
    }
}

/* Who had something before must learn of it. */
static void take_news(struct grants_feed *feed, uint64_t at)
{
    feed->news_at = feed->known ? at : 0;
    note_loaded(feed);
}

void grants_feed_load(struct grants_feed *feed, uint64_t border)
{
    struct error err;
    if (!feed || feed->current || clock_mono_us() < feed->retry_us) {
        return;
    }
    if (load_by_own_client(feed, feed->passed, true, &err) < 0) {
        report(feed, &err);
        retry_later(feed);
        return;
    }
    feed->current = true;
    take_news(feed, border);
}

void grants_feed_poll(struct grants_feed *feed, uint64_t number)
{
    struct error err;
    if (!feed) {
        return;
    }
    int rc = load_by_own_client(feed, 0, false, &err);
    if (rc < 0) {
        report(feed, &err);
    } else if (rc == 0 || !feed->known) {
        take_news(feed, number);
    }
}

struct frame *grants_feed_news(struct grants_feed *feed)
{
    uint64_t at = feed ? feed->news_at : 0;
    if (!at) {
        return NULL;
    }
    feed->news_at = 0;
    return frame_new_grants(event_id_position(at), NULL);
}

void grants_feed_confirm(struct grants_feed *feed, uint64_t reached, uint64_t now)
{
    if (!feed || !feed->current) {
        return;
    }
    uint64_t loaded = grant_book_loaded(feed->book);
    uint64_t known = reached > loaded ? reached : loaded;
    uint64_t age_s = now > known ? (now >> 32) - (known >> 32) : 0;
    grant_book_confirm(feed->book, (int64_t)age_s * 1000000);
}

/* --- one change ------------------------------------------------------------------------------------ */

static bool is_text(struct slice slice, const char *text)
{
    return slice.len == strlen(text) && memcmp(slice.data, text, slice.len) == 0;
}

static bool is_of_document(const struct change *change)
{
    return is_text(change->operation, "insert") || is_text(change->operation, "update") ||
           is_text(change->operation, "replace") || is_text(change->operation, "delete");
}

/* Whatever no mapping could have asked for is about the grants: a rename has their name only as its target. */
static bool is_mine(const struct grants_feed *feed, const struct change *change)
{
    bool is_of_logs = is_text(change->operation, "insert") || is_text(change->operation, "replace");
    return !is_of_logs || (is_text(change->collection, feed->place.collection) &&
                           is_text(change->database, feed->place.database));
}

static struct event_id identify(const struct grants_feed *feed, const struct change *change, const char *user)
{
    char ns[256];
    int len = snprintf(ns, sizeof ns, "%s.%s", feed->place.database, feed->place.collection);
    size_t ns_len = len < (int)sizeof ns ? (size_t)len : sizeof ns - 1;
    char operation = change->operation.len ? change->operation.data[0] : 0;
    return (struct event_id){change->cluster_time, event_id_hash(ns, ns_len, user, strlen(user), operation, 0)};
}

/* --- failures -------------------------------------------------------------------------------------- */

/* Nothing is known for certain any more: nobody has anything, until everything was loaded. */
static struct frame *give_up(struct grants_feed *feed, const struct change *change)
{
    log_error("grants", "source %s: grants cannot be read: nobody has any until they can", feed->source->name);
    grant_book_unload(feed->book, change->cluster_time);
    must_load(feed, change->cluster_time);
    retry_later(feed);
    return frame_new_grants(identify(feed, change, ""), NULL);
}

static int fail(struct grants_feed *feed, const struct change *change, struct frame **frame, struct error *err)
{
    report(feed, err);
    if (feed->failed_time != change->cluster_time) {
        feed->failed_time = change->cluster_time;
        feed->failed_us = clock_mono_us();
    }
    if (clock_mono_us() - feed->failed_us > GIVE_UP_US) {
        *frame = give_up(feed, change);
        return GRANTS_TAKEN;
    }
    error_prefix(err, "grants");
    err->code = 0;
    return -1;
}

/* --- applying -------------------------------------------------------------------------------------- */

static int take_whole(struct grants_feed *feed, mongoc_client_t *client, const struct change *change,
                      struct frame **frame, struct error *err)
{
    if (load(feed, client, change->cluster_time, true, err) < 0) {
        return fail(feed, change, frame, err);
    }
    note_loaded(feed);
    *frame = frame_new_grants(identify(feed, change, ""), NULL);
    return GRANTS_TAKEN;
}

/* The user's set as of this change, one reference. */
static int read_user(struct grants_feed *feed, mongoc_client_t *client, const struct change *change, const char *name,
                     struct grant_set **set, struct error *err)
{
    struct grants_list list;
    struct changed_user *known;
    HASH_FIND_STR(feed->changed, name, known);
    if (known && known->set) {
        *set = grant_set_ref(known->set);
        return 0;
    }
    if (grants_read_users(client, &feed->place, &name, 1, change->cluster_time, &list, err) != 0) {
        return -1;
    }
    *set = grant_set_ref(list.sets[0]);
    grants_list_fini(&list);
    return 0;
}

static int take_user(struct grants_feed *feed, mongoc_client_t *client, const struct change *change, const char *name,
                     struct frame **frame, struct error *err)
{
    struct grant_set *set;
    if (read_user(feed, client, change, name, &set, err) != 0) {
        return fail(feed, change, frame, err);
    }
    if (grant_book_put(feed->book, grant_set_ref(set)) != 0) {
        struct error full;
        error_set(&full, "there is more than limits.grants_bytes: the grants of a user are left out");
        full.code = 0;
        report(feed, &full);
        grant_set_unref(set);
        set = grant_set_new(name, change->cluster_time, NULL, 0);
    }
    log_debug("grants", "source %s: a user's grants have changed: %u patterns", feed->source->name, set->count);
    *frame = frame_new_grants(identify(feed, change, name), set);
    return GRANTS_TAKEN;
}

int grants_feed_take(struct grants_feed *feed, mongoc_client_t *client, const struct change *change,
                     struct frame **frame, struct error *err)
{
    char name[GRANTS_USER_MAX + 1];
    *frame = NULL;
    if (!is_mine(feed, change)) {
        return GRANTS_OTHER;
    }
    bool is_whole = !is_of_document(change);
    int outcome = is_whole || change->has_grants_id ? GRANTS_TAKEN : GRANTS_GIANT;
    if (!feed->current) {
        feed->passed = change->cluster_time > feed->passed ? change->cluster_time : feed->passed;
        return outcome;
    }
    if (change->cluster_time <= grant_book_loaded(feed->book)) {
        return outcome;
    }
    if (is_whole) {
        return take_whole(feed, client, change, frame, err);
    }
    if (!change->has_grants_id || !grants_user(&change->grants_id, name)) {
        log_write_limited(&feed->odd_limit, LOG_LEVEL_WARN, "grants",
                          "source %s: a document of the grants collection was left out: its _id names no user",
                          feed->source->name);
        return outcome;
    }
    return take_user(feed, client, change, name, frame, err);
}

/* --- many at a time -------------------------------------------------------------------------------- */

/* Note whose documents a change is of. Returns false when it is of the whole collection. */
static bool note_changed(struct grants_feed *feed, const struct change *change, uint64_t *last)
{
    char name[GRANTS_USER_MAX + 1];
    struct changed_user *user;
    if (!is_of_document(change)) {
        return false;
    }
    if (!change->has_grants_id || change->cluster_time <= grant_book_loaded(feed->book) || !grants_user(&change->grants_id, name)) {
        return true;
    }
    HASH_FIND_STR(feed->changed, name, user);
    if (!user) {
        user = memory_zero(1, sizeof *user + strlen(name) + 1);
        memcpy(user->name, name, strlen(name));
        HASH_ADD_KEYPTR(hh, feed->changed, user->name, strlen(user->name), user);
    }
    user->changes++;
    *last = change->cluster_time;
    return true;
}

static bool note_all_changed(struct grants_feed *feed, const bson_iter_t *documents, uint64_t *last)
{
    bson_iter_t it = *documents;
    struct change change;
    while (bson_iter_next(&it)) {
        if (change_read_at(&it, &change) && is_mine(feed, &change) && !note_changed(feed, &change, last)) {
            return false;
        }
    }
    return true;
}

static void read_together(struct grants_feed *feed, mongoc_client_t *client, struct changed_user *const *users,
                          size_t count, uint64_t time)
{
    const char *names[TOGETHER_MAX];
    struct grants_list list;
    for (size_t i = 0; i < count; i++) {
        names[i] = users[i]->name;
    }
    /* A failure is told by who reads one of them alone. */
    if (count > 1 && grants_read_users(client, &feed->place, names, count, time, &list, NULL) == 0) {
        for (size_t i = 0; i < count; i++) {
            users[i]->set = grant_set_ref(list.sets[i]);
        }
        grants_list_fini(&list);
    }
}

/*
 * A nightly job that rewrites all grants must not hold up the logs by a question for each. Who is changed once in an
 * answer is at its last change as at its own, and is read with others; who is changed twice is read for each.
 */
void grants_feed_begin(struct grants_feed *feed, mongoc_client_t *client, const bson_iter_t *documents)
{
    struct changed_user *batch[TOGETHER_MAX];
    size_t count = 0;
    uint64_t last = 0;
    forget_changed(feed);
    if (!feed->current || !note_all_changed(feed, documents, &last)) {
        return;
    }
    for (struct changed_user *user = feed->changed; user; user = user->hh.next) {
        if (user->changes == 1) {
            batch[count++] = user;
        }
        if (count == TOGETHER_MAX || (count > 0 && !user->hh.next)) {
            read_together(feed, client, batch, count, last);
            count = 0;
        }
    }
}
