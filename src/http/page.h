/*
 * page - the first so many of a long list in an order, and the way to go on: what admin lists show. What is listed
 * changes meanwhile, so a page begins behind the place where the last one ended, not behind a number.
 *
 * Largest key first; among equal ones by id. It holds the page alone, however long the list is. Thread: owner only; it
 * goes from loop to loop (gather.h).
 */
#ifndef TAILWATER_HTTP_PAGE_H
#define TAILWATER_HTTP_PAGE_H

#include "buffer.h"
#include "error.h"
#include "params.h"

#include <stdbool.h>
#include <stdint.h>

enum { PAGE_LIMIT_MAX = 1000 };

struct page_row {
    int64_t key;
    char *id;
    struct buffer json; /* empty until somebody writes it; */
    void *object;       /* from this */
};

struct page {
    size_t limit;
    int64_t cursor_key;
    char *cursor_id; /* NULL = from the beginning */
    struct page_row *rows;
    size_t count;
    uint64_t total, behind; /* that were offered; of them behind the cursor */
};

/* Read limit= (default 100) and cursor=. Returns 0, or -1 with *err. */
int page_init(struct page *page, const struct params *params, struct error *err);
void page_fini(struct page *page);

/* One of the list. Rows that fall out are freed. */
void page_offer(struct page *page, int64_t key, const char *id, size_t id_len, void *object);

/* Append "total":…,"<name>":[…],"next":…: members of an object. Every row's JSON is written. */
void page_append(struct page *page, const char *name, struct buffer *out);

#endif
