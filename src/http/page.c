/* page - see page.h. The rows are a heap with the last one of the page at its root, until they are written. */
#include "page.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT_DEFAULT = 100, CURSOR_ID_MAX = 512 };

/* --- cursors --------------------------------------------------------------------------------------- */

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "<key>.<id in hex>": what an id may hold need not be escaped then. */
static int read_cursor(struct page *page, const char *text)
{
    char *end;
    errno = 0;
    page->cursor_key = strtoll(text, &end, 10);
    size_t len = strlen(end);
    if (errno || end == text || *end != '.' || len % 2 == 0 || len / 2 > CURSOR_ID_MAX) {
        return -1;
    }
    page->cursor_id = memory_zero(1, len / 2 + 1);
    for (size_t i = 0; i < len / 2; i++) {
        int high = hex_value(end[1 + 2 * i]), low = hex_value(end[2 + 2 * i]);
        if (high < 0 || low < 0 || high + low == 0) {
            return -1;
        }
        page->cursor_id[i] = (char)(high << 4 | low);
    }
    return 0;
}

static void append_cursor(const struct page_row *last, struct buffer *out)
{
    buffer_printf(out, "\"%" PRId64 ".", last->key);
    for (const char *at = last->id; *at; at++) {
        buffer_printf(out, "%02x", (unsigned char)*at);
    }
    buffer_append_byte(out, '"');
}

int page_init(struct page *page, const struct params *params, struct error *err)
{
    *page = (struct page){.limit = LIMIT_DEFAULT};
    const char *limit = params_get(params, "limit"), *cursor = params_get(params, "cursor");
    char *end;
    unsigned long wanted = limit ? strtoul(limit, &end, 10) : LIMIT_DEFAULT;
    if (limit && (limit[strspn(limit, "0123456789")] || wanted < 1 || wanted > PAGE_LIMIT_MAX)) {
        return error_set(err, "limit: must be a number from 1 to %d", PAGE_LIMIT_MAX);
    }
    page->limit = wanted;
    if (cursor && read_cursor(page, cursor) != 0) {
        page_fini(page);
        return error_set(err, "cursor: must be what next of the page before says");
    }
    page->rows = memory_zero(page->limit, sizeof *page->rows);
    return 0;
}

static void free_row(struct page_row *row)
{
    free(row->id);
    buffer_fini(&row->json);
}

void page_fini(struct page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        free_row(&page->rows[i]);
    }
    free(page->rows);
    free(page->cursor_id);
    *page = (struct page){0};
}

/* --- the heap -------------------------------------------------------------------------------------- */

/* Negative: a comes before b. */
static int compare(int64_t a_key, const char *a_id, int64_t b_key, const char *b_id)
{
    return a_key != b_key ? (a_key > b_key ? -1 : 1) : strcmp(a_id, b_id);
}

static int compare_rows(const void *a, const void *b)
{
    const struct page_row *x = a, *y = b;
    return compare(x->key, x->id, y->key, y->id);
}

static bool is_later(const struct page *page, size_t a, size_t b)
{
    return compare_rows(&page->rows[a], &page->rows[b]) > 0;
}

static void swap(struct page *page, size_t a, size_t b)
{
    struct page_row row = page->rows[a];
    page->rows[a] = page->rows[b];
    page->rows[b] = row;
}

static void rise(struct page *page, size_t at)
{
    while (at > 0 && is_later(page, at, (at - 1) / 2)) {
        swap(page, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static void sink(struct page *page)
{
    size_t at = 0;
    for (;;) {
        size_t latest = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < page->count; child++) {
            latest = is_later(page, child, latest) ? child : latest;
        }
        if (latest == at) {
            return;
        }
        swap(page, at, latest);
        at = latest;
    }
}

void page_offer(struct page *page, int64_t key, const char *id, size_t id_len, void *object)
{
    char *copy = memory_copy(id, id_len);
    page->total++;
    bool is_behind = !page->cursor_id || compare(key, copy, page->cursor_key, page->cursor_id) > 0;
    page->behind += is_behind;
    bool is_full = page->count == page->limit;
    if (!is_behind || (is_full && compare(key, copy, page->rows[0].key, page->rows[0].id) > 0)) {
        free(copy);
        return;
    }
    if (is_full) {
        free_row(&page->rows[0]);
        page->rows[0] = (struct page_row){.key = key, .id = copy, .object = object};
        sink(page);
    } else {
        page->rows[page->count] = (struct page_row){.key = key, .id = copy, .object = object};
        rise(page, page->count++);
    }
}

void page_append(struct page *page, const char *name, struct buffer *out)
{
    qsort(page->rows, page->count, sizeof *page->rows, compare_rows);
    buffer_printf(out, "\"total\":%" PRIu64 ",\"%s\":[", page->total, name);
    for (size_t i = 0; i < page->count; i++) {
        buffer_append(out, ",", i > 0);
        buffer_append(out, page->rows[i].json.data, page->rows[i].json.len);
    }
    buffer_append_text(out, "],\"next\":");
    if (page->behind > page->count) {
        append_cursor(&page->rows[page->count - 1], out);
    } else {
        buffer_append_text(out, "null");
    }
}
