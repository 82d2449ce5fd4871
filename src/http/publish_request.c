/* publish_request - see publish_request.h. */
#include "publish_request.h"

#include "buffer.h"

#include <string.h>
#include <strings.h>

/* "application/json", "Application/JSON ; charset=utf-8" */
static bool is_type(const char *content_type, const char *name)
{
    size_t len = strlen(name);
    if (strncasecmp(content_type, name, len) != 0) {
        return false;
    }
    const char *rest = content_type + len;
    rest += strspn(rest, " \t");
    return *rest == '\0' || *rest == ';';
}

enum publish_body publish_body_of(const char *content_type)
{
    if (!content_type) {
        return PUBLISH_BODY_OTHER;
    }
    return is_type(content_type, "application/json")       ? PUBLISH_BODY_JSON
           : is_type(content_type, "application/x-ndjson") ? PUBLISH_BODY_NDJSON
                                                           : PUBLISH_BODY_OTHER;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_space(struct slice *text)
{
    while (text->len > 0 && is_space(text->data[0])) {
        text->data++;
        text->len--;
    }
}

static struct slice trimmed(struct slice text)
{
    skip_space(&text);
    while (text.len > 0 && is_space(text.data[text.len - 1])) {
        text.len--;
    }
    return text;
}

static void skip(struct slice *text, size_t bytes)
{
    text->data += bytes;
    text->len -= bytes;
}

static int add_item(struct publish_request *request, struct slice item, struct error *err)
{
    if (request->item_count == PUBLISH_ITEMS_MAX) {
        return error_set(err, "more than %d items in one request", PUBLISH_ITEMS_MAX);
    }
    request->items[request->item_count++] = item;
    return 0;
}

static int add_lines(struct publish_request *request, struct slice text, struct error *err)
{
    while (text.len > 0) {
        const char *end = memchr(text.data, '\n', text.len);
        size_t len = end ? (size_t)(end - text.data) : text.len;
        struct slice line = trimmed((struct slice){text.data, len});
        skip(&text, end ? len + 1 : len);
        if (line.len > 0 && add_item(request, line, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* text: behind the '['. */
static int add_elements(struct publish_request *request, struct slice text, struct error *err)
{
    for (;;) {
        skip_space(&text);
        size_t len = publish_object_length(text);
        if (len == 0) {
            return error_set(err, "item %zu is not a whole JSON object", request->item_count);
        }
        if (add_item(request, (struct slice){text.data, len}, err) != 0) {
            return -1;
        }
        skip(&text, len);
        skip_space(&text);
        if (text.len == 1 && text.data[0] == ']') { /* the body is trimmed: nothing follows */
            return 0;
        }
        if (text.len == 0 || text.data[0] != ',') {
            return error_set(err, "item %zu is followed neither by ',' and the next one nor by ']' and the end",
                             request->item_count - 1);
        }
        skip(&text, 1);
    }
}

int publish_request_read(struct publish_request *request, enum publish_body kind, struct slice body, struct error *err)
{
    int rc;
    request->body = memory_copy(body.data, body.len);
    request->items = memory_new(PUBLISH_ITEMS_MAX * sizeof *request->items);
    struct slice text = trimmed((struct slice){request->body, body.len});
    bool is_array = kind == PUBLISH_BODY_JSON && text.len > 0 && text.data[0] == '[';
    request->is_batch = kind == PUBLISH_BODY_NDJSON || is_array;
    if (kind == PUBLISH_BODY_NDJSON) {
        rc = add_lines(request, text, err);
    } else if (is_array) {
        skip(&text, 1);
        rc = add_elements(request, text, err);
    } else {
        rc = text.len > 0 ? add_item(request, text, err) : 0;
    }
    if (rc == 0 && request->item_count == 0) {
        return error_set(err, "there is nothing in the body");
    }
    return rc;
}
