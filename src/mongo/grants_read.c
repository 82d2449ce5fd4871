/* grants_read - see grants_read.h. */
#include "grants_read.h"

#include "buffer.h"
#include "database.h"
#include "read_view.h"
#include "seeded_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tailwater/channel.h>

enum { QUERY_MS = 10000, BATCH = 1000, OBJECT_ID_TEXT = 24 };

/* --- who ------------------------------------------------------------------------------------------- */

static bool is_name(const char *text, size_t len)
{
    if (len == 0 || len > GRANTS_USER_MAX || !bson_utf8_validate(text, len, false)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool name_of_text(const bson_iter_t *id, char out[GRANTS_USER_MAX + 1])
{
    uint32_t len;
    const char *text = bson_iter_utf8(id, &len);
    if (!is_name(text, len)) {
        return false;
    }
    memcpy(out, text, len);
    out[len] = '\0';
    return true;
}

bool grants_user(const bson_iter_t *id, char out[GRANTS_USER_MAX + 1])
{
    if (BSON_ITER_HOLDS_UTF8(id)) {
        return name_of_text(id, out);
    }
    if (BSON_ITER_HOLDS_OID(id)) {
        bson_oid_to_string(bson_iter_oid(id), out);
        return true;
    }
    if (BSON_ITER_HOLDS_INT(id)) {
        snprintf(out, GRANTS_USER_MAX + 1, "%" PRId64, bson_iter_as_int64(id));
        return true;
    }
    return false;
}

/* --- what ------------------------------------------------------------------------------------------ */

/* What one user's documents have said so far. */
struct draft {
    UT_hash_handle hh; /* by user */
    char **patterns;
    unsigned count, capacity;
    char user[];
};

struct drafts {
    struct grants_place *place;
    struct draft *by_user;
    size_t bytes;
    bool only_known; /* documents of others do not count */
};

static struct draft *draft_find(const struct drafts *drafts, const char *user)
{
    struct draft *draft;
    HASH_FIND(hh, drafts->by_user, user, strlen(user), draft);
    return draft;
}

static struct draft *draft_add(struct drafts *drafts, const char *user)
{
    size_t len = strlen(user);
    struct draft *draft = memory_zero(1, sizeof *draft + len + 1);
    memcpy(draft->user, user, len);
    HASH_ADD_KEYPTR(hh, drafts->by_user, draft->user, len, draft);
    drafts->bytes += sizeof *draft + len + 1;
    return draft;
}

static void drafts_fini(struct drafts *drafts)
{
    struct draft *draft, *next;
    HASH_ITER(hh, drafts->by_user, draft, next)
    {
        HASH_DEL(drafts->by_user, draft);
        memory_free_texts(draft->patterns, draft->count);
        free(draft);
    }
}

static void note_odd(const struct drafts *drafts, const char *user, const char *what)
{
    log_write_limited(&drafts->place->odd_limit, LOG_LEVEL_WARN, "grants", "source %s: %s.%s, _id %s: %s",
                      drafts->place->source, drafts->place->database, drafts->place->collection, user, what);
}

static void take_pattern(struct drafts *drafts, struct draft *draft, const bson_iter_t *value)
{
    uint32_t len = 0;
    const char *text = BSON_ITER_HOLDS_UTF8(value) ? bson_iter_utf8(value, &len) : NULL;
    const char *problem = text ? tailwater_channel_problem(text, len, true) : "it is no text";
    if (problem) {
        note_odd(drafts, draft->user, "what is no channel or pattern grants nothing");
        return;
    }
    if (draft->count == GRANTS_PATTERNS_MAX) {
        note_odd(drafts, draft->user, "only the first 1000 patterns count");
        return;
    }
    if (draft->count == draft->capacity) {
        draft->capacity = draft->capacity ? draft->capacity * 2 : 4;
        draft->patterns = memory_resize(draft->patterns, draft->capacity * sizeof *draft->patterns);
    }
    draft->patterns[draft->count++] = memory_copy(text, len);
    drafts->bytes += sizeof(char *) + len + 1;
}

static void take_patterns(struct drafts *drafts, struct draft *draft, const bson_t *document)
{
    bson_iter_t value, item;
    if (!bson_iter_init_find(&value, document, "read")) {
        note_odd(drafts, draft->user, "a document without `read` grants nothing");
    } else if (BSON_ITER_HOLDS_ARRAY(&value) && bson_iter_recurse(&value, &item)) {
        while (bson_iter_next(&item)) {
            take_pattern(drafts, draft, &item);
        }
    } else {
        take_pattern(drafts, draft, &value);
    }
}

static void take_document(struct drafts *drafts, const bson_t *document)
{
    bson_iter_t id;
    char user[GRANTS_USER_MAX + 1];
    if (!bson_iter_init_find(&id, document, "_id") || !grants_user(&id, user)) {
        note_odd(drafts, "(not shown)", "it names no user: a string, an ObjectId or an integer is wanted");
        return;
    }
    struct draft *draft = draft_find(drafts, user);
    if (!draft && !drafts->only_known) {
        draft = draft_add(drafts, user);
    }
    if (draft) {
        take_patterns(drafts, draft, document);
    }
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In an order of their own, so that sets can be compared. */
static void sort_out(struct draft *draft)
{
    unsigned kept = 0;
    if (draft->count > 0) {
        qsort(draft->patterns, draft->count, sizeof *draft->patterns, compare);
    }
    for (unsigned i = 0; i < draft->count; i++) {
        if (kept > 0 && strcmp(draft->patterns[kept - 1], draft->patterns[i]) == 0) {
            free(draft->patterns[i]);
        } else {
            draft->patterns[kept++] = draft->patterns[i];
        }
    }
    draft->count = kept;
}

/* Takes the draft's patterns. */
static struct grant_set *finish(struct draft *draft, uint64_t time)
{
    sort_out(draft);
    struct grant_set *set = grant_set_new(draft->user, time, draft->patterns, draft->count);
    draft->patterns = NULL;
    draft->count = 0;
    return set;
}

/* --- reading --------------------------------------------------------------------------------------- */

static bson_t *find_options(void)
{
    return BCON_NEW("projection", "{", "read", BCON_INT32(1), "}", "batchSize", BCON_INT32(BATCH), "maxTimeMS",
                    BCON_INT32(QUERY_MS));
}

static int take_all(struct drafts *drafts, mongoc_cursor_t *cursor, struct error *err)
{
    const bson_t *document;
    bson_error_t error;
    while (mongoc_cursor_next(cursor, &document)) {
        take_document(drafts, document);
        if (!drafts->only_known && drafts->bytes > drafts->place->max_bytes) {
            return error_set(err, "%s.%s holds more than limits.grants_bytes", drafts->place->database,
                             drafts->place->collection);
        }
    }
    return mongoc_cursor_error(cursor, &error) ? database_error(&error, err) : 0;
}

static int find_once(struct drafts *drafts, struct read_view *view, const bson_t *query, struct error *err)
{
    mongoc_cursor_t *cursor;
    bson_t *opts = find_options();
    int rc = read_view_find(view, drafts->place->database, drafts->place->collection, query, opts, &cursor, err);
    bson_destroy(opts);
    if (rc == 0) {
        rc = take_all(drafts, cursor, err);
        mongoc_cursor_destroy(cursor);
    }
    return rc;
}

/* Begin anew. */
static void forget(struct drafts *drafts)
{
    struct draft *draft, *next;
    drafts->bytes = 0;
    HASH_ITER(hh, drafts->by_user, draft, next)
    {
        memory_free_texts(draft->patterns, draft->count);
        draft->patterns = NULL;
        draft->count = draft->capacity = 0;
    }
}

/* A server without a snapshot of that time is asked for what a majority has, by then or later. */
static int find(struct drafts *drafts, struct read_view *view, const bson_t *query, struct error *err)
{
    struct error problem = {0};
    int rc = find_once(drafts, view, query, &problem);
    if (rc != 0 && view->snapshot && read_view_is_refusal(problem.code)) {
        view->snapshot = false;
        forget(drafts);
        rc = find_once(drafts, view, query, &problem);
    }
    if (rc != 0 && err) {
        *err = problem;
    }
    return rc;
}

static struct grants_list list_new(size_t count, uint64_t time)
{
    return (struct grants_list){.sets = memory_zero(count + 1, sizeof(struct grant_set *)), .time = time};
}

void grants_list_fini(struct grants_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        grant_set_unref(list->sets[i]);
    }
    free(list->sets);
    *list = (struct grants_list){0};
}

static int read_all(struct drafts *drafts, struct read_view *view, struct grants_list *out, struct error *err)
{
    const bson_t everything = BSON_INITIALIZER;
    if (find(drafts, view, &everything, err) != 0) {
        return -1;
    }
    *out = list_new(HASH_COUNT(drafts->by_user), view->time);
    for (struct draft *draft = drafts->by_user; draft; draft = draft->hh.next) {
        out->sets[out->count++] = finish(draft, view->time);
    }
    return 0;
}

int grants_read_all(mongoc_client_t *client, struct grants_place *place, uint64_t least, struct grants_list *out,
                    struct error *err)
{
    struct read_view view;
    struct drafts drafts = {.place = place};
    *out = (struct grants_list){0};
    int rc = read_view_open(&view, client, true, err);
    if (rc == 0) {
        view.time = view.time > least ? view.time : least;
        rc = read_all(&drafts, &view, out, err);
    }
    read_view_close(&view);
    drafts_fini(&drafts);
    return rc;
}

/* --- some users ------------------------------------------------------------------------------------ */

/* Is it the text of just this number? */
static bool is_number(const char *user, int64_t *number)
{
    char text[24];
    *number = strtoll(user, NULL, 10);
    snprintf(text, sizeof text, "%" PRId64, *number);
    return strcmp(text, user) == 0;
}

static bool is_object_id(const char *user)
{
    return strlen(user) == OBJECT_ID_TEXT && strspn(user, "0123456789abcdef") == OBJECT_ID_TEXT;
}

static const char *next_key(uint32_t *at, char buffer[16])
{
    const char *key;
    bson_uint32_to_string((*at)++, &key, buffer, 16);
    return key;
}

/* All _ids that this user's documents could have. */
static void append_ids(bson_t *ids, uint32_t *at, const char *user)
{
    char buffer[16];
    int64_t number;
    bson_oid_t oid;
    bson_append_utf8(ids, next_key(at, buffer), -1, user, -1);
    if (is_number(user, &number)) {
        bson_append_int64(ids, next_key(at, buffer), -1, number);
    }
    if (is_object_id(user)) {
        bson_oid_init_from_string(&oid, user);
        bson_append_oid(ids, next_key(at, buffer), -1, &oid);
    }
}

static bson_t *users_query(const char *const *users, size_t count)
{
    bson_t *query = bson_new(), condition, ids;
    uint32_t at = 0;
    bson_append_document_begin(query, "_id", -1, &condition);
    bson_append_array_begin(&condition, "$in", -1, &ids);
    for (size_t i = 0; i < count; i++) {
        append_ids(&ids, &at, users[i]);
    }
    bson_append_array_end(&condition, &ids);
    bson_append_document_end(query, &condition);
    return query;
}

static int read_users(struct drafts *drafts, struct read_view *view, const char *const *users, size_t count,
                      struct grants_list *out, struct error *err)
{
    bson_t *query = users_query(users, count);
    int rc = find(drafts, view, query, err);
    bson_destroy(query);
    if (rc != 0) {
        return -1;
    }
    *out = list_new(count, view->time);
    for (size_t i = 0; i < count; i++) {
        out->sets[out->count++] = finish(draft_find(drafts, users[i]), view->time);
    }
    return 0;
}

int grants_read_users(mongoc_client_t *client, struct grants_place *place, const char *const *users, size_t count,
                      uint64_t time, struct grants_list *out, struct error *err)
{
    struct read_view view;
    struct drafts drafts = {.place = place, .only_known = true};
    *out = (struct grants_list){0};
    for (size_t i = 0; i < count; i++) {
        draft_add(&drafts, users[i]);
    }
    int rc = read_view_open_at(&view, client, time, err);
    if (rc == 0) {
        rc = read_users(&drafts, &view, users, count, out, err);
    }
    read_view_close(&view);
    drafts_fini(&drafts);
    return rc;
}
