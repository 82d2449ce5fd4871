/* publish_log, mapping_service, publish_event, publish_answer - from an item's text to its document and channel. */
#include "publish_log.h"

#include "mapping_service.h"
#include "publish_answer.h"
#include "publish_event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "document.h"

static struct mapping_set *set_of(const char *mappings)
{
    json_t *json = tree(mappings);
    struct mapping_set *set = NULL;
    struct mapping_problem problem;
    assert_int_equal(mapping_set_new(json, &(struct mapping_set_options){.database = "db"}, &set, &problem), 0);
    json_decref(json);
    return set;
}

/* --- which collection ----------------------------------------------------------------------------- */

static void expect_collection(const char *mapping, const char *service, const char *want)
{
    char text[512];
    snprintf(text, sizeof text, "[%s]", mapping);
    struct mapping_set *set = set_of(text);
    const char *got = mapping_service_collection(mapping_set_at(set, 0), service, service ? service : "fallback");
    assert_string_equal(got ? got : "none", want);
    mapping_set_free(set);
}

static void test_collections(void **state)
{
    (void)state;
    const char *by_label = "{'collections':['a*','b','c'],'channel':'x:{w}','labels':{'service':'etl'}}";
    expect_collection(by_label, "etl", "b");
    expect_collection(by_label, "faas", "none");
    expect_collection(by_label, NULL, "b");
    const char *by_literal = "{'collections':['b'],'channel':'logs:a%20b:{w}'}";
    expect_collection(by_literal, "a b", "b");
    expect_collection(by_literal, "logs", "none"); /* the first segment says what kind of events it is */
    const char *globs = "{'collections':['a*'],'channel':'logs:etl:{w}','labels':{'service':'abc'}}";
    expect_collection(globs, "abc", "abc");
    expect_collection(globs, "etl", "none"); /* of the service, but no collection of that name is covered */
    expect_collection(globs, NULL, "none");
    const char *by_collection = "{'collections':['x_*','faas'],'channel':'logs:{$collection}:{w}'}";
    expect_collection(by_collection, "faas", "faas");
    expect_collection(by_collection, "x_1", "x_1");
    expect_collection(by_collection, "etl", "none");
    expect_collection(by_collection, NULL, "faas");
    const char *field = "{'collections':['b'],'channel':'logs:{service}:{w}'}";
    expect_collection(field, "whoever", "b");
    expect_collection("{'collections':['*'],'channel':'logs:{$collection}:{w}'}", "system.x", "none");
    expect_collection("{'collections':['*'],'channel':'logs:{$collection}:{w}'}", NULL, "fallback");
}

/* --- documents ------------------------------------------------------------------------------------ */

/* want: "channel document" without its _id, or "code" when it is refused. */
static void expect_log(const char *channel, const char *item_text, const char *want)
{
    char mappings[512];
    snprintf(mappings, sizeof mappings, "[{'collections':['c'],'channel':'%s','event':'log'}]", channel);
    struct mapping_set *set = set_of(mappings);
    struct publish_item item = {.target = {0, mapping_set_at(set, 0), "db", "c"}};
    struct publish_log log;
    char *text = document_quotes(item_text);
    bson_t *parsed = publish_item_parse(&item, (struct slice){text, strlen(text)});
    if (parsed && publish_log_read(&item, parsed, &log) == 0 && publish_log_build(&item, &log, "svc") == 0) {
        bson_t *rest = bson_new();
        bson_copy_to_excluding_noinit(item.document, rest, "_id", NULL);
        char *json = bson_as_relaxed_extended_json(rest, NULL);
        char got[1024];
        snprintf(got, sizeof got, "%s %s", buffer_text(&item.channel), json);
        char *wanted = document_quotes(want);
        assert_string_equal(got, wanted);
        free(wanted);
        bson_free(json);
        bson_destroy(rest);
    } else {
        assert_string_equal(item.code, want);
        assert_true(item.detail[0]);
    }
    bson_destroy(parsed);
    free(text);
    publish_item_fini(&item);
    mapping_set_free(set);
}

static void test_request_wins(void **state)
{
    (void)state;
    const char *usual = "logs:etl:{workspace_id}:{workflow_id|function_id}";
    expect_log(usual, "{'workspace_id':'w','workflow_id':'f','logData':{'workspace_id':'x','n':1}}",
               "logs:etl:w:f { 'workspace_id' : 'w', 'workflow_id' : 'f', 'n' : 1 }");
    expect_log(usual, "{'workspace_id':'w','function_id':'f','logData':{'workflow_id':'x'}}",
               "logs:etl:w:f { 'workspace_id' : 'w', 'function_id' : 'f' }");
    expect_log(usual, "{'workspace_id':'w','resource_id':'f','logData':{'function_id':'kept'}}",
               "logs:etl:w:f { 'workspace_id' : 'w', 'workflow_id' : 'f', 'function_id' : 'kept' }");
    expect_log(usual, "{'workspace_id':'w','logData':{}}", "logs:etl:w { 'workspace_id' : 'w' }");
    expect_log(usual, "{'workspace_id':'w','workflow_id':null,'logData':{}}", "logs:etl:w { 'workspace_id' : 'w' }");
    expect_log(usual, "{'workspace_id':'w','logData':{'function_id':'f'}}", "not_mapped");
    expect_log(usual, "{'workspace_id':'w','workflow_id':'f','logData':{'_id':7,'_id':8}}",
               "logs:etl:w:f { 'workspace_id' : 'w', 'workflow_id' : 'f' }");
}

static void test_other_names(void **state)
{
    (void)state;
    expect_log("logs:{tenant}:{job}", "{'workspace_id':'w','workflow_id':'f','logData':{'job':'x'}}",
               "logs:w:f { 'tenant' : 'w', 'job' : 'f' }");
    expect_log("logs:{env}:{workspace_id}:{step}", "{'workspace_id':'w','workflow_id':'f','logData':{'env':'prod'}}",
               "logs:prod:w:f { 'workspace_id' : 'w', 'step' : 'f', 'env' : 'prod' }");
    expect_log("logs:{env}:{workspace_id}", "{'workspace_id':'w','workflow_id':'f','logData':{'env':'prod'}}", "not_mapped");
    expect_log("logs:{env}:{workspace_id}", "{'workspace_id':'w','logData':{}}", "not_mapped");
    expect_log("logs:{service}:{workspace_id}", "{'workspace_id':'w','logData':{'service':'other'}}",
               "logs:svc:w { 'workspace_id' : 'w', 'service' : 'svc' }");
    expect_log("logs:etl", "{'workspace_id':'w','logData':{}}", "not_mapped");
    expect_log("logs:{a|a.b}", "{'workspace_id':'w','logData':{'a':{'b':'x'}}}", "logs:w { 'a' : 'w' }");
}

static void test_items_that_are_none(void **state)
{
    (void)state;
    const char *usual = "logs:etl:{workspace_id}:{workflow_id}";
    expect_log(usual, "[]", "invalid_item");
    expect_log(usual, "{}x", "invalid_json");
    expect_log(usual, "{'workspace_id':'w','logData':{'$gt':1}}", "invalid_key");
    expect_log(usual, "{'workspace_id':'w','logData':{},'logdata':{}}", "invalid_item");
    expect_log(usual, "{'workspace_id':'w','workflow_id':'a','resource_id':'a','logData':{}}", "invalid_item");
    expect_log(usual, "{'workspace_id':'w','workflow_id':{'a':1},'logData':{}}", "not_mapped");
    expect_log(usual, "{'workspace_id':'w','logData':{'_id':null}}", "invalid_id");
    expect_log(usual, "{'service':'a','service':'b','workspace_id':'w','logData':{}}", "invalid_item");
}

static void test_size(void **state)
{
    (void)state;
    struct publish_item item = {.state = PUBLISH_OPEN};
    char *text = memory_new(PUBLISH_DOCUMENT_MAX + 1);
    memset(text, 'x', PUBLISH_DOCUMENT_MAX);
    text[PUBLISH_DOCUMENT_MAX] = '\0';
    assert_int_equal(publish_item_begin(&item, NULL), 0);
    assert_int_equal(publish_item_end(&item), 0);
    BSON_APPEND_UTF8(item.document, "a", text);
    assert_int_equal(publish_item_end(&item), -1);
    assert_int_equal(item.status, 413);
    publish_item_fini(&item);
    free(text);
}

/* --- events --------------------------------------------------------------------------------------- */

static void expect_event(const char *item_text, const char *want)
{
    struct mapping_set *set = set_of("[{'collections':['c'],'channel':'logs:etl:{w}:{f}'}]");
    const struct mapping_set *sets[] = {set};
    struct publish_item item = {.target = {0, NULL, "db", "own"}};
    char *text = document_quotes(item_text);
    bson_t *parsed = publish_item_parse(&item, (struct slice){text, strlen(text)});
    assert_non_null(parsed);
    if (publish_event_build(&item, parsed, sets, 1, 1000) == 0) {
        char *json = bson_as_relaxed_extended_json(item.document, NULL), *wanted = document_quotes(want);
        assert_string_equal(json, wanted);
        bson_free(json);
        free(wanted);
    } else {
        assert_string_equal(item.code, want);
    }
    bson_destroy(parsed);
    free(text);
    publish_item_fini(&item);
    mapping_set_free(set);
}

static void test_events(void **state)
{
    (void)state;
    expect_event("{'data':{'a':1},'_id':5,'channel':'metrics:w','event':'cpu'}",
                 "{ '_id' : 5, 'channel' : 'metrics:w', 'event' : 'cpu', 'data' : { 'a' : 1 }, "
                 "'at' : { '$date' : '1970-01-01T00:00:01Z' } }");
    expect_event("{'channel':'metrics:w','data':null,'_id':5}",
                 "{ '_id' : 5, 'channel' : 'metrics:w', 'event' : 'metrics', 'data' : null, "
                 "'at' : { '$date' : '1970-01-01T00:00:01Z' } }");
    expect_event("{'channel':'logs:etl:w','data':1}", "channel_not_allowed");
    expect_event("{'channel':'gap','data':1}", "reserved_event");
    expect_event("{'channel':'a%20b:c','data':1}", "invalid_event");
    expect_event("{'channel':'a:*','data':1}", "invalid_channel");
    expect_event("{'channel':'a:b','data':1,'data':2}", "invalid_item");
}

/* --- answers -------------------------------------------------------------------------------------- */

static void begin(struct publish_item *item, const char *document_text)
{
    bson_t *made = document(document_text);
    bson_iter_t id;
    assert_true(bson_iter_init_find(&id, made, "_id"));
    assert_int_equal(publish_item_begin(item, &id), 0);
    buffer_append_text(&item->channel, "logs:\"x");
    bson_destroy(made);
}

/* Items by letter: n new, r repeated, b bad, d database. */
static void expect_answer(const char *kinds, bool is_batch, int status, const char *body)
{
    struct publish_item items[8] = {{.state = PUBLISH_OPEN}};
    struct job job = {.publish = memory_zero(1, sizeof *job.publish), .body = BUFFER_INIT};
    size_t count = strlen(kinds);
    job.publish->is_batch = is_batch;
    for (size_t i = 0; i < count; i++) {
        if (kinds[i] == 'b') {
            publish_item_refuse(&items[i], 409, "bad", "it is \"%s\"", "bad");
            publish_item_fail(&items[i], "later", "the first reason stays");
        } else {
            begin(&items[i], "{'_id':'k'}");
            items[i].state = kinds[i] == 'n' ? PUBLISH_INSERTED : kinds[i] == 'r' ? PUBLISH_REPEATED : PUBLISH_OPEN;
        }
        if (kinds[i] == 'd') {
            publish_item_fail(&items[i], "away", "x");
        }
    }
    publish_answer(&job, items, count);
    assert_int_equal(job.status, status);
    assert_string_equal(job.body.len || !job.code ? buffer_text(&job.body) : job.code, body);
    assert_int_equal(job.code != NULL, status >= 400);
    for (size_t i = 0; i < count; i++) {
        publish_item_fini(&items[i]);
    }
    publish_request_free(job.publish);
    buffer_fini(&job.body);
}

#define STORED "{\"_id\":\"k\",\"channel\":\"logs:\\\"x\"}"
#define BAD "{\"error\":{\"code\":\"bad\",\"detail\":\"it is \\\"bad\\\"\"}}"
#define AWAY "{\"_id\":\"k\",\"error\":{\"code\":\"away\",\"detail\":\"x\"}}"

static void test_answers(void **state)
{
    (void)state;
    expect_answer("n", false, 201, STORED "\n");
    expect_answer("r", false, 200, STORED "\n");
    expect_answer("b", false, 409, "bad");
    expect_answer("d", false, 503, "away");
    expect_answer("nr", true, 201, "{\"items\":[" STORED "," STORED "],\"inserted\":1,\"repeated\":1,\"failed\":0}\n");
    expect_answer("r", true, 200, "{\"items\":[" STORED "],\"inserted\":0,\"repeated\":1,\"failed\":0}\n");
    expect_answer("nb", true, 207, "{\"items\":[" STORED "," BAD "],\"inserted\":1,\"repeated\":0,\"failed\":1}\n");
    expect_answer("bb", true, 400, "\"items\":[" BAD "," BAD "],\"inserted\":0,\"repeated\":0,\"failed\":2");
    expect_answer("bd", true, 503, "\"items\":[" BAD "," AWAY "],\"inserted\":0,\"repeated\":0,\"failed\":2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_collections),
        cmocka_unit_test(test_request_wins),
        cmocka_unit_test(test_other_names),
        cmocka_unit_test(test_items_that_are_none),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
