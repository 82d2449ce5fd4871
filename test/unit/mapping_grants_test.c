/* mapping, with grants in the stream: its scope and its pipeline. What it is without them is in mapping_test.c. */
#include "mapping.h"

#include "grants_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "document.h"

static struct mapping_set *compiled(const char *source, const char *grants)
{
    const char *const own[] = {grants, NULL};
    const struct mapping_set_options options = {.database = "shop", .own_namespaces = own, .grants_namespace = grants};
    struct mapping_problem problem;
    struct mapping_set *set = NULL;
    json_t *mappings = tree(source);
    if (mapping_set_new(mappings, &options, &set, &problem) != 0) {
        fail_msg("%s: %s", problem.path, problem.error.text);
    }
    json_decref(mappings);
    return set;
}

static void check_scope(const char *source, const char *grants, enum mapping_scope scope, const char *database)
{
    const char *got_database, *got_collection;
    struct mapping_set *set = compiled(source, grants);
    assert_int_equal(mapping_set_scope(set, &got_database, &got_collection), scope);
    assert_null(got_collection);
    if (database) {
        assert_string_equal(got_database, database);
    }
    mapping_set_free(set);
}

static void test_scope(void **state)
{
    (void)state;
    check_scope("[{'collections':['a'],'channel':'x'}]", "shop.grants", MAPPING_SCOPE_DATABASE, "shop");
    check_scope("[{'collections':['a'],'channel':'x'}]", "platform.grants", MAPPING_SCOPE_CLUSTER, NULL);
    check_scope("[{'collections':['*'],'channel':'x'}]", "shop.a.b", MAPPING_SCOPE_DATABASE, "shop");
    check_scope("[{'collections':['*'],'channel':'x'}]", "shopper.grants", MAPPING_SCOPE_CLUSTER, NULL);
}

static void test_where(void **state)
{
    (void)state;
    const char *database, *collection;
    struct mapping_set *set = compiled("[{'collections':['*'],'channel':'x'}]", "shop.a.b");
    assert_true(mapping_set_grants(set, &database, &collection));
    assert_string_equal(database, "shop");
    assert_string_equal(collection, "a.b");
    assert_null(mapping_set_find(set, (struct slice){"shop", 4}, (struct slice){"a.b", 3}));
    mapping_set_free(set);
    set = compiled("[{'collections':['*'],'channel':'x'}]", NULL);
    assert_false(mapping_set_grants(set, &database, &collection));
    mapping_set_free(set);
}

static json_t *pipeline(const struct mapping_set *set, bool drop, bool with_grants)
{
    bson_t stages = BSON_INITIALIZER;
    mapping_set_pipeline(set, drop, with_grants, &stages);
    bson_t *wrapped = BCON_NEW("stages", BCON_ARRAY(&stages));
    char *text = bson_as_relaxed_extended_json(wrapped, NULL);
    json_t *root = json_loads(text, 0, NULL), *out = json_incref(json_object_get(root, "stages"));
    json_decref(root);
    bson_free(text);
    bson_destroy(wrapped);
    bson_destroy(&stages);
    return out;
}

static void check_pipeline(const char *source, const char *grants, bool drop, const char *expected)
{
    struct mapping_set *set = compiled(source, grants);
    json_t *got = pipeline(set, drop, true), *want = tree(expected);
    if (!json_equal(got, want)) {
        char *text = json_dumps(got, 0);
        fail_msg("%s", text);
    }
    json_decref(got);
    json_decref(want);
    mapping_set_free(set);
}

#define SMALL_KEY "{'$lt':[{'$bsonSize':'$documentKey'},4096]}"
#define SMALL_ID "{'$lt':[{'$bsonSize':{'_id':'$documentKey._id'}},4096]}"
#define INSERT "'operationType':{'$in':['insert']}"
#define SYSTEM "{'$regularExpression':{'pattern':'^system\\\\.','options':'s'}}"
#define OF_DOCUMENT "'insert','update','replace','delete','drop','rename'"
#define ALL "'operationType':{'$in':[" OF_DOCUMENT ",'dropDatabase']}"
#define MINE(db) "{'$and':[{'$eq':['$ns.db',{'$literal':'" db "'}]},{'$eq':['$ns.coll',{'$literal':'grants'}]}]}"
#define BRANCHES(db)                                                                                                   \
    "{'operationType':{'$in':[" OF_DOCUMENT "]},'ns.db':'" db "','ns.coll':'grants'},"                                 \
    "{'operationType':'rename','to.db':'" db "','to.coll':'grants'},"                                                  \
    "{'operationType':'dropDatabase','ns.db':'" db "'}"
#define PROJECT(db)                                                                                                    \
    "{'$project':{'operationType':1,'ns':1,'clusterTime':1,'wallTime':1,'txnNumber':1,"                                \
    "'grantsId':{'$cond':[{'$and':[" SMALL_KEY "," MINE(db) "]},'$documentKey._id','$$REMOVE']},"                      \
    "'fullDocument':{'$cond':[{'$and':[" SMALL_KEY ",{'$not':[" MINE(db) "]}]},'$fullDocument','$$REMOVE']}}}"

static void test_pipeline(void **state)
{
    (void)state;
    check_pipeline("[{'collections':['a'],'channel':'x','match':{'n':1}}]", "shop.grants", false,
                   "[{'$match':{" ALL ",'$or':[{" INSERT ",'ns.coll':{'$in':['a']},'fullDocument.n':1},"
                   BRANCHES("shop") "]}}," PROJECT("shop") "]");
    check_pipeline("[{'collections':['*'],'channel':'x'}]", "platform.grants", true,
                   "[{'$match':{'$expr':" SMALL_ID "}},{'$match':{" ALL ",'$or':[{" INSERT
                   ",'ns.db':'shop','ns.coll':{'$nin':[" SYSTEM "]}}," BRANCHES("platform") "]}}," PROJECT("platform")
                   "]");
    check_pipeline("[{'collections':['grants'],'channel':'x'}]", "shop.grants", false,
                   "[{'$match':{" ALL ",'$or':[" BRANCHES("shop") "]}}," PROJECT("shop") "]");
}

/* A sweep's pipeline names the grants only as something to leave out, and without a collection nothing changes. */
static void test_without(void **state)
{
    (void)state;
    struct mapping_set *set = compiled("[{'collections':['a'],'channel':'x'}]", "shop.grants");
    struct mapping_set *plain = compiled("[{'collections':['a'],'channel':'x'}]", NULL);
    json_t *swept = pipeline(set, true, false), *asked = pipeline(plain, true, true);
    json_t *usual = pipeline(plain, true, false);
    assert_true(json_equal(swept, usual));
    assert_true(json_equal(asked, usual));
    json_decref(swept);
    json_decref(asked);
    json_decref(usual);
    mapping_set_free(set);
    mapping_set_free(plain);
}

static void check_user(const char *source, const char *expected)
{
    char user[GRANTS_USER_MAX + 1] = "";
    bson_iter_t id;
    bson_t *bson = document(source);
    assert_true(bson_iter_init_find(&id, bson, "_id"));
    assert_int_equal(grants_user(&id, user), expected != NULL);
    assert_string_equal(user, expected ? expected : "");
    bson_destroy(bson);
}

static void test_users(void **state)
{
    (void)state;
    check_user("{'_id':'ann'}", "ann");
    check_user("{'_id':'j\\u00fcrg'}", "j\xc3\xbcrg");
    check_user("{'_id':{'$oid':'5f0000000000000000abcdef'}}", "5f0000000000000000abcdef");
    check_user("{'_id':42}", "42");
    check_user("{'_id':{'$numberLong':'-9223372036854775808'}}", "-9223372036854775808");
    check_user("{'_id':''}", NULL);
    check_user("{'_id':'a\\nb'}", NULL);
    check_user("{'_id':'a\\u0000b'}", NULL);
    check_user("{'_id':'a\\u007f'}", NULL);
    check_user("{'_id':1.5}", NULL);
    check_user("{'_id':null}", NULL);
    check_user("{'_id':{'a':1}}", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scope),   cmocka_unit_test(test_where), cmocka_unit_test(test_pipeline),
        cmocka_unit_test(test_without), cmocka_unit_test(test_users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
