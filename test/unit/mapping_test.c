/* mapping - compiling, finding, describing and the pipeline. */
#include "mapping.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "document.h"

static const char *const own[] = {"shop.tailwater_events", "shop.grants", "other.tailwater_events", NULL};
static const struct mapping_set_options options = {.database = "shop", .own_namespaces = own};

static struct slice text(const char *s)
{
    return (struct slice){s, strlen(s)};
}

static struct mapping_set *compiled_with(const char *source, const struct mapping_set_options *with)
{
    json_t *mappings = source ? tree(source) : NULL;
    struct mapping_set *set = NULL;
    struct mapping_problem problem;
    if (mapping_set_new(mappings, with, &set, &problem) != 0) {
        fail_msg("%s: %s", problem.path, problem.error.text);
    }
    json_decref(mappings);
    return set;
}

/* source: the mappings array, or NULL. */
static struct mapping_set *compiled(const char *source)
{
    return compiled_with(source, &options);
}

/* The same, with tailwater's own collection. */
static struct mapping_set *publishing(const char *source)
{
    static const char *const patterns[] = {"metrics:*", "alerts:*:all", NULL};
    struct mapping_set_options with = options;
    with.own_collection = "tailwater_events";
    with.own_patterns = patterns;
    return compiled_with(source, &with);
}

/* members: of the second of two mappings, behind collections and channel. */
static void refuse(const char *members, const char *path, const char *sentence)
{
    char source[1024], where[256];
    snprintf(source, sizeof source, "[{'collections':['a'],'channel':'x:{y}'},{%s}]", members);
    snprintf(where, sizeof where, "mappings[1]%s", path);
    json_t *mappings = tree(source);
    struct mapping_set *set = NULL;
    struct mapping_problem problem = {.path = ""};
    if (mapping_set_new(mappings, &options, &set, &problem) != -1) {
        fail_msg("%s was accepted", members);
    }
    assert_string_equal(problem.path, where);
    if (!strstr(problem.error.text, sentence)) {
        fail_msg("%s: \"%s\" lacks \"%s\"", members, problem.error.text, sentence);
    }
    json_decref(mappings);
}

#define GOOD "'collections':['c'],'channel':'logs:{w}:{f}'"

static void test_refusals(void **state)
{
    (void)state;
    refuse("'channel':'x:{y}'", "", "collections is missing");
    refuse("'collections':['c']", "", "channel is missing");
    refuse("'collections':[],'channel':'x:{y}'", ".collections", "list of names");
    refuse("'collections':['c',''],'channel':'x:{y}'", ".collections[1]", "no name of a collection");
    refuse("'collections':['system.views'],'channel':'x:{y}'", ".collections[0]", "MongoDB's own");
    refuse("'collections':['c'],'channel':'x y'", ".channel", "white space");
    refuse("'collections':['c'],'channel':'{x}:{y}'", "", "event is missing");
    refuse("'collections':['c'],'channel':'error:{y}'", ".event", "set another one with event:");
    refuse(GOOD ",'event':'ready'", ".event", "own event names");
    refuse(GOOD ",'event':'a b'", ".event", "1 to 64");
    refuse(GOOD ",'event':''", ".event", "1 to 64");
    refuse(GOOD ",'database':'local'", ".database", "no change streams");
    refuse(GOOD ",'database':'a.b'", ".database", "no name of a database");
    refuse(GOOD ",'labels':{'w':'x'}", ".labels.w", "placeholder");
    refuse(GOOD ",'labels':{'ts':'x'}", ".labels.ts", "member of every event");
    refuse(GOOD ",'labels':{'a':5}", ".labels.a", "must be text");
    refuse(GOOD ",'labels':{'a':'{w}'}", ".labels.a", "fields of the document");
    refuse(GOOD ",'match':{'level':{'$gtt':1}}", ".match.level.$gtt", "not allowed");
    refuse(GOOD ",'match':{'$or':[{'a':{'$in':1}}]}", ".match.$or[0].a.$in", "array");
    refuse(GOOD ",'omit':['a'],'only':['b']", ".omit", "exclude each other");
    refuse(GOOD ",'omit':['a','$b']", ".omit[1]", "begins with '$'");
    refuse(GOOD ",'only':[]", ".only", "list of fields");
    refuse(GOOD ",'operations':['insert','update']", ".operations[1]", "updates and deletes carry none");
    refuse(GOOD ",'operations':['upsert']", ".operations[0]", "insert and replace");
    refuse(GOOD ",'order':'a..b'", ".order", "empty part");
    refuse(GOOD ",'level':7", ".level", "not text");
    refuse(GOOD ",'preset':'wiston'", ".preset", "did you mean \"winston\"?");
    refuse(GOOD ",'colections':['x']", ".colections", "did you mean \"collections\"?");
    refuse(GOOD ",'zzzzzzz':1", ".zzzzzzz", "unknown key \"zzzzzzz\"");
}

static void check_takes(const struct mapping_set *set, const char *database, const char *collection, int index)
{
    const struct mapping *found = mapping_set_find(set, text(database), text(collection));
    const struct mapping *expected = index < 0 ? NULL : mapping_set_at(set, (size_t)index);
    if (found != expected) {
        fail_msg("%s.%s is not taken by %d", database, collection, index);
    }
}

static void test_first_mapping_takes_it(void **state)
{
    (void)state;
    struct mapping_set *set = compiled("[{'collections':['a','etl_*'],'channel':'logs:{w}'},"
                                       "{'collections':['a','b'],'channel':'logs:{w}'},"
                                       "{'collections':['a'],'database':'other','channel':'logs:{w}'},"
                                       "{'collections':['*'],'channel':'logs:{w}'}]");
    check_takes(set, "shop", "a", 0);
    check_takes(set, "shop", "etl_", 0);
    check_takes(set, "shop", "etl_x_y", 0);
    check_takes(set, "shop", "b", 1);
    check_takes(set, "other", "a", 2);
    check_takes(set, "other", "b", -1);
    check_takes(set, "shop", "zzz", 3);
    check_takes(set, "shop", "etl", 3);
    check_takes(set, "shop", "tailwater_events", -1);
    check_takes(set, "shop", "grants", -1);
    check_takes(set, "shop", "system.buckets.x", -1);
    check_takes(set, "sho", "a", -1);
    assert_true(mapping_covers(mapping_set_at(set, 3), text("a")));
    mapping_set_free(set);
}

static void test_globs(void **state)
{
    (void)state;
    struct mapping_set *set = compiled("[{'collections':['a*b*c','*.log'],'channel':'logs:{w}'}]");
    check_takes(set, "shop", "abc", 0);
    check_takes(set, "shop", "a__b_b__c", 0);
    check_takes(set, "shop", "abcd", -1);
    check_takes(set, "shop", "ab", -1);
    check_takes(set, "shop", "x.log", 0);
    check_takes(set, "shop", ".log", 0);
    check_takes(set, "shop", "xlog", -1);
    mapping_set_free(set);
}

static void check_scope_of(struct mapping_set *set, enum mapping_scope scope, const char *database,
                           const char *collection)
{
    const char *got_database, *got_collection;
    assert_int_equal(mapping_set_scope(set, &got_database, &got_collection), scope);
    if (database) {
        assert_string_equal(got_database, database);
    }
    if (collection) {
        assert_string_equal(got_collection, collection);
    }
    mapping_set_free(set);
}

static void check_scope(const char *source, enum mapping_scope scope, const char *database, const char *collection)
{
    check_scope_of(compiled(source), scope, database, collection);
}

static void test_scope(void **state)
{
    (void)state;
    check_scope(NULL, MAPPING_SCOPE_DATABASE, "shop", NULL);
    check_scope("[{'collections':['a'],'channel':'x'}]", MAPPING_SCOPE_COLLECTION, "shop", "a");
    check_scope("[{'collections':['a'],'channel':'x'},{'collections':['a'],'channel':'y'}]", MAPPING_SCOPE_COLLECTION,
                "shop", "a");
    check_scope("[{'collections':['a*'],'channel':'x'}]", MAPPING_SCOPE_DATABASE, "shop", NULL);
    check_scope("[{'collections':['a','b'],'channel':'x'}]", MAPPING_SCOPE_DATABASE, "shop", NULL);
    check_scope("[{'collections':['a'],'channel':'x'},{'collections':['a'],'database':'d','channel':'x'}]",
                MAPPING_SCOPE_CLUSTER, NULL, NULL);
}

static void check_pipeline_of(struct mapping_set *set, bool drop, const char *expected)
{
    bson_t stages = BSON_INITIALIZER;
    mapping_set_pipeline(set, drop, false, &stages);
    bson_t *wrapped = BCON_NEW("stages", BCON_ARRAY(&stages));
    char *json = bson_as_relaxed_extended_json(wrapped, NULL);
    json_t *got = json_loads(json, 0, NULL), *want = tree(expected);
    if (!json_equal(json_object_get(got, "stages"), want)) {
        fail_msg("%s", json);
    }
    bson_destroy(wrapped);
    json_decref(got);
    json_decref(want);
    bson_free(json);
    bson_destroy(&stages);
    mapping_set_free(set);
}

static void check_pipeline(const char *source, bool drop, const char *expected)
{
    check_pipeline_of(compiled(source), drop, expected);
}

#define SMALL_KEY "{'$lt':[{'$bsonSize':'$documentKey'},4096]}"
#define SMALL_ID "{'$lt':[{'$bsonSize':{'_id':'$documentKey._id'}},4096]}"
#define PROJECT                                                                                                        \
    "{'$project':{'operationType':1,'ns':1,'clusterTime':1,'wallTime':1,'txnNumber':1," \
    "'fullDocument':{'$cond':[" SMALL_KEY ",'$fullDocument','$$REMOVE']}}}"
#define INSERT "'operationType':{'$in':['insert']}"
#define SYSTEM "{'$regularExpression':{'pattern':'^system\\\\.','options':'s'}}"

static void test_pipeline(void **state)
{
    (void)state;
    check_pipeline("[{'collections':['a'],'channel':'x','match':{'level':{'$ne':'TRACE'}}}]", false,
                   "[{'$match':{" INSERT ",'$or':[{" INSERT ",'ns.coll':{'$in':['a']},"
                   "'fullDocument.level':{'$ne':'TRACE'}}]}}," PROJECT "]");
    check_pipeline(NULL, true,
                   "[{'$match':{'$expr':" SMALL_ID "}},{'$match':{" INSERT ",'$or':[{" INSERT
                   ",'ns.coll':{'$nin':[" SYSTEM ",'tailwater_events','grants']}}]}}," PROJECT "]");
    check_pipeline("[{'collections':['a','b'],'channel':'x'},"
                   "{'collections':['a','c'],'channel':'x','operations':['insert','replace']},"
                   "{'collections':['a'],'channel':'x'},"
                   "{'collections':['*'],'channel':'x','database':'other'}]",
                   false,
                   "[{'$match':{'operationType':{'$in':['insert','replace']},'$or':["
                   "{" INSERT ",'ns.db':'shop','ns.coll':{'$in':['a','b']}},"
                   "{'operationType':{'$in':['insert','replace']},'ns.db':'shop','ns.coll':{'$in':['c']}},"
                   "{" INSERT ",'ns.db':'other','ns.coll':{'$nin':[" SYSTEM ",'tailwater_events']}}]}}," PROJECT "]");
    check_pipeline("[{'collections':['a'],'channel':'x'},{'collections':['l.*(x)'],'channel':'x'}]", false,
                   "[{'$match':{" INSERT ",'$or':[{" INSERT ",'ns.coll':{'$in':['a']}},"
                   "{" INSERT ",'ns.coll':{'$in':["
                   "{'$regularExpression':{'pattern':'^l\\\\..*\\\\(x\\\\)$','options':'s'}}],"
                   "'$nin':[" SYSTEM ",'tailwater_events','grants','a']}}]}}," PROJECT "]");
    check_pipeline("[{'collections':['grants'],'channel':'x'}]", false,
                   "[{'$match':{'operationType':{'$in':[]}}}," PROJECT "]");
}

static void test_accessors(void **state)
{
    (void)state;
    struct mapping_set *set = compiled("[{'collections':['a'],'channel':'logs:{w}','match':{'n':1},'order':'t.s',"
                                       "'operations':['replace'],'labels':{'service':'e\\u00fc','d':'{$database}',"
                                       "'c':'{$collection}'}},"
                                       "{'collections':['b'],'channel':'m:{w}','event':'metrics'}]");
    const struct mapping *first = mapping_set_at(set, 0), *second = mapping_set_at(set, 1);
    assert_int_equal(mapping_set_count(set), 2);
    assert_string_equal(mapping_database(first), "shop");
    assert_string_equal(mapping_order(first), "t.s");
    assert_string_equal(mapping_order(second), "_id");
    assert_memory_equal(mapping_event(first).data, "logs", 5);
    assert_memory_equal(mapping_event(second).data, "metrics", 8);
    assert_true(mapping_takes(first, 'r'));
    assert_false(mapping_takes(first, 'i'));
    assert_true(mapping_takes(second, 'i'));
    assert_false(mapping_takes(second, 'r'));
    assert_null(mapping_filter(second));
    bson_t *filter = document("{'n':1}");
    assert_true(bson_equal(mapping_filter(first), filter));
    bson_destroy(filter);
    struct buffer labels = BUFFER_INIT;
    mapping_append_labels(first, text("a"), &labels);
    assert_string_equal(buffer_text(&labels), "\"service\":\"e\xc3\xbc\",\"d\":\"shop\",\"c\":\"a\",");
    buffer_fini(&labels);
    mapping_set_free(set);
}

static void check_level(const char *mapping, const char *source, int level)
{
    char mappings[256];
    snprintf(mappings, sizeof mappings, "[{'collections':['a'],'channel':'x'%s}]", mapping);
    struct mapping_set *set = compiled(mappings);
    bson_t *bson = document(source);
    assert_int_equal(mapping_level(mapping_set_at(set, 0), bson), level);
    bson_destroy(bson);
    mapping_set_free(set);
}

static void test_levels(void **state)
{
    (void)state;
    check_level("", "{'level':30,'time':1,'msg':'x'}", FRAME_LEVEL_INFO);
    check_level("", "{'timestamp':1,'level':'warn','message':'m','meta':{}}", FRAME_LEVEL_WARN);
    check_level("", "{'levelname':'ERROR'}", FRAME_LEVEL_ERROR);
    check_level("", "{'log.level':'debug'}", FRAME_LEVEL_DEBUG);
    check_level("", "{'meta':{'level':'fatal'}}", FRAME_LEVEL_FATAL);
    check_level("", "{'level':null,'severity':'err'}", FRAME_LEVEL_ERROR);
    check_level("", "{'x':1}", FRAME_LEVEL_NONE);
    check_level(",'level':'a.b'", "{'level':'info','a':{'b':'warn'}}", FRAME_LEVEL_WARN);
    check_level(",'level':'a.b'", "{'level':'info'}", FRAME_LEVEL_NONE);
    check_level(",'omit':['level']", "{'level':'info'}", FRAME_LEVEL_NONE);
    check_level(",'preset':'python'", "{'levelno':30}", FRAME_LEVEL_WARN);
    check_level(",'preset':'syslog'", "{'severity':4}", FRAME_LEVEL_WARN);
}

static void test_times(void **state)
{
    (void)state;
    struct mapping_set *set = compiled("[{'collections':['a'],'channel':'x'}]");
    const struct mapping *m = mapping_set_at(set, 0);
    static const struct {
        const char *source;
        int rc;
        int64_t wall_ms;
    } cases[] = {{"{'timestamp':{'$date':{'$numberLong':'5'}}}", 0, 5},
                 {"{'ts':1795255961}", 0, 1795255961000},
                 {"{'_id':{'$oid':'6b0169cd05060708090a0bff'},'time':'noon'}", 0, 0x6b0169cdLL * 1000},
                 {"{'_id':5}", -1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bson_t *bson = document(cases[i].source);
        int64_t wall_ms = 0;
        assert_int_equal(mapping_time(m, bson, &wall_ms), cases[i].rc);
        assert_int_equal(wall_ms, cases[i].wall_ms);
        bson_destroy(bson);
    }
    mapping_set_free(set);
}

static void check_pattern(const char *channel, const char *collection, const char *expected)
{
    char mappings[256];
    snprintf(mappings, sizeof mappings, "[{'collections':['*'],'channel':'%s','event':'e'}]", channel);
    struct mapping_set *set = compiled(mappings);
    struct buffer out = BUFFER_INIT;
    mapping_collection_patterns(mapping_set_at(set, 0), text("shop"), text(collection), &out);
    assert_string_equal(buffer_text(&out), expected);
    buffer_fini(&out);
    mapping_set_free(set);
}

static void test_patterns(void **state)
{
    (void)state;
    check_pattern("logs:etl:{w}:{f}", "a", "logs:etl:*");
    check_pattern("logs:{$collection}:{w}:{f}", "a", "logs:a:*");
    check_pattern("metrics:{w}", "a", "metrics:*,metrics");
    check_pattern("a:b:{w}", "a", "a:b:*,a:b");
    check_pattern("a:{w}:all", "a", "a:*:all");
    check_pattern("{w}", "a", "*");
    check_pattern("logs:all", "a", "logs:all");
    check_pattern("{$database}:{$collection}", "a b", "shop:a%20b");
}

static void test_catalog(void **state)
{
    (void)state;
    struct mapping_set *set = compiled("[{'collections':['e'],'channel':'logs:etl:{w}:{f}',"
                                       "'labels':{'service':'ETL x'}},"
                                       "{'collections':['b','c_*'],'channel':'m:{$collection}:{w}'}]");
    struct catalog *catalog = catalog_new();
    mapping_set_describe(set, catalog);
    assert_true(catalog_has_service(catalog, "etl", 3));
    assert_true(catalog_has_service(catalog, "ETL%20x", 7));
    assert_false(catalog_has_service(catalog, "logs", 4));
    assert_false(catalog_has_service(catalog, "c_1", 3));
    mapping_describe_collection(mapping_set_at(set, 1), text("c_1"), catalog);
    mapping_describe_collection(mapping_set_at(set, 1), text("grants"), catalog);
    assert_true(catalog_has_service(catalog, "c_1", 3));
    assert_false(catalog_has_service(catalog, "grants", 6));
    assert_true(catalog_can_produce(catalog, "logs:etl:w1", 11));
    assert_true(catalog_can_produce(catalog, "logs:*:w1:f1", 12));
    assert_false(catalog_can_produce(catalog, "logs:faas:w1:f1", 15));
    assert_false(catalog_can_produce(catalog, "logs:etl", 8));
    catalog_free(catalog);
    mapping_set_free(set);
}

/* --- tailwater's own collection ------------------------------------------------------------------- */

static void test_own_mapping(void **state)
{
    (void)state;
    struct mapping_set *set = publishing("[{'collections':['*'],'channel':'logs:{w}','level':'level'}]");
    const struct mapping *last = mapping_set_at(set, 1);
    assert_int_equal(mapping_set_count(set), 2);
    assert_false(mapping_is_own(mapping_set_at(set, 0)));
    assert_true(mapping_is_own(last));
    assert_ptr_equal(mapping_set_of(last), set);
    check_takes(set, "shop", "tailwater_events", 1);
    check_takes(set, "shop", "a", 0);
    check_takes(set, "shop", "grants", -1);
    check_takes(set, "other", "tailwater_events", -1);
    assert_string_equal(mapping_order(last), "at");
    assert_true(mapping_takes(last, 'i'));
    assert_false(mapping_takes(last, 'r'));
    bson_t *bson = document("{'level':'error','at':{'$date':{'$numberLong':'5'}}}");
    int64_t wall_ms = 0;
    assert_int_equal(mapping_level(last, bson), FRAME_LEVEL_NONE);
    assert_int_equal(mapping_time(last, bson, &wall_ms), 0);
    assert_int_equal(wall_ms, 5);
    bson_destroy(bson);
    struct buffer pattern = BUFFER_INIT;
    mapping_collection_patterns(last, text("shop"), text("tailwater_events"), &pattern);
    assert_string_equal(buffer_text(&pattern), "*");
    buffer_fini(&pattern);
    mapping_set_free(set);
}

static void test_own_stream(void **state)
{
    (void)state;
    check_scope_of(publishing("[{'collections':['a'],'channel':'x'}]"), MAPPING_SCOPE_DATABASE, "shop", NULL);
    check_scope_of(publishing("[{'collections':['a'],'database':'other','channel':'x'}]"), MAPPING_SCOPE_CLUSTER, NULL,
                   NULL);
    check_pipeline_of(publishing("[{'collections':['*'],'channel':'x','operations':['insert','replace']}]"), false,
                      "[{'$match':{'operationType':{'$in':['insert','replace']},'$or':["
                      "{'operationType':{'$in':['insert','replace']},"
                      "'ns.coll':{'$nin':[" SYSTEM ",'tailwater_events','grants']}},"
                      "{" INSERT ",'ns.coll':{'$in':['tailwater_events']}}]}}," PROJECT "]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),    cmocka_unit_test(test_first_mapping_takes_it), cmocka_unit_test(test_globs),
        cmocka_unit_test(test_scope),       cmocka_unit_test(test_pipeline),    cmocka_unit_test(test_accessors),
        cmocka_unit_test(test_levels),      cmocka_unit_test(test_times),       cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_catalog),     cmocka_unit_test(test_own_mapping), cmocka_unit_test(test_own_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
