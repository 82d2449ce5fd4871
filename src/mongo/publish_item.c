/* publish_item - see publish_item.h. */
#include "publish_item.h"

#include "publish.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void publish_item_fini(struct publish_item *item)
{
    free(item->detail);
    bson_destroy(item->document);
    buffer_fini(&item->channel);
}

__attribute__((format(printf, 5, 0))) static void end_badly(struct publish_item *item, enum publish_state state,
                                                            int status, const char *code, const char *format,
                                                            va_list arguments)
{
    char sentence[512];
    if (item->state != PUBLISH_OPEN) {
        return;
    }
    vsnprintf(sentence, sizeof sentence, format, arguments);
    item->state = state;
    item->status = status;
    item->code = code;
    item->detail = memory_text(sentence);
}

int publish_item_refuse(struct publish_item *item, int status, const char *code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    end_badly(item, PUBLISH_REFUSED, status, code, format, arguments);
    va_end(arguments);
    return -1;
}

int publish_item_fail(struct publish_item *item, const char *code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    end_badly(item, PUBLISH_FAILED, 503, code, format, arguments);
    va_end(arguments);
    return -1;
}

bson_t *publish_item_parse(struct publish_item *item, struct slice text)
{
    bson_error_t error;
    if (text.len == 0 || text.data[0] != '{') {
        publish_item_refuse(item, 400, "invalid_item", "it must be a JSON object");
        return NULL;
    }
    if (publish_object_length(text) != text.len) { /* libbson would read the first object and ignore the rest */
        publish_item_refuse(item, 400, "invalid_json", "not valid JSON: the object does not end where the item does");
        return NULL;
    }
    bson_t *parsed = bson_new_from_json((const uint8_t *)text.data, (ssize_t)text.len, &error);
    if (!parsed) {
        publish_item_refuse(item, 400, "invalid_json", "not valid JSON: %.300s", error.message);
    }
    return parsed;
}

static bool is_object_id(const bson_iter_t *id, bson_oid_t *oid)
{
    uint32_t len = 0;
    const char *text = bson_iter_utf8(id, &len);
    bool is = len == 24 && bson_oid_is_valid(text, 24);
    if (is) {
        bson_oid_init_from_string(oid, text);
    }
    return is;
}

static int append_text_id(struct publish_item *item, const bson_iter_t *id)
{
    bson_oid_t oid;
    uint32_t len = 0;
    const char *text = bson_iter_utf8(id, &len);
    if (len == 0 || len > PUBLISH_ID_MAX) {
        return publish_item_refuse(item, 400, "invalid_id", "_id: text must have 1 to %d bytes", PUBLISH_ID_MAX);
    }
    if (is_object_id(id, &oid)) {
        BSON_APPEND_OID(item->document, "_id", &oid);
    } else {
        bson_append_utf8(item->document, "_id", 3, text, (int)len);
    }
    return 0;
}

int publish_item_begin(struct publish_item *item, const bson_iter_t *id)
{
    item->document = bson_new();
    item->made_id = !id;
    if (!id) {
        bson_oid_t oid;
        bson_oid_init(&oid, NULL);
        BSON_APPEND_OID(item->document, "_id", &oid);
    } else if (BSON_ITER_HOLDS_UTF8(id)) {
        return append_text_id(item, id);
    } else if (BSON_ITER_HOLDS_OID(id) || BSON_ITER_HOLDS_NUMBER(id)) {
        bson_append_iter(item->document, "_id", 3, id);
    } else {
        return publish_item_refuse(item, 400, "invalid_id", "_id: must be a string, a number or an ObjectId");
    }
    return 0;
}

int publish_item_end(struct publish_item *item)
{
    if (item->document->len <= PUBLISH_DOCUMENT_MAX) {
        return 0;
    }
    return publish_item_refuse(item, 413, "document_too_large", "the document has %u bytes; MongoDB takes at most %d",
                               item->document->len, PUBLISH_DOCUMENT_MAX);
}

bool publish_item_id(const struct publish_item *item, bson_iter_t *at)
{
    return item->document && bson_iter_init_find(at, item->document, "_id");
}
