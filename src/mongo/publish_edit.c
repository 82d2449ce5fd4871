/* publish_edit - see publish_edit.h. */
#include "publish_edit.h"

#include "buffer.h"

#include <string.h>

struct editor {
    const struct publish_edit *edits;
    size_t count;
    uint32_t written;   /* a bit for each edit */
    struct buffer path; /* that leads to the level at hand, with a dot at the end unless it is the top */
};

static void copy_level(struct editor *e, bson_iter_t *at, bson_t *out);

static bool is_under(const struct editor *e, const struct publish_edit *edit)
{
    return edit->path.len >= e->path.len && memcmp(edit->path.data, e->path.len ? e->path.data : "", e->path.len) == 0;
}

/* The next edit from i on that still has to write a value under this level; *rest is its path from here. */
static size_t next_unwritten(const struct editor *e, size_t i, struct slice *rest)
{
    while (i < e->count && (e->written & 1u << i || !e->edits[i].value || !is_under(e, &e->edits[i]))) {
        i++;
    }
    if (i < e->count) {
        *rest = (struct slice){e->edits[i].path.data + e->path.len, e->edits[i].path.len - e->path.len};
    }
    return i;
}

static void write_here(struct editor *e, bson_t *out)
{
    struct slice rest;
    for (size_t i = 0; (i = next_unwritten(e, i, &rest)) < e->count; i++) {
        if (!memchr(rest.data, '.', rest.len)) {
            bson_append_value(out, rest.data, (int)rest.len, e->edits[i].value);
            e->written |= 1u << i;
        }
    }
}

/* key was appended to the path. */
static void copy_inside(struct editor *e, bson_iter_t *at, struct slice key, bson_t *out)
{
    bson_t part;
    bson_append_document_begin(out, key.data, (int)key.len, &part);
    buffer_append_byte(&e->path, '.');
    copy_level(e, at, &part);
    bson_append_document_end(out, &part);
}

/* Documents on the way to a field that the source does not have. */
static void write_missing(struct editor *e, bson_t *out)
{
    struct slice rest;
    size_t len = e->path.len;
    for (size_t i = 0; (i = next_unwritten(e, i, &rest)) < e->count; i++) {
        const char *dot = memchr(rest.data, '.', rest.len);
        struct slice key = {rest.data, dot ? (size_t)(dot - rest.data) : rest.len};
        buffer_append(&e->path, key.data, key.len);
        copy_inside(e, NULL, key, out);
        e->path.len = len;
    }
}

enum touch { UNTOUCHED, INSIDE, REPLACED };

/* What the edits say about the field at e->path. One that is no document makes way only for a value. */
static enum touch touch_of(const struct editor *e, bool is_document)
{
    enum touch touch = UNTOUCHED;
    for (size_t i = 0; i < e->count; i++) {
        struct slice wanted = e->edits[i].path;
        if (is_under(e, &e->edits[i])) {
            if (wanted.len == e->path.len) {
                return REPLACED;
            }
            bool inside = wanted.data[e->path.len] == '.' && (is_document || e->edits[i].value);
            touch = inside ? INSIDE : touch;
        }
    }
    return touch;
}

static void copy_field(struct editor *e, bson_iter_t *at, bson_t *out)
{
    struct slice key = {bson_iter_key(at), bson_iter_key_len(at)};
    bson_iter_t child;
    buffer_append(&e->path, key.data, key.len);
    enum touch touch = touch_of(e, BSON_ITER_HOLDS_DOCUMENT(at));
    if (touch == UNTOUCHED) {
        bson_append_iter(out, key.data, (int)key.len, at);
    } else if (touch == INSIDE && BSON_ITER_HOLDS_DOCUMENT(at) && bson_iter_recurse(at, &child)) {
        copy_inside(e, &child, key, out);
    }
}

/* Recursion is bounded: a level is entered only along an edit's path. at: NULL = there is nothing to copy. */
static void copy_level(struct editor *e, bson_iter_t *at, bson_t *out)
{
    size_t len = e->path.len;
    write_here(e, out);
    while (at && bson_iter_next(at)) {
        copy_field(e, at, out);
        e->path.len = len;
    }
    write_missing(e, out);
}

void publish_edit_copy(const bson_t *document, const struct publish_edit *edits, size_t count, bson_t *out)
{
    struct editor e = {.edits = edits, .count = count, .path = BUFFER_INIT};
    bson_iter_t at;
    copy_level(&e, bson_iter_init(&at, document) ? &at : NULL, out);
    buffer_fini(&e.path);
}
