/* match - what is accepted, what it becomes, and what is refused where. */
#include "match.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "document.h"

static int compile(const char *source, const char *prefix, bson_t *filter, struct buffer *where, struct error *err)
{
    json_t *match = tree(source);
    int rc = match_compile(match, prefix, filter, where, err);
    json_decref(match);
    return rc;
}

/* expected: relaxed Extended JSON of the change stream's condition, with single quotes. */
static void accept(const char *source, const char *expected)
{
    bson_t filter = BSON_INITIALIZER;
    struct buffer where = BUFFER_INIT;
    struct error err;
    if (compile(source, "f.", &filter, &where, &err) != 0) {
        fail_msg("%s: %s: %s", source, buffer_text(&where), err.text);
    }
    assert_int_equal(where.len, 0);
    char *text = bson_as_relaxed_extended_json(&filter, NULL);
    json_t *got = json_loads(text, 0, NULL), *want = tree(expected);
    if (!json_equal(got, want)) {
        fail_msg("%s became %s", source, text);
    }
    bson_free(text);
    json_decref(got);
    json_decref(want);
    bson_destroy(&filter);
    buffer_fini(&where);
}

static void refuse(const char *source, const char *place, const char *sentence)
{
    bson_t filter = BSON_INITIALIZER;
    struct buffer where = BUFFER_INIT;
    struct error err = {.text = ""};
    if (compile(source, "f.", &filter, &where, &err) != -1) {
        fail_msg("%s was accepted", source);
    }
    assert_string_equal(buffer_text(&where), place);
    if (!strstr(err.text, sentence)) {
        fail_msg("%s: \"%s\" lacks \"%s\"", source, err.text, sentence);
    }
    bson_destroy(&filter);
    buffer_fini(&where);
}

static void test_values(void **state)
{
    (void)state;
    accept("{}", "{}");
    accept("{'a':1,'b.c':'x','d':null,'e':1.5,'g':true,'h':[1,'x']}",
           "{'f.a':1,'f.b.c':'x','f.d':null,'f.e':1.5,'f.g':true,'f.h':[1,'x']}");
    accept("{'a':{'b':1}}", "{'f.a':{'b':1}}");
    accept("{'a':4294967296}", "{'f.a':4294967296}");
    accept("{'_id':{'$oid':'6b0169cd05060708090a0bff'}}", "{'f._id':{'$oid':'6b0169cd05060708090a0bff'}}");
    accept("{'t':{'$gte':{'$date':'2026-11-21T10:12:41.318+01:00'}}}",
           "{'f.t':{'$gte':{'$date':'2026-11-21T09:12:41.318Z'}}}");
    accept("{'t':{'$lt':{'$date':-5}}}", "{'f.t':{'$lt':{'$date':{'$numberLong':'-5'}}}}");
}

static void test_operators(void **state)
{
    (void)state;
    accept("{'level':{'$ne':'TRACE'}}", "{'f.level':{'$ne':'TRACE'}}");
    accept("{'n':{'$gt':1,'$lte':5}}", "{'f.n':{'$gt':1,'$lte':5}}");
    accept("{'n':{'$in':[1,'a',null]},'m':{'$nin':[]},'o':{'$all':[1]}}",
           "{'f.n':{'$in':[1,'a',null]},'f.m':{'$nin':[]},'f.o':{'$all':[1]}}");
    accept("{'a':{'$exists':false},'b':{'$type':'string'},'c':{'$type':[1,'number',-1,127]},'d':{'$size':0}}",
           "{'f.a':{'$exists':false},'f.b':{'$type':'string'},'f.c':{'$type':[1,'number',-1,127]},'f.d':{'$size':0}}");
    accept("{'a':{'$not':{'$gt':1}}}", "{'f.a':{'$not':{'$gt':1}}}");
    accept("{'a':{'$not':{'$regex':'^x','$options':'i'}}}", "{'f.a':{'$not':{'$regex':'^x','$options':'i'}}}");
    accept("{'a':{'$elemMatch':{'b':1,'c.d':{'$gt':2}}}}", "{'f.a':{'$elemMatch':{'b':1,'c.d':{'$gt':2}}}}");
    accept("{'a':{'$elemMatch':{'$gt':1,'$lt':3}}}", "{'f.a':{'$elemMatch':{'$gt':1,'$lt':3}}}");
    accept("{'a':{'$elemMatch':{'$or':[{'b':1},{'c':2}]}},'z':1}",
           "{'f.a':{'$elemMatch':{'$or':[{'b':1},{'c':2}]}},'f.z':1}");
    accept("{'$or':[{'a':1},{'$and':[{'b':2},{'$nor':[{'c':3}]}]}]}",
           "{'$or':[{'f.a':1},{'$and':[{'f.b':2},{'$nor':[{'f.c':3}]}]}]}");
    accept("{'$nor':[{'a':1},{'b':2}]}", "{'$nor':[{'$or':[{'f.a':1},{'f.b':2}]}]}");
}

static void test_regular_expressions(void **state)
{
    (void)state;
    static const char *const good[] = {"^a.*b$", "(?:a|b)+?", "[]a]", "[^]]x",
                                      "\\\\(", "a{2}", "(?i)x", "a*+", "[[:alpha:]]"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char source[128];
        snprintf(source, sizeof source, "{'a':{'$regex':'%s'}}", good[i]);
        char expected[128];
        snprintf(expected, sizeof expected, "{'f.a':{'$regex':'%s'}}", good[i]);
        accept(source, expected);
    }
    refuse("{'a':{'$regex':'('}}", ".a.$regex", "not closed");
    refuse("{'a':{'$regex':')'}}", ".a.$regex", "no '('");
    refuse("{'a':{'$regex':'[a'}}", ".a.$regex", "not closed");
    refuse("{'a':{'$regex':'a\\\\'}}", ".a.$regex", "backslash");
    refuse("{'a':{'$regex':'*a'}}", ".a.$regex", "nothing to repeat");
    refuse("{'a':{'$regex':'a|+'}}", ".a.$regex", "nothing to repeat");
    refuse("{'a':{'$regex':'a**'}}", ".a.$regex", "nothing to repeat");
    refuse("{'a':{'$regex':'(*ACCEPT)'}}", ".a.$regex", "not supported");
    refuse("{'a':{'$regex':'a\\u0000b'}}", ".a.$regex", "NUL");
    refuse("{'a':{'$regex':5}}", ".a.$regex", "string");
    refuse("{'a':{'$options':'i'}}", ".a", "$regex beside");
    refuse("{'a':{'$regex':'x','$options':'g'}}", ".a.$options", "letters");
}

static void test_refused_operators(void **state)
{
    (void)state;
    refuse("{'$expr':{'$gt':['$a',1]}}", ".$expr", "would end the stream");
    refuse("{'$where':'1'}", ".$where", "would end the stream");
    refuse("{'$jsonSchema':{}}", ".$jsonSchema", "would end the stream");
    refuse("{'$text':{'$search':'x'}}", ".$text", "would end the stream");
    refuse("{'$or':[{'a':1},{'$expr':1}]}", ".$or[1].$expr", "would end the stream");
    refuse("{'$comment':'x'}", ".$comment", "not allowed");
    refuse("{'a':{'$mod':[2,0]}}", ".a.$mod", "not allowed");
    refuse("{'a':{'$near':[1,2]}}", ".a.$near", "not allowed");
    refuse("{'a':{'$gt':1,'b':2}}", ".a.b", "cannot be mixed");
    refuse("{'a':{'b':{'$gt':1}}}", ".a.b.$gt", "this is a value");
    refuse("{'a':{'$in':[{'$gt':1}]}}", ".a.$in[0].$gt", "this is a value");
    refuse("{'a':{'$elemMatch':{'$where':'1'}}}", ".a.$elemMatch.$where", "would end the stream");
}

static void test_operands(void **state)
{
    (void)state;
    refuse("5", "", "object");
    refuse("{'a':{'$in':1}}", ".a.$in", "array");
    refuse("{'a':{'$all':'x'}}", ".a.$all", "array");
    refuse("{'a':{'$exists':1}}", ".a.$exists", "true or false");
    refuse("{'a':{'$size':-1}}", ".a.$size", "whole number");
    refuse("{'a':{'$size':1.5}}", ".a.$size", "whole number");
    refuse("{'a':{'$type':'text'}}", ".a.$type", "BSON type");
    refuse("{'a':{'$type':99}}", ".a.$type", "BSON type");
    refuse("{'a':{'$type':[]}}", ".a.$type", "BSON type");
    refuse("{'a':{'$not':{}}}", ".a.$not", "operators");
    refuse("{'a':{'$not':5}}", ".a.$not", "operators");
    refuse("{'a':{'$not':{'b':1}}}", ".a.$not", "operators");
    refuse("{'a':{'$elemMatch':{}}}", ".a.$elemMatch", "operators or fields");
    refuse("{'$and':[]}", ".$and", "at least one");
    refuse("{'$or':{'a':1}}", ".$or", "at least one");
    refuse("{'$nor':[1]}", ".$nor[0]", "object");
    refuse("{'a':{'$oid':'xyz'}}", ".a", "24 hex");
    refuse("{'a':{'$date':'yesterday'}}", ".a", "ISO 8601");
    refuse("{'':1}", ".", "is empty");
    refuse("{'a..b':1}", ".a..b", "empty part");
    refuse("{'a.$b':1}", ".a.$b", "begins with '$'");
}

static void test_depth(void **state)
{
    (void)state;
    struct buffer deep = BUFFER_INIT;
    for (int i = 0; i < 30; i++) {
        buffer_append_text(&deep, "{'$or':[");
    }
    buffer_append_text(&deep, "{'a':1}");
    for (int i = 0; i < 30; i++) {
        buffer_append_text(&deep, "]}");
    }
    bson_t filter = BSON_INITIALIZER;
    struct buffer where = BUFFER_INIT;
    struct error err;
    assert_int_equal(compile(buffer_text(&deep), "", &filter, &where, &err), -1);
    assert_non_null(strstr(err.text, "nested"));
    bson_destroy(&filter);
    buffer_fini(&where);
    buffer_fini(&deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),   cmocka_unit_test(test_operators), cmocka_unit_test(test_regular_expressions),
        cmocka_unit_test(test_refused_operators), cmocka_unit_test(test_operands),  cmocka_unit_test(test_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
