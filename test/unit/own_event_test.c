/* own_event - events of tailwater's own collection, as the event builder makes them; and what is refused. */
#include "event_builder.h"
#include "filter.h"
#include "own_event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "document.h"

#define OWN "tailwater_events"

struct fixture {
    struct mapping_set *set;
    struct event_builder *builder;
    struct buffer channel, line;
    struct error reason;
};

static struct slice text(const char *s)
{
    return (struct slice){s, strlen(s)};
}

static struct fixture opened(size_t max_event_bytes, enum json_style style)
{
    static const char *const own[] = {"shop." OWN, NULL};
    const struct mapping_set_options options = {.database = "shop", .own_namespaces = own, .own_collection = OWN};
    const struct event_builder_options build = {.style = style, .max_event_bytes = max_event_bytes};
    struct fixture f = {.channel = BUFFER_INIT, .line = BUFFER_INIT};
    struct mapping_problem problem;
    json_t *json = tree("[{'collections':['*'],'channel':'logs:{w}:{f}'}]");
    assert_int_equal(mapping_set_new(json, &options, &f.set, &problem), 0);
    json_decref(json);
    f.builder = event_builder_new(f.set, &build);
    return f;
}

static void closed(struct fixture *f)
{
    event_builder_free(f->builder);
    mapping_set_free(f->set);
    buffer_fini(&f->channel);
    buffer_fini(&f->line);
}

/* Build the event of a document at ts 5 in f->channel and f->line. */
static enum event_outcome build(struct fixture *f, const bson_t *bson, bool whole)
{
    buffer_reset(&f->channel);
    buffer_reset(&f->line);
    return event_builder_document(f->builder, text("shop"), text(OWN), bson, 5, whole, &f->channel, &f->line,
                                  &f->reason);
}

static void check_line(enum json_style style, const char *source, const char *expected)
{
    struct fixture f = opened(60000, style);
    bson_t *bson = document(source);
    char *want = document_quotes(expected);
    if (build(&f, bson, false) != EVENT_BUILT) {
        fail_msg("%s: %s", source, f.reason.text);
    }
    assert_string_equal(buffer_text(&f.line), want);
    free(want);
    bson_destroy(bson);
    closed(&f);
}

#define TS "'ts':'1970-01-01T00:00:00.005Z'"

static void test_lines(void **state)
{
    (void)state;
    check_line(JSON_STYLE_PLAIN,
               "{'_id':{'$oid':'6b0169cd05060708090a0bff'},'channel':'metrics:w1','event':'cpu',"
               "'data':{'load':1.5,'big':{'$numberLong':'9007199254740993'},'at':{'$date':{'$numberLong':'7'}}},"
               "'at':{'$date':{'$numberLong':'9'}}}",
               "{'channel':'metrics:w1','type':'cpu'," TS ",'_id':'6b0169cd05060708090a0bff',"
               "'data':{'load':1.5,'big':'9007199254740993','at':'1970-01-01T00:00:00.007Z'}}");
    check_line(JSON_STYLE_RELAXED,
               "{'_id':{'$oid':'6b0169cd05060708090a0bff'},'channel':'metrics:w1','event':'cpu','data':[]}",
               "{'channel':'metrics:w1','type':'cpu'," TS ",'_id':{'$oid':'6b0169cd05060708090a0bff'},'data':[]}");
    check_line(JSON_STYLE_PLAIN, "{'_id':'k','channel':'a%20b','event':'log','data':'x\\ny'}",
               "{'channel':'a%20b','type':'log'," TS ",'_id':'k','data':'x\\ny'}");
    check_line(JSON_STYLE_PLAIN, "{'_id':7,'channel':'logs','event':'e','data':null}",
               "{'channel':'logs','type':'e'," TS ",'_id':7,'data':null}");
    check_line(JSON_STYLE_PLAIN, "{'_id':7,'channel':'x','event':'e','level':'error','log_data':1}",
               "{'channel':'x','type':'e'," TS ",'_id':7,'data':null}");
}

static void test_what_else_it_tells(void **state)
{
    (void)state;
    struct fixture f = opened(60000, JSON_STYLE_PLAIN);
    bson_t *bson = document("{'_id':1,'channel':'metrics:w1','event':'cpu','level':'error','data':1}");
    assert_int_equal(build(&f, bson, false), EVENT_BUILT);
    struct slice name = event_builder_event(f.builder);
    assert_int_equal(name.len, 3);
    assert_memory_equal(name.data, "cpu", 3);
    assert_int_equal(event_builder_level(f.builder), FRAME_LEVEL_NONE);
    assert_string_equal(buffer_text(&f.channel), "metrics:w1");
    bson_destroy(bson);
    bson = document("{'_id':1,'w':'w1','level':'error'}");
    assert_int_equal(event_builder_document(f.builder, text("shop"), text("etl"), bson, 5, false, &f.channel, &f.line,
                                            &f.reason),
                     EVENT_BUILT);
    name = event_builder_event(f.builder);
    assert_memory_equal(name.data, "logs", 4);
    assert_int_equal(event_builder_level(f.builder), FRAME_LEVEL_ERROR);
    bson_destroy(bson);
    closed(&f);
}

static void refuse(const char *members, const char *sentence)
{
    char source[1024];
    struct fixture f = opened(60000, JSON_STYLE_PLAIN);
    snprintf(source, sizeof source, "{'_id':{'$oid':'6b0169cd05060708090a0bff'},'data':1,%s}", members);
    bson_t *bson = document(source);
    assert_int_equal(build(&f, bson, false), EVENT_UNROUTABLE);
    if (!strstr(f.reason.text, sentence) || !strstr(f.reason.text, "(_id \"6b0169cd05060708090a0bff\")")) {
        fail_msg("%s: %s", members, f.reason.text);
    }
    assert_int_equal(f.line.len + f.channel.len, 0);
    bson_destroy(bson);
    closed(&f);
}

static void test_refusals(void **state)
{
    (void)state;
    refuse("'event':'e'", "field channel: it is not text");
    refuse("'channel':5,'event':'e'", "field channel: it is not text");
    refuse("'channel':['a'],'event':'e'", "field channel: it is not text");
    refuse("'channel':'','event':'e'", "field channel: it is empty");
    refuse("'channel':'metrics:*','event':'e'", "field channel: '*' is not allowed");
    refuse("'channel':'*','event':'e'", "field channel: '*' is not allowed");
    refuse("'channel':'a::b','event':'e'", "field channel: a segment is empty");
    refuse("'channel':'a\\nb','event':'e'", "field channel: white space");
    refuse("'channel':'a\\u0000b','event':'e'", "field channel: white space");
    refuse("'channel':'a:b:c:d:e:f:g:h:i','event':'e'", "field channel: it has more than 8 segments");
    refuse("'channel':'a'", "field event: it is not text");
    refuse("'channel':'a','event':''", "field event: an event's name has 1 to 64");
    refuse("'channel':'a','event':'x\\nid: 1'", "field event: an event's name has 1 to 64");
    refuse("'channel':'a','event':'x\\u0000'", "field event: an event's name has 1 to 64");
    refuse("'channel':'a','event':'revoked'", "field event: this is one of tailwater's own");
    refuse("'channel':'a','event':'message'", "field event: this is one of tailwater's own");
    refuse("'channel':'logs:w1','event':'logs'", "field channel: this is a channel of the mappings");
    refuse("'channel':'logs:w1:f1','event':'logs'", "field channel: this is a channel of the mappings");
}

/* --- truncation ------------------------------------------------------------------------------------ */

static void check_cut(const char *id, size_t data_bytes, const char *expected_id)
{
    struct fixture f = opened(1024, JSON_STYLE_PLAIN);
    struct buffer data = BUFFER_INIT;
    for (size_t i = 0; i < data_bytes; i++) {
        buffer_append_byte(&data, 'd');
    }
    bson_t *bson = BCON_NEW("_id", BCON_UTF8(id), "channel", "metrics:w1", "event", "cpu", "data",
                            BCON_UTF8(buffer_text(&data)));
    assert_int_equal(build(&f, bson, true), EVENT_BUILT);
    size_t whole = f.line.len;
    assert_int_equal(build(&f, bson, false), EVENT_BUILT);
    char expected[600], *want;
    snprintf(expected, sizeof expected,
             "{'channel':'metrics:w1','type':'cpu'," TS ",%s'truncated':true,'size':%zu,'data':null}", expected_id,
             whole);
    want = document_quotes(expected);
    assert_string_equal(buffer_text(&f.line), want);
    free(want);
    buffer_fini(&data);
    bson_destroy(bson);
    closed(&f);
}

static void test_cut(void **state)
{
    (void)state;
    char long_id[301];
    memset(long_id, 'i', 300);
    long_id[300] = '\0';
    check_cut("k", 1000, "'_id':'k',");
    check_cut(long_id, 1000, "");
}

/* Exactly max_event_bytes is not too large. */
static void test_border(void **state)
{
    (void)state;
    bson_t *bson = document("{'_id':'k','channel':'metrics:w1','event':'cpu','data':{'a':1}}");
    struct fixture f = opened(0, JSON_STYLE_PLAIN);
    assert_int_equal(build(&f, bson, false), EVENT_BUILT);
    size_t size = f.line.len;
    closed(&f);
    for (size_t max = size - 1; max <= size; max++) {
        f = opened(max, JSON_STYLE_PLAIN);
        assert_int_equal(build(&f, bson, false), EVENT_BUILT);
        assert_int_equal(strstr(buffer_text(&f.line), "truncated") != NULL, max < size);
        closed(&f);
    }
    bson_destroy(bson);
}

/* --- frames and filters ---------------------------------------------------------------------------- */

static void test_frame(void **state)
{
    (void)state;
    struct fixture f = opened(60000, JSON_STYLE_PLAIN);
    struct frame *frame;
    bson_t *change = document("{'_id':{'_data':'82'},'operationType':'insert',"
                              "'clusterTime':{'$timestamp':{'t':9,'i':1}},"
                              "'wallTime':{'$date':{'$numberLong':'5'}},'ns':{'db':'shop','coll':'" OWN "'},"
                              "'fullDocument':{'_id':1,'channel':'metrics:w1','event':'cpu','data':{'x':1}}}");
    struct change parts;
    change_read(change, &parts);
    assert_int_equal(event_builder_change(f.builder, &parts, &frame, NULL), EVENT_BUILT);
    struct slice sse = frame_body(frame);
    char *want = document_quotes("event: cpu\ndata: {'channel':'metrics:w1','type':'cpu'," TS
                                 ",'_id':1,'data':{'x':1}}\n\n");
    assert_int_equal(sse.len, strlen(want));
    assert_memory_equal(sse.data, want, sse.len);
    const uint8_t key[] = {BSON_TYPE_INT32, 1, 0, 0, 0};
    assert_int_equal(frame->id.hash, event_id_hash("shop." OWN, 21, key, sizeof key, 'i', 0));
    free(want);
    frame_unref(frame);
    bson_destroy(change);
    closed(&f);
}

static bool finds(const char *q, const char *line)
{
    struct filter *filter;
    struct error err;
    char *json = document_quotes(line);
    assert_int_equal(filter_new(&(struct filter_request){.q = q}, &filter, &err), 0);
    bool passes = filter_passes(filter, FRAME_LEVEL_NONE, text(json));
    filter_free(filter);
    free(json);
    return passes;
}

static void test_q(void **state)
{
    (void)state;
    const char *line = "{'channel':'metrics:w1','type':'cpu','ts':'t','_id':'k',"
                       "'data':{'a':[{'b':'L\\u00e4st'}],'c':1}}";
    assert_true(finds("\xc3\xa4ST", line));
    assert_false(finds("metrics", line));
    assert_false(finds("cpu", line));
    assert_false(finds("k", line));
    assert_true(finds("plain", "{'channel':'m','type':'e','ts':'t','_id':1,'data':'a plain text'}"));
    assert_true(finds("in", "{'channel':'m','type':'e','ts':'t','_id':1,'data':['x','in']}"));
    /* A placeholder of that name is not what a log says. */
    assert_false(finds("w1", "{'channel':'logs:w1','type':'log','data':'w1','ts':'t','log_data':{'x':'y'}}"));
    assert_true(finds("y", "{'channel':'logs:w1','type':'log','data':'w1','ts':'t','log_data':{'x':'y'}}"));
}

static void test_indexes(void **state)
{
    (void)state;
    bson_t *command = bson_new();
    own_event_append_indexes(command, 60);
    char *got = bson_as_relaxed_extended_json(command, NULL);
    json_t *a = json_loads(got, 0, NULL);
    json_t *b = tree("{'indexes':[{'name':'at_1','key':{'at':1},'expireAfterSeconds':60},"
                     "{'name':'at_1__id_1','key':{'at':1,'_id':1}},"
                     "{'name':'channel_1_at_1__id_1','key':{'channel':1,'at':1,'_id':1}}]}");
    assert_true(json_equal(a, b));
    json_decref(a);
    json_decref(b);
    bson_free(got);
    bson_destroy(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines), cmocka_unit_test(test_what_else_it_tells), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_cut),   cmocka_unit_test(test_border),             cmocka_unit_test(test_frame),
        cmocka_unit_test(test_q),     cmocka_unit_test(test_indexes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
