/* publish_check - does a document that is not stored yet pass its mapping's `match`? */
#include "log.h"
#include "mapping_service.h"
#include "publish_insert.h"

#include <stdlib.h>

enum {
    CHECK_TIMEOUT_MS = 5000,
    CHECK_BYTES_MAX = 12 * 1024 * 1024, /* of the documents in one command, unless one alone has more */
    UNKNOWN_STAGE = 40324,              /* the server's code */
};

/* A run of the group that is asked for at once. */
struct run {
    const struct publish_group *group;
    size_t first, count;
    bool *passes; /* for each item of the group */
};

/* The documents as they would stand in a change: {n: 7, fullDocument: {…}}, so that the very same condition decides. */
static void append_documents(const struct run *run, bson_t *list)
{
    for (size_t i = 0; i < run->count; i++) {
        char text[16];
        const char *key;
        bson_t wrapped;
        bson_uint32_to_string((uint32_t)i, &key, text, sizeof text);
        BSON_APPEND_DOCUMENT_BEGIN(list, key, &wrapped);
        BSON_APPEND_INT32(&wrapped, "n", (int32_t)(run->first + i));
        BSON_APPEND_DOCUMENT(&wrapped, "fullDocument", run->group->items[run->first + i]->document);
        bson_append_document_end(list, &wrapped);
    }
}

/* [{$documents: {$literal: […]}}, {$match: …}, {$project: {n: 1}}] */
static bson_t *command_of(const struct run *run)
{
    bson_t pipeline, stage, documents, list, *command = bson_new();
    BSON_APPEND_INT32(command, "aggregate", 1);
    BSON_APPEND_ARRAY_BEGIN(command, "pipeline", &pipeline);
    BSON_APPEND_DOCUMENT_BEGIN(&pipeline, "0", &stage);
    BSON_APPEND_DOCUMENT_BEGIN(&stage, "$documents", &documents);
    BSON_APPEND_ARRAY_BEGIN(&documents, "$literal", &list);
    append_documents(run, &list);
    bson_append_array_end(&documents, &list);
    bson_append_document_end(&stage, &documents);
    bson_append_document_end(&pipeline, &stage);
    BSON_APPEND_DOCUMENT_BEGIN(&pipeline, "1", &stage);
    BSON_APPEND_DOCUMENT(&stage, "$match", mapping_change_filter(run->group->target.mapping));
    bson_append_document_end(&pipeline, &stage);
    BSON_APPEND_DOCUMENT_BEGIN(&pipeline, "2", &stage);
    BCON_APPEND(&stage, "$project", "{", "n", BCON_INT32(1), "}");
    bson_append_document_end(&pipeline, &stage);
    bson_append_array_end(command, &pipeline);
    BCON_APPEND(command, "cursor", "{", "batchSize", BCON_INT32((int32_t)run->count + 1), "}", "maxTimeMS",
                BCON_INT64(CHECK_TIMEOUT_MS));
    return command;
}

static void read_numbers(const struct run *run, const bson_t *reply)
{
    bson_iter_t at, batch, row, number;
    bool more = bson_iter_init(&at, reply) && bson_iter_find_descendant(&at, "cursor.firstBatch", &batch) &&
                BSON_ITER_HOLDS_ARRAY(&batch) && bson_iter_recurse(&batch, &row);
    while (more && bson_iter_next(&row)) {
        bool has = BSON_ITER_HOLDS_DOCUMENT(&row) && bson_iter_recurse(&row, &number) && bson_iter_find(&number, "n");
        int64_t n = has ? bson_iter_as_int64(&number) : -1;
        if (n >= 0 && (size_t)n < run->group->count) {
            run->passes[n] = true;
        }
    }
}

static int ask(mongoc_client_t *client, const struct run *run, struct error *err)
{
    bson_t reply;
    bson_error_t error;
    bson_t *command = command_of(run);
    bool ok = mongoc_client_read_command_with_opts(client, run->group->target.database, command, NULL, NULL, &reply,
                                                   &error);
    if (ok) {
        read_numbers(run, &reply);
    }
    bson_destroy(&reply);
    bson_destroy(command);
    return ok ? 0 : database_error(&error, err);
}

/* As many from `first` on as fit into one command. */
static size_t count_of_run(const struct publish_group *group, size_t first)
{
    size_t count = 0, bytes = 0;
    while (first + count < group->count) {
        bytes += group->items[first + count]->document->len;
        if (count > 0 && bytes > CHECK_BYTES_MAX) {
            break;
        }
        count++;
    }
    return count;
}

static void fail_all(const struct publish_group *group, const struct error *err)
{
    static struct log_limit limit;
    log_write_limited(&limit, LOG_LEVEL_WARN, "publish", "match could not be checked: %s", err->text);
    for (size_t i = 0; i < group->count; i++) {
        if (err->code == UNKNOWN_STAGE) {
            publish_item_fail(group->items[i], "match_unsupported",
                              "this mapping has a match, which MongoDB can check in advance from version 5.1 on only");
        } else {
            publish_item_fail(group->items[i], "database_unavailable",
                              "MongoDB did not answer; nothing was stored, try again");
        }
    }
}

static void refuse_others(struct publish_group *group, const bool *passes)
{
    size_t kept = 0;
    for (size_t i = 0; i < group->count; i++) {
        if (passes[i]) {
            group->items[kept++] = group->items[i];
        } else {
            publish_item_refuse(group->items[i], 400, "not_mapped",
                                "the mapping's match leaves this document out: nobody would see it");
        }
    }
    group->count = kept;
}

int publish_insert_check(mongoc_client_t *client, struct publish_group *group)
{
    int rc = 0;
    struct error err;
    if (!group->target.mapping || !mapping_change_filter(group->target.mapping)) {
        return 0;
    }
    struct run run = {.group = group, .passes = memory_zero(group->count, sizeof *run.passes)};
    for (; rc == 0 && run.first < group->count; run.first += run.count) {
        run.count = count_of_run(group, run.first);
        rc = ask(client, &run, &err);
    }
    if (rc == 0) {
        refuse_others(group, run.passes);
    } else {
        fail_all(group, &err);
    }
    free(run.passes);
    return rc;
}
