/* page - every one of a list exactly once and in order, whatever the size of a page; cursors; and the figures that a loop
 * tells of itself. */
#include "loop_figures.h"
#include "page.h"
#include "reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ITEMS = 500 };

struct item {
    int64_t key;
    char id[16];
};

static struct item items[ITEMS];

static int compare(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    return x->key != y->key ? (x->key > y->key ? -1 : 1) : strcmp(x->id, y->id);
}

/* Few keys for many items, negative ones too, in an order that is none. */
static void make_items(void)
{
    for (int i = 0; i < ITEMS; i++) {
        items[i].key = (i * 7919) % 37 - 5;
        snprintf(items[i].id, sizeof items[i].id, "a:%c%03d", 'b' + i % 3, (i * 331) % ITEMS);
    }
}

static int init(struct page *page, const char *query)
{
    struct error err;
    struct params *params = params_from_query((struct slice){query, strlen(query)}, &err);
    assert_non_null(params);
    int rc = page_init(page, params, &err);
    params_free(params);
    return rc;
}

static void offer_all(struct page *page)
{
    for (int i = 0; i < ITEMS; i++) {
        page_offer(page, items[i].key, items[i].id, strlen(items[i].id), &items[i]);
    }
}

/* What stands in "next" goes into the next page's query; returns whether there is one. */
static bool read_next(const char *text, size_t limit, char *query, size_t size)
{
    const char *next = strstr(text, "\"next\":");
    assert_non_null(next);
    next += 7;
    if (strcmp(next, "null") == 0) {
        return false;
    }
    assert_int_equal(next[0], '"');
    snprintf(query, size, "limit=%zu&cursor=%.*s", limit, (int)(strlen(next) - 2), next + 1);
    return true;
}

static size_t walk(size_t limit, struct item *seen)
{
    char query[200];
    size_t count = 0;
    bool more = true;
    snprintf(query, sizeof query, "limit=%zu", limit);
    while (more) {
        struct page page;
        struct buffer out = BUFFER_INIT;
        assert_int_equal(init(&page, query), 0);
        offer_all(&page);
        for (size_t i = 0; i < page.count; i++) {
            buffer_append_text(&page.rows[i].json, "{}");
        }
        page_append(&page, "rows", &out);
        for (size_t i = 0; i < page.count; i++) {
            assert_true(count < ITEMS);
            seen[count++] = *(struct item *)page.rows[i].object;
        }
        more = read_next(buffer_text(&out), limit, query, sizeof query);
        buffer_fini(&out);
        page_fini(&page);
    }
    return count;
}

static void test_each_once_in_order(void **state)
{
    (void)state;
    static const size_t limits[] = {1, 2, 7, 499, 500, 501, 1000};
    static struct item seen[ITEMS];
    make_items();
    struct item *sorted = memory_copy(items, sizeof items);
    qsort(sorted, ITEMS, sizeof *sorted, compare);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        assert_int_equal(walk(limits[i], seen), ITEMS);
        for (int j = 0; j < ITEMS; j++) {
            assert_string_equal(seen[j].id, sorted[j].id);
        }
    }
    free(sorted);
}

static void test_words(void **state)
{
    (void)state;
    struct page page;
    struct buffer out = BUFFER_INIT;
    assert_int_equal(init(&page, "limit=2"), 0);
    page_offer(&page, 1, "x", 1, NULL);
    page_offer(&page, 9, "y", 1, NULL);
    page_offer(&page, 5, "z", 1, NULL);
    for (size_t i = 0; i < page.count; i++) {
        buffer_printf(&page.rows[i].json, "\"%s\"", page.rows[i].id);
    }
    page_append(&page, "rows", &out);
    assert_string_equal(buffer_text(&out), "\"total\":3,\"rows\":[\"y\",\"z\"],\"next\":\"5.7a\"");
    page_fini(&page);
    buffer_reset(&out);
    assert_int_equal(init(&page, ""), 0);
    page_append(&page, "rows", &out);
    assert_string_equal(buffer_text(&out), "\"total\":0,\"rows\":[],\"next\":null");
    page_fini(&page);
    buffer_fini(&out);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"limit=0", "limit=1001", "limit=-1", "limit=1x", "cursor=x", "cursor=1", "cursor=1.",
                                      "cursor=1.0", "cursor=1.00", "cursor=1.zz", "cursor=99999999999999999999.61"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct page page;
        bool is_empty_id = strcmp(bad[i], "cursor=1.") == 0; /* before every id of that key */
        assert_int_equal(init(&page, bad[i]), is_empty_id ? 0 : -1);
        page_fini(&page);
    }
}

static void test_latency_buckets(void **state)
{
    (void)state;
    struct loop_figures figures = {0};
    loop_figures_latency(&figures, -5, 2); /* clocks differ */
    loop_figures_latency(&figures, 1, 3);
    loop_figures_latency(&figures, 2, 1);
    loop_figures_latency(&figures, 3, 1);
    loop_figures_latency(&figures, 60000, 4);
    loop_figures_latency(&figures, 60001, 5);
    assert_int_equal(figures.latency[0], 5);
    assert_int_equal(figures.latency[1], 1);
    assert_int_equal(figures.latency[2], 1);
    assert_int_equal(figures.latency[LATENCY_BUCKETS - 2], 4);
    assert_int_equal(figures.latency[LATENCY_BUCKETS - 1], 5);
    assert_int_equal(figures.latency_ms, 3 + 2 + 3 + 4 * 60000 + 5 * 60001);
}

static void test_reasons(void **state)
{
    (void)state;
    static struct reason_counts counts;
    for (int kind = 0; kind < REASON_KINDS; kind++) {
        unsigned count = 0;
        while (reason_at((enum reason_kind)kind, count)) {
            reason_count(&counts, (enum reason_kind)kind, reason_at((enum reason_kind)kind, count));
            assert_int_equal(counts.counts[kind][count], 1);
            count++;
        }
        assert_string_equal(reason_at((enum reason_kind)kind, count - 1), "other");
        reason_count(&counts, (enum reason_kind)kind, "never heard of");
        assert_int_equal(counts.counts[kind][count - 1], 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_once_in_order), cmocka_unit_test(test_words),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_latency_buckets),    cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
