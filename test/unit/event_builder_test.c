/* event_builder - data lines, ids, ordinals, truncation and oversize events. */
#include "event_builder.h"
#include "event_cut.h"
#include "event_ordinal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "document.h"

static const struct mapping_set_options options = {.database = "shop"};

#define ETL "[{'collections':['etl'],'channel':'logs:etl:{w}:{f|r.id}','labels':{'service':'etl'}}]"

struct fixture {
    struct mapping_set *set;
    struct event_builder *builder;
};

static struct fixture opened(const char *mappings, size_t max_event_bytes)
{
    struct fixture f;
    struct mapping_problem problem;
    json_t *json = mappings ? tree(mappings) : NULL;
    if (mapping_set_new(json, &options, &f.set, &problem) != 0) {
        fail_msg("%s: %s", problem.path, problem.error.text);
    }
    json_decref(json);
    f.builder = event_builder_new(f.set, &(struct event_builder_options){.max_event_bytes = max_event_bytes});
    return f;
}

static void closed(struct fixture *f)
{
    event_builder_free(f->builder);
    mapping_set_free(f->set);
}

static struct slice text(const char *s)
{
    return (struct slice){s, strlen(s)};
}

/* The line of a document at ts 5; the caller fini()s it. */
static struct buffer line_of(struct fixture *f, const bson_t *bson, bool whole)
{
    struct buffer channel = BUFFER_INIT, json = BUFFER_INIT;
    struct error reason = {.text = ""};
    enum event_outcome outcome =
        event_builder_document(f->builder, text("shop"), text("etl"), bson, 5, whole, &channel, &json, &reason);
    if (outcome != EVENT_BUILT) {
        fail_msg("outcome %d: %s", outcome, reason.text);
    }
    buffer_fini(&channel);
    return json;
}

static void check_line(const char *mappings, const char *source, const char *expected)
{
    struct fixture f = opened(mappings, 60000);
    bson_t *bson = document(source);
    char *want = document_quotes(expected);
    struct buffer json = line_of(&f, bson, false);
    assert_string_equal(buffer_text(&json), want);
    buffer_fini(&json);
    free(want);
    bson_destroy(bson);
    closed(&f);
}

#define TS "'ts':'1970-01-01T00:00:00.005Z',"

static void test_lines(void **state)
{
    (void)state;
    check_line(ETL, "{'_id':1,'w':'w1','f':'f1','level':'INFO'}",
               "{'channel':'logs:etl:w1:f1','type':'log','service':'etl','w':'w1','f':'f1'," TS
               "'log_data':{'_id':1,'w':'w1','f':'f1','level':'INFO'}}");
    check_line(ETL, "{'_id':1,'w':'a b','r':{'id':7}}",
               "{'channel':'logs:etl:a%20b:7','type':'log','service':'etl','w':'a b','f':'7','r.id':'7'," TS
               "'log_data':{'_id':1,'w':'a b','r':{'id':7}}}");
    check_line(ETL, "{'_id':1,'w':'w1'}",
               "{'channel':'logs:etl:w1','type':'log','service':'etl','w':'w1'," TS "'log_data':{'_id':1,'w':'w1'}}");
    check_line("[{'collections':['*'],'channel':'x:{type}:{$collection}:{a|b}:{b|a}','omit':['a']}]",
               "{'type':'t','a':'1'}",
               "{'channel':'x:t:etl:1:1','type':'log','a':'1','b':'1'," TS "'log_data':{'type':'t'}}");
    check_line(NULL, "{'workspace_id':'w1','resource_id':'r1'}",
               "{'channel':'logs:etl:w1:r1','type':'log','service':'etl','workspace_id':'w1','workflow_id':'r1',"
               "'resource_id':'r1'," TS "'log_data':{'workspace_id':'w1','resource_id':'r1'}}");
}

static void test_outcomes(void **state)
{
    (void)state;
    struct fixture f = opened(ETL, 60000);
    struct buffer channel = BUFFER_INIT, json = BUFFER_INIT;
    struct error reason;
    bson_t *bson = document("{'_id':{'$oid':'6b0169cd05060708090a0bff'},'f':'f1'}");
    buffer_append_text(&channel, "kept");
    assert_int_equal(event_builder_document(f.builder, text("shop"), text("etl"), bson, 5, false, &channel, &json,
                                            &reason),
                     EVENT_UNROUTABLE);
    assert_string_equal(reason.text, "field w is missing (_id \"6b0169cd05060708090a0bff\")");
    assert_string_equal(buffer_text(&channel), "kept");
    assert_int_equal(json.len, 0);
    assert_int_equal(event_builder_document(f.builder, text("shop"), text("other"), bson, 5, false, &channel, &json,
                                            NULL),
                     EVENT_UNCOVERED);
    assert_int_equal(event_builder_document(f.builder, text("shop"), text("etl"), bson, 5, false, &channel, &json,
                                            NULL),
                     EVENT_UNROUTABLE);
    bson_destroy(bson);
    buffer_fini(&channel);
    buffer_fini(&json);
    closed(&f);
}

/* --- truncation --------------------------------------------------------------------------------- */

static bson_t *large(const char *unit, size_t count, const char *rest)
{
    struct buffer message = BUFFER_INIT;
    for (size_t i = 0; i < count; i++) {
        buffer_append_text(&message, unit);
    }
    bson_t *bson = document(rest);
    bson_append_utf8(bson, "message", -1, message.data, (int)message.len);
    buffer_fini(&message);
    return bson;
}

/* A cut line: valid, not longer than max, with its true size; the caller json_decref()s it. */
static json_t *cut(struct fixture *f, const bson_t *bson, size_t max)
{
    struct buffer whole = line_of(f, bson, true), json = line_of(f, bson, false);
    assert_true(json.len <= max);
    json_t *line = json_loadb(json.data, json.len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(line);
    assert_true(json_is_true(json_object_get(line, "truncated")));
    assert_int_equal(json_integer_value(json_object_get(line, "size")), whole.len);
    buffer_fini(&whole);
    buffer_fini(&json);
    return line;
}

static void test_cut_message(void **state)
{
    (void)state;
    static const char *const units[] = {"m", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\"",
                                        "\\", "\x01", "\xe2\x80\xa8", "\xff"};
    struct fixture f = opened(ETL, 1000);
    for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
        for (size_t extra = 0; extra < 7; extra++) {
            char rest[128];
            snprintf(rest, sizeof rest, "{'_id':1,'w':'w1','pad':'%.*s','level':'WARN','time':'t','b':[1]}",
                     (int)extra, "xxxxxxx");
            bson_t *bson = large(units[u], 2000, rest);
            json_t *line = cut(&f, bson, 1000);
            json_t *data = json_object_get(line, "log_data");
            assert_int_equal(json_object_size(data), 4);
            assert_string_equal(json_string_value(json_object_get(data, "level")), "WARN");
            assert_string_equal(json_string_value(json_object_get(data, "time")), "t");
            assert_true(json_string_length(json_object_get(data, "message")) > 100);
            assert_int_equal(event_builder_level(f.builder), FRAME_LEVEL_WARN);
            json_decref(line);
            bson_destroy(bson);
        }
    }
    closed(&f);
}

/* Whatever is giant, the line fits. */
static void test_cut_giants(void **state)
{
    (void)state;
    char giant[4001];
    memset(giant, 'g', sizeof giant - 1);
    giant[4000] = '\0';
    static const char *const fields[] = {"_id", "level", "time", "message"};
    for (size_t i = 0; i < 4; i++) {
        for (int as_document = 0; as_document < 2; as_document++) {
            struct fixture f = opened(ETL, 1000);
            bson_t *bson = BCON_NEW("w", "w1", "pad", giant);
            for (size_t k = 0; k < 4; k++) {
                const char *value = k == i ? giant : "small";
                if (k == i && as_document) {
                    bson_t child;
                    bson_append_document_begin(bson, fields[k], -1, &child);
                    BSON_APPEND_UTF8(&child, "x", value);
                    bson_append_document_end(bson, &child);
                } else {
                    BSON_APPEND_UTF8(bson, fields[k], value);
                }
            }
            json_t *line = cut(&f, bson, 1000);
            json_t *data = json_object_get(line, "log_data");
            bool cut_text = i == 3 && !as_document;
            assert_int_equal(json_object_size(data), cut_text ? 4 : 3);
            json_decref(line);
            bson_destroy(bson);
            closed(&f);
        }
    }
}

static void test_cut_of_every_size(void **state)
{
    (void)state;
    bson_t *bson = large("m\xc3\xbc", 1000, "{'_id':'0123456789','w':'w1','level':'WARN','time':'t'}");
    for (size_t max = 150; max < 420; max++) {
        struct fixture f = opened(ETL, max);
        json_decref(cut(&f, bson, max));
        closed(&f);
    }
    bson_destroy(bson);
}

static void check_cut(const char *mapping, const char *source, const char *expected)
{
    char mappings[512];
    snprintf(mappings, sizeof mappings, "[{'collections':['etl'],'channel':'x'%s}]", mapping);
    struct fixture f = opened(mappings, 150);
    bson_t *bson = large("p", 500, source);
    json_t *line = cut(&f, bson, 150), *want = tree(expected);
    if (!json_equal(json_object_get(line, "log_data"), want)) {
        fail_msg("%s became %s", source, json_dumps(line, 0));
    }
    json_decref(want);
    json_decref(line);
    bson_destroy(bson);
    closed(&f);
}

static void test_cut_places(void **state)
{
    (void)state;
    const char *d = "{'_id':1,'m':{'l':'info','t':5,'x':'y'},'a.b':'z'}";
    check_cut(",'level':'m.l','time':'m.t','message':'none'", d, "{'_id':1,'m':{'l':'info','t':5}}");
    check_cut(",'level':'m.l','time':'a.b','message':'m.l'", d, "{'_id':1,'m':{'l':'info'},'a.b':'z'}");
    check_cut(",'level':'m.l','time':'m.t','message':'a.b','omit':['m.t','_id']", d, "{'m':{'l':'info'},'a.b':'z'}");
    check_cut(",'level':'m.l','time':'none','message':'none','only':['m.t','message']", d, "{'_id':1}");
}

static void test_cut_string(void **state)
{
    (void)state;
    const char *json = "a\\n\\u0001\xe2\x82\xac" "b";
    const size_t borders[] = {0, 1, 1, 3, 3, 3, 3, 3, 3, 9, 9, 9, 12, 13, 13};
    for (size_t max = 0; max < sizeof borders / sizeof borders[0]; max++) {
        assert_int_equal(event_cut_string(json, strlen(json), max), borders[max]);
    }
}

/* --- changes ------------------------------------------------------------------------------------ */

static bson_t *change(unsigned seconds, unsigned increment, const char *operation, const char *collection,
                      const char *members)
{
    char source[1024];
    snprintf(source, sizeof source,
             "{'_id':{'_data':'82%08x%08x'},'operationType':'%s','clusterTime':{'$timestamp':{'t':%u,'i':%u}},"
             "'ns':{'db':'shop','coll':'%s'}%s}",
             seconds, increment, operation, seconds, increment, collection, members);
    return document(source);
}

/* Feed one; frame may be NULL. */
static enum event_outcome feed(struct fixture *f, unsigned increment, const char *operation, const char *collection,
                               const char *members, struct frame **frame)
{
    bson_t *bson = change(1795255961, increment, operation, collection, members);
    struct frame *made = NULL;
    struct change parts;
    change_read(bson, &parts);
    enum event_outcome outcome = event_builder_change(f->builder, &parts, &made, NULL);
    if (frame) {
        *frame = made;
    } else {
        frame_unref(made);
    }
    bson_destroy(bson);
    return outcome;
}

static int64_t hash_of(struct fixture *f, unsigned increment, const char *operation, const char *id)
{
    char members[256];
    struct frame *frame;
    snprintf(members, sizeof members, ",'fullDocument':{'_id':%s,'w':'w1','f':'f1'}", id);
    assert_int_equal(feed(f, increment, operation, "etl", members, &frame), EVENT_BUILT);
    assert_true(frame->id.cluster_time == ((uint64_t)1795255961 << 32 | increment));
    int64_t hash = frame->id.hash;
    frame_unref(frame);
    return hash;
}

static void test_change(void **state)
{
    (void)state;
    struct fixture f = opened(ETL, 60000);
    struct frame *frame;
    assert_int_equal(feed(&f, 3, "insert", "etl", ",'wallTime':{'$date':'2026-11-21T10:12:41.318Z'},'fullDocument':"
                                                  "{'_id':1,'w':'w1','f':'f1','level':'error'}",
                          &frame),
                     EVENT_BUILT);
    struct slice data = frame_data(frame), channel = frame_channel(frame), name = frame_event_name(frame);
    char *expected = document_quotes("{'channel':'logs:etl:w1:f1','type':'log','service':'etl','w':'w1','f':'f1',"
                                     "'ts':'2026-11-21T10:12:41.318Z',"
                                     "'log_data':{'_id':1,'w':'w1','f':'f1','level':'error'}}");
    assert_int_equal(data.len, strlen(expected));
    assert_memory_equal(data.data, expected, data.len);
    assert_memory_equal(channel.data, "logs:etl:w1:f1", channel.len);
    assert_memory_equal(name.data, "logs", name.len);
    assert_int_equal(frame->level, FRAME_LEVEL_ERROR);
    assert_int_equal(frame->wall_ms, 1795255961318);
    const uint8_t key[] = {BSON_TYPE_INT32, 1, 0, 0, 0};
    assert_int_equal(frame->id.hash, event_id_hash("shop.etl", 8, key, sizeof key, 'i', 0));
    free(expected);
    frame_unref(frame);
    closed(&f);
}

static void test_time_without_wall_time(void **state)
{
    (void)state;
    struct fixture f = opened(ETL, 60000);
    struct frame *frame;
    assert_int_equal(feed(&f, 3, "insert", "etl", ",'fullDocument':{'w':'w1'}", &frame), EVENT_BUILT);
    struct slice data = frame_data(frame);
    char *copy = memory_copy(data.data, data.len);
    assert_non_null(strstr(copy, "\"ts\":\"2026-11-21T10:12:41.000Z\""));
    assert_int_equal(frame->wall_ms, 0);
    free(copy);
    frame_unref(frame);
    closed(&f);
}

static void test_change_outcomes(void **state)
{
    (void)state;
    struct fixture f = opened("[{'collections':['etl'],'channel':'logs:etl:{w}:{f}'},"
                              "{'collections':['r'],'channel':'logs:r','operations':['replace']}]",
                              60000);
    const char *good = ",'fullDocument':{'_id':1,'w':'w1'}";
    assert_int_equal(feed(&f, 1, "insert", "etl", good, NULL), EVENT_BUILT);
    assert_int_equal(feed(&f, 2, "replace", "etl", good, NULL), EVENT_UNCOVERED);
    assert_int_equal(feed(&f, 3, "replace", "r", good, NULL), EVENT_BUILT);
    assert_int_equal(feed(&f, 4, "insert", "r", good, NULL), EVENT_UNCOVERED);
    assert_int_equal(feed(&f, 5, "insert", "other", good, NULL), EVENT_UNCOVERED);
    assert_int_equal(feed(&f, 6, "delete", "etl", "", NULL), EVENT_UNCOVERED);
    assert_int_equal(feed(&f, 7, "insert", "", good, NULL), EVENT_UNCOVERED);
    assert_int_equal(feed(&f, 8, "insert", "etl", ",'fullDocument':{'_id':1}", NULL), EVENT_UNROUTABLE);
    bson_t empty = BSON_INITIALIZER;
    struct frame *frame = NULL;
    struct change parts;
    change_read(&empty, &parts);
    assert_int_equal(event_builder_change(f.builder, &parts, &frame, NULL), EVENT_UNCOVERED);
    assert_null(frame);
    closed(&f);
}

static void test_oversize(void **state)
{
    (void)state;
    struct fixture f = opened(ETL, 60000);
    struct frame *one, *two;
    assert_int_equal(feed(&f, 1, "insert", "etl", "", &one), EVENT_OVERSIZE);
    assert_int_equal(feed(&f, 2, "insert", "etl", "", &two), EVENT_OVERSIZE);
    assert_int_equal(one->kind, FRAME_OVERSIZE);
    struct slice pattern = frame_channel(one);
    assert_int_equal(pattern.len, strlen("logs:etl:*"));
    assert_memory_equal(pattern.data, "logs:etl:*", pattern.len);
    char token[32];
    int len = snprintf(token, sizeof token, "82%08x%08x", 1795255961u, 1u);
    assert_int_equal(one->id.hash, event_id_hash("shop.etl", 8, token, (size_t)len, 'i', 0));
    assert_true(one->id.hash != two->id.hash);
    frame_unref(one);
    frame_unref(two);
    closed(&f);
}

static void test_ordinals_in_ids(void **state)
{
    (void)state;
    struct fixture f = opened("[{'collections':['etl'],'channel':'logs:etl:{w}:{f}',"
                              "'operations':['insert','replace']}]",
                              60000);
    const uint8_t key[] = {BSON_TYPE_INT32, 7, 0, 0, 0};
    int64_t expected[3];
    for (uint32_t i = 0; i < 3; i++) {
        expected[i] = event_id_hash("shop.etl", 8, key, sizeof key, 'i', i);
    }
    assert_int_equal(hash_of(&f, 1, "insert", "7"), expected[0]);
    assert_int_equal(hash_of(&f, 2, "insert", "7"), expected[0]);
    assert_int_equal(hash_of(&f, 2, "insert", "7"), expected[1]);
    assert_int_equal(hash_of(&f, 2, "insert", "8"), hash_of(&f, 3, "insert", "8"));
    assert_int_equal(hash_of(&f, 4, "insert", "7"), expected[0]);
    hash_of(&f, 4, "insert", "9");
    assert_int_equal(hash_of(&f, 4, "replace", "7"), event_id_hash("shop.etl", 8, key, sizeof key, 'r', 0));
    assert_int_equal(hash_of(&f, 4, "insert", "7"), expected[1]);
    assert_int_equal(hash_of(&f, 4, "insert", "7"), expected[2]);
    assert_true(hash_of(&f, 5, "insert", "7") != hash_of(&f, 5, "insert", "{'$numberLong':'7'}"));
    closed(&f);
}

/* Also what becomes no event counts: an id must not depend on the mapping. */
static void test_unroutable_events_count(void **state)
{
    (void)state;
    struct fixture f = opened(ETL, 60000);
    const uint8_t key[] = {BSON_TYPE_INT32, 7, 0, 0, 0};
    assert_int_equal(feed(&f, 1, "insert", "etl", ",'fullDocument':{'_id':7}", NULL), EVENT_UNROUTABLE);
    assert_int_equal(hash_of(&f, 1, "insert", "7"), event_id_hash("shop.etl", 8, key, sizeof key, 'i', 1));
    closed(&f);
}

/* A document that was read from its collection is known by the id of its insert, whatever its _id. */
static void test_hashes_of_rows(void **state)
{
    (void)state;
    static const char *const ids[] = {"7", "'7'", "1.5", "null", "{'a':1,'b':'x'}",
                                      "{'$oid':'6b0169cd05060708090a0bff'}",
                                      "{'$binary':{'base64':'AAECAwQFBgcICQoLDA0ODw==','subType':'04'}}"};
    struct fixture f = opened("[{'collections':['etl','other'],'channel':'x:{$collection}'}]", 60000);
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        char source[256];
        snprintf(source, sizeof source, "{'n':1,'_id':%s}", ids[i]);
        bson_t *row = document(source);
        int64_t other = event_builder_insert_hash(f.builder, text("shop"), text("other"), row);
        int64_t live = hash_of(&f, (unsigned)i + 1, "insert", ids[i]);
        int64_t hash = event_builder_insert_hash(f.builder, text("shop"), text("etl"), row);
        assert_true(hash == live);
        assert_true(hash != other);
        assert_true(hash != hash_of(&f, (unsigned)i + 1, "insert", ids[i])); /* the second of its time is another one */
        bson_destroy(row);
    }
    closed(&f);
}

static void test_ordinal_table(void **state)
{
    (void)state;
    struct event_ordinal o;
    event_ordinal_init(&o);
    for (uint64_t time = 1; time < 4; time++) {
        for (uint32_t round = 0; round < 3; round++) {
            for (uint64_t identity = 1; identity <= 50000; identity++) {
                assert_int_equal(event_ordinal_next(&o, time, identity << 7), round);
            }
        }
    }
    assert_int_equal(event_ordinal_next(&o, 9, 1 << 7), 0);
    assert_int_equal(o.capacity, 0);
    for (uint64_t time = 10; time < 1000; time++) {
        assert_int_equal(event_ordinal_next(&o, time, 5), 0);
        assert_int_equal(event_ordinal_next(&o, time, 6), 0);
        assert_int_equal(event_ordinal_next(&o, time, 5), 1);
    }
    event_ordinal_fini(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_cut_message),
        cmocka_unit_test(test_cut_giants),
        cmocka_unit_test(test_cut_of_every_size),
        cmocka_unit_test(test_cut_places),
        cmocka_unit_test(test_cut_string),
        cmocka_unit_test(test_change),
        cmocka_unit_test(test_time_without_wall_time),
        cmocka_unit_test(test_change_outcomes),
        cmocka_unit_test(test_oversize),
        cmocka_unit_test(test_ordinals_in_ids),
        cmocka_unit_test(test_unroutable_events_count),
        cmocka_unit_test(test_hashes_of_rows),
        cmocka_unit_test(test_ordinal_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
