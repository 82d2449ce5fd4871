/* change - see change.h. */
#include "change.h"

#include "mapping.h"

#include <string.h>

static struct slice text_of(const bson_iter_t *at)
{
    uint32_t len = 0;
    const char *text = BSON_ITER_HOLDS_UTF8(at) ? bson_iter_utf8(at, &len) : "";
    return (struct slice){text, len};
}

static void read_token(const bson_iter_t *at, struct change *change)
{
    bson_iter_t data;
    if (BSON_ITER_HOLDS_DOCUMENT(at) && bson_iter_recurse(at, &data) && bson_iter_find(&data, "_data")) {
        change->token = text_of(&data);
    }
}

static void read_namespace(const bson_iter_t *at, struct change *change)
{
    bson_iter_t part;
    if (!BSON_ITER_HOLDS_DOCUMENT(at) || !bson_iter_recurse(at, &part)) {
        return;
    }
    while (bson_iter_next(&part)) {
        if (strcmp(bson_iter_key(&part), "db") == 0) {
            change->database = text_of(&part);
        } else if (strcmp(bson_iter_key(&part), "coll") == 0) {
            change->collection = text_of(&part);
        }
    }
}

/* Make *view a view of the document at the iterator. */
static bool view_document(const bson_iter_t *at, bson_t *view)
{
    uint32_t len;
    const uint8_t *data;
    if (!BSON_ITER_HOLDS_DOCUMENT(at)) {
        return false;
    }
    bson_iter_document(at, &len, &data);
    return bson_init_static(view, data, len);
}

static void read_member(const bson_iter_t *at, const char *key, struct change *change)
{
    uint32_t seconds, increment;
    if (strcmp(key, "_id") == 0) {
        read_token(at, change);
    } else if (strcmp(key, "operationType") == 0) {
        change->operation = text_of(at);
    } else if (strcmp(key, "clusterTime") == 0 && BSON_ITER_HOLDS_TIMESTAMP(at)) {
        bson_iter_timestamp(at, &seconds, &increment);
        change->cluster_time = (uint64_t)seconds << 32 | increment;
    } else if (strcmp(key, "wallTime") == 0 && BSON_ITER_HOLDS_DATE_TIME(at)) {
        change->wall_ms = bson_iter_date_time(at);
    } else if (strcmp(key, "ns") == 0) {
        read_namespace(at, change);
    } else if (strcmp(key, "txnNumber") == 0) {
        change->in_transaction = true;
    } else if (strcmp(key, "fullDocument") == 0) {
        change->has_document = view_document(at, &change->document);
    } else if (strcmp(key, MAPPING_GRANTS_ID) == 0) {
        change->has_grants_id = true;
        change->grants_id = *at;
    }
}

static void clear(struct change *change)
{
    change->token = change->operation = change->database = change->collection = (struct slice){"", 0};
    change->cluster_time = 0;
    change->wall_ms = 0;
    change->in_transaction = change->has_document = change->has_grants_id = false;
}

void change_read(const bson_t *source, struct change *change)
{
    bson_iter_t at;
    clear(change);
    bool more = bson_iter_init(&at, source);
    while (more && bson_iter_next(&at)) {
        read_member(&at, bson_iter_key(&at), change);
    }
}

bool change_read_at(const bson_iter_t *at, struct change *change)
{
    bson_t source;
    bool is_document = view_document(at, &source);
    if (is_document) {
        change_read(&source, change);
    }
    return is_document;
}
