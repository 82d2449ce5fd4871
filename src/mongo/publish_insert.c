/* publish_insert - see publish_insert.h. */
#include "publish_insert.h"

#include "log.h"
#include "publish_repeat.h"

#include <stdlib.h>
#include <string.h>

enum {
    WRITE_TIMEOUT_MS = 5000,
    DUPLICATE_KEY = 11000, /* the server's code */
};

/* --- bad ends ------------------------------------------------------------------------------------- */

static void log_failure(const struct publish_group *group, const char *text)
{
    static struct log_limit limit;
    size_t len = strcspn(text, "{"); /* behind it the server quotes the command: what is published is not for the log */
    log_write_limited(&limit, LOG_LEVEL_WARN, "publish", "%s.%s: %.*s", group->target.database,
                      group->target.collection, len > 300 ? 300 : (int)len, text);
}

static void fail_unavailable(struct publish_item *item)
{
    publish_item_fail(item, "database_unavailable", "MongoDB did not answer; nothing was stored, try again");
}

static void fail_unknown(struct publish_item *item)
{
    char id[25];
    bson_iter_t at;
    if (item->made_id && publish_item_id(item, &at)) {
        bson_oid_to_string(bson_iter_oid(&at), id);
        publish_item_fail(item, "outcome_unknown",
                          "MongoDB did not confirm in time whether this is stored; a repeat with the _id \"%s\" is "
                          "safe",
                          id);
    } else {
        publish_item_fail(item, "outcome_unknown",
                          "MongoDB did not confirm in time whether this is stored; a repeat with the same _id is safe");
    }
}

/* A server that steps down or stops, and what sharded clusters say while they change: the same may go well later. */
static bool is_passing(int code)
{
    static const int codes[] = {6,   7,     63,    89,    91,    189,   262,   9001,
                                133, 10107, 11600, 11602, 13388, 13435, 13436, 234};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i] == code) {
            return true;
        }
    }
    return false;
}

/* --- the answer of an insert ---------------------------------------------------------------------- */

struct outcome {
    struct publish_group *group;
    bool *is_told;       /* for each item: a write error was about it */
    bool *is_duplicate;
    size_t told;
    int64_t inserted;
    bool is_unconfirmed; /* by a majority */
};

static void take_error(struct outcome *o, const bson_t *error)
{
    bson_iter_t at;
    int64_t index = bson_iter_init_find(&at, error, "index") ? bson_iter_as_int64(&at) : -1;
    int code = bson_iter_init_find(&at, error, "code") ? (int)bson_iter_as_int64(&at) : 0;
    bool has_text = bson_iter_init_find(&at, error, "errmsg") && BSON_ITER_HOLDS_UTF8(&at);
    const char *text = has_text ? bson_iter_utf8(&at, NULL) : "";
    if (index < 0 || (size_t)index >= o->group->count || o->is_told[index]) {
        return;
    }
    o->is_told[index] = true;
    o->told++;
    if (code == DUPLICATE_KEY) {
        o->is_duplicate[index] = true;
        return;
    }
    log_failure(o->group, text);
    if (is_passing(code)) {
        fail_unavailable(o->group->items[index]);
    } else {
        publish_item_refuse(o->group->items[index], 400, "refused_by_database",
                            "MongoDB does not take this document (error %d)", code);
    }
}

static void take_errors(struct outcome *o, const bson_iter_t *list)
{
    bson_iter_t at;
    bool more = BSON_ITER_HOLDS_ARRAY(list) && bson_iter_recurse(list, &at);
    while (more && bson_iter_next(&at)) {
        bson_t error;
        uint32_t len;
        const uint8_t *data;
        if (BSON_ITER_HOLDS_DOCUMENT(&at)) {
            bson_iter_document(&at, &len, &data);
            bson_init_static(&error, data, len);
            take_error(o, &error);
        }
    }
}

static void read_reply(struct outcome *o, const bson_t *reply)
{
    bson_iter_t at;
    bool more = bson_iter_init(&at, reply);
    while (more && bson_iter_next(&at)) {
        const char *key = bson_iter_key(&at);
        if (strcmp(key, "insertedCount") == 0) {
            o->inserted = bson_iter_as_int64(&at);
        } else if (strcmp(key, "writeErrors") == 0) {
            take_errors(o, &at);
        } else if (strcmp(key, "writeConcernErrors") == 0) {
            o->is_unconfirmed = true;
        }
    }
}

/* How the command itself ended. */
enum end {
    END_ANSWERED,
    END_NOT_SENT, /* no primary was found */
    END_REFUSED,  /* by the server, for good: rights, for instance */
    END_UNSURE,   /* the connection broke, or the primary stepped down */
};

static enum end end_of(const struct outcome *o, bool ok, const bson_error_t *error)
{
    if (ok || o->told > 0) {
        return END_ANSWERED;
    }
    log_failure(o->group, error->message);
    if (error->domain == MONGOC_ERROR_SERVER_SELECTION) {
        return END_NOT_SENT;
    }
    return error->domain == MONGOC_ERROR_SERVER && !is_passing((int)error->code) ? END_REFUSED : END_UNSURE;
}

static void end_item(struct publish_item *item, enum end end, bool is_confirmed)
{
    if (end == END_NOT_SENT) {
        fail_unavailable(item);
    } else if (end == END_REFUSED) {
        publish_item_fail(item, "database_refused", "MongoDB refuses to store anything there; the log tells why");
    } else if (end == END_UNSURE || !is_confirmed) {
        fail_unknown(item);
    } else {
        item->state = PUBLISH_INSERTED;
    }
}

/* What no write error was about is stored when the server counted as many, else nobody knows. */
static void settle(struct outcome *o, enum end end)
{
    bool is_counted = (size_t)o->inserted + o->told == o->group->count;
    for (size_t i = 0; i < o->group->count; i++) {
        struct publish_item *item = o->group->items[i];
        if (item->state == PUBLISH_OPEN && (!o->is_duplicate[i] || o->is_unconfirmed)) {
            end_item(item, end, is_counted && !o->is_unconfirmed);
        }
    }
}

static void look_up_duplicates(mongoc_client_t *client, const struct outcome *o)
{
    struct publish_group repeats = {o->group->target, memory_zero(o->group->count, sizeof *repeats.items), 0};
    struct error err;
    for (size_t i = 0; i < o->group->count; i++) {
        if (o->is_duplicate[i] && o->group->items[i]->state == PUBLISH_OPEN) {
            repeats.items[repeats.count++] = o->group->items[i];
        }
    }
    if (repeats.count > 0 && publish_repeat_find(client, &repeats, &err) != 0) {
        log_failure(o->group, err.text);
        for (size_t i = 0; i < repeats.count; i++) {
            fail_unknown(repeats.items[i]);
        }
    }
    free(repeats.items);
}

/* --- asking --------------------------------------------------------------------------------------- */

static bool insert(mongoc_client_t *client, const struct publish_group *group, bson_t *reply, bson_error_t *error)
{
    const bson_t **documents = memory_zero(group->count, sizeof *documents);
    bson_t *opts = BCON_NEW("ordered", BCON_BOOL(false), "validate", BCON_BOOL(false), "writeConcern", "{", "w",
                            BCON_UTF8("majority"), "wtimeout", BCON_INT32(WRITE_TIMEOUT_MS), "}");
    mongoc_collection_t *collection = mongoc_client_get_collection(client, group->target.database,
                                                                   group->target.collection);
    for (size_t i = 0; i < group->count; i++) {
        documents[i] = group->items[i]->document;
    }
    bool ok = mongoc_collection_insert_many(collection, documents, group->count, opts, reply, error);
    mongoc_collection_destroy(collection);
    bson_destroy(opts);
    free(documents);
    return ok;
}

void publish_insert_run(mongoc_client_t *client, struct publish_group *group)
{
    bson_t reply;
    bson_error_t error;
    struct outcome o = {.group = group};
    if (group->count == 0) {
        return;
    }
    o.is_told = memory_zero(group->count, sizeof *o.is_told);
    o.is_duplicate = memory_zero(group->count, sizeof *o.is_duplicate);
    bool ok = insert(client, group, &reply, &error);
    read_reply(&o, &reply);
    bson_destroy(&reply);
    settle(&o, end_of(&o, ok, &error));
    look_up_duplicates(client, &o);
    free(o.is_told);
    free(o.is_duplicate);
}
