/* bson_json - every BSON type in both styles, filters, depth, broken documents. */
#include "bson_json.h"
#include "json_scalar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "document.h"

static void check(const bson_t *bson, const struct bson_json_options *options, int rc, const char *expected)
{
    struct buffer out = BUFFER_INIT;
    assert_int_equal(bson_json_append(&out, bson, options), rc);
    assert_string_equal(buffer_text(&out), expected);
    buffer_fini(&out);
}

/* Takes the document. */
static void check_styles(bson_t *bson, const char *plain, const char *relaxed)
{
    check(bson, &(struct bson_json_options){.style = JSON_STYLE_PLAIN}, 0, plain);
    check(bson, &(struct bson_json_options){.style = JSON_STYLE_RELAXED}, 0, relaxed);
    bson_destroy(bson);
}

static void test_scalars(void **state)
{
    (void)state;
    check_styles(document("{}"), "{}", "{}");
    check_styles(document("{'a':null,'b':true,'c':false,'d':-7,'e':''}"),
                 "{\"a\":null,\"b\":true,\"c\":false,\"d\":-7,\"e\":\"\"}",
                 "{\"a\":null,\"b\":true,\"c\":false,\"d\":-7,\"e\":\"\"}");
    check_styles(BCON_NEW("", BCON_UTF8("a\"\\\n\xe2\x80\xa8"), "\x01", BCON_INT32(INT32_MIN)),
                 "{\"\":\"a\\\"\\\\\\n\\u2028\",\"\\u0001\":-2147483648}",
                 "{\"\":\"a\\\"\\\\\\n\\u2028\",\"\\u0001\":-2147483648}");
    check_styles(document("{'id':{'$oid':'6b0169cd05060708090a0bff'}}"),
                 "{\"id\":\"6b0169cd05060708090a0bff\"}", "{\"id\":{\"$oid\":\"6b0169cd05060708090a0bff\"}}");
}

static void test_int64_beyond_doubles(void **state)
{
    (void)state;
    const int64_t edge = INT64_C(1) << 53;
    check_styles(BCON_NEW("a", BCON_INT64(edge), "b", BCON_INT64(-edge)),
                 "{\"a\":9007199254740992,\"b\":-9007199254740992}",
                 "{\"a\":9007199254740992,\"b\":-9007199254740992}");
    check_styles(BCON_NEW("a", BCON_INT64(edge + 1), "b", BCON_INT64(INT64_MIN)),
                 "{\"a\":\"9007199254740993\",\"b\":\"-9223372036854775808\"}",
                 "{\"a\":9007199254740993,\"b\":-9223372036854775808}");
}

static void test_dates(void **state)
{
    (void)state;
    check_styles(BCON_NEW("d", BCON_DATE_TIME(1795255961318)), "{\"d\":\"2026-11-21T10:12:41.318Z\"}",
                 "{\"d\":{\"$date\":\"2026-11-21T10:12:41.318Z\"}}");
    check_styles(BCON_NEW("d", BCON_DATE_TIME(0), "e", BCON_DATE_TIME(1001)),
                 "{\"d\":\"1970-01-01T00:00:00.000Z\",\"e\":\"1970-01-01T00:00:01.001Z\"}",
                 "{\"d\":{\"$date\":\"1970-01-01T00:00:00Z\"},\"e\":{\"$date\":\"1970-01-01T00:00:01.001Z\"}}");
    check_styles(BCON_NEW("d", BCON_DATE_TIME(-1), "e", BCON_DATE_TIME(-86400000)),
                 "{\"d\":\"1969-12-31T23:59:59.999Z\",\"e\":\"1969-12-31T00:00:00.000Z\"}",
                 "{\"d\":{\"$date\":{\"$numberLong\":\"-1\"}},\"e\":{\"$date\":{\"$numberLong\":\"-86400000\"}}}");
    check_styles(BCON_NEW("d", BCON_DATE_TIME(253402300800000)), "{\"d\":\"+010000-01-01T00:00:00.000Z\"}",
                 "{\"d\":{\"$date\":{\"$numberLong\":\"253402300800000\"}}}");
}

static void test_rare_types(void **state)
{
    (void)state;
    check_styles(BCON_NEW("r", BCON_REGEX("a\"b", "ix")), "{\"r\":\"/a\\\"b/ix\"}",
                 "{\"r\":{\"$regularExpression\":{\"pattern\":\"a\\\"b\",\"options\":\"ix\"}}}");
    check_styles(BCON_NEW("t", BCON_TIMESTAMP(-1, 7)), "{\"t\":{\"t\":4294967295,\"i\":7}}",
                 "{\"t\":{\"$timestamp\":{\"t\":4294967295,\"i\":7}}}");
    check_styles(BCON_NEW("a", BCON_MINKEY, "b", BCON_MAXKEY, "c", BCON_UNDEFINED),
                 "{\"a\":{\"$minKey\":1},\"b\":{\"$maxKey\":1},\"c\":null}",
                 "{\"a\":{\"$minKey\":1},\"b\":{\"$maxKey\":1},\"c\":{\"$undefined\":true}}");
    check_styles(BCON_NEW("c", BCON_CODE("f()"), "s", BCON_SYMBOL("sy")), "{\"c\":\"f()\",\"s\":\"sy\"}",
                 "{\"c\":{\"$code\":\"f()\"},\"s\":{\"$symbol\":\"sy\"}}");
    bson_t *scope = document("{'x':1}");
    check_styles(BCON_NEW("c", BCON_CODEWSCOPE("f()", scope)), "{\"c\":{\"code\":\"f()\",\"scope\":{\"x\":1}}}",
                 "{\"c\":{\"$code\":\"f()\",\"$scope\":{\"x\":1}}}");
    bson_destroy(scope);
    check_styles(document("{'p':{'$dbPointer':{'$ref':'c','$id':{'$oid':'6b0169cd05060708090a0bff'}}}}"),
                 "{\"p\":{\"$ref\":\"c\",\"$id\":\"6b0169cd05060708090a0bff\"}}",
                 "{\"p\":{\"$dbPointer\":{\"$ref\":\"c\",\"$id\":{\"$oid\":\"6b0169cd05060708090a0bff\"}}}}");
    check_styles(document("{'d':{'$numberDecimal':'1.50'},'n':{'$numberDecimal':'NaN'}}"),
                 "{\"d\":\"1.50\",\"n\":\"NaN\"}",
                 "{\"d\":{\"$numberDecimal\":\"1.50\"},\"n\":{\"$numberDecimal\":\"NaN\"}}");
}

static void test_binary(void **state)
{
    (void)state;
    const uint8_t bytes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255};
    check_styles(BCON_NEW("a", BCON_BIN(BSON_SUBTYPE_BINARY, bytes, 0), "b", BCON_BIN(BSON_SUBTYPE_BINARY, bytes, 1),
                          "c", BCON_BIN(BSON_SUBTYPE_USER, bytes, 2), "d", BCON_BIN(BSON_SUBTYPE_BINARY, bytes, 3)),
                 "{\"a\":\"\",\"b\":\"AA==\",\"c\":\"AAE=\",\"d\":\"AAEC\"}",
                 "{\"a\":{\"$binary\":{\"base64\":\"\",\"subType\":\"00\"}},"
                 "\"b\":{\"$binary\":{\"base64\":\"AA==\",\"subType\":\"00\"}},"
                 "\"c\":{\"$binary\":{\"base64\":\"AAE=\",\"subType\":\"80\"}},"
                 "\"d\":{\"$binary\":{\"base64\":\"AAEC\",\"subType\":\"00\"}}}");
    check_styles(BCON_NEW("u", BCON_BIN(BSON_SUBTYPE_UUID, bytes, 16)),
                 "{\"u\":\"00010203-0405-0607-0809-0a0b0c0d0eff\"}",
                 "{\"u\":{\"$binary\":{\"base64\":\"AAECAwQFBgcICQoLDA0O/w==\",\"subType\":\"04\"}}}");
}

static void check_double(double value, const char *expected)
{
    struct buffer out = BUFFER_INIT;
    json_append_double(&out, value);
    assert_string_equal(buffer_text(&out), expected);
    double back = strtod(buffer_text(&out), NULL);
    assert_memory_equal(&back, &value, sizeof value);
    buffer_fini(&out);
}

static void test_doubles(void **state)
{
    (void)state;
    check_double(0, "0.0");
    check_double(-0.0, "-0.0");
    check_double(1, "1.0");
    check_double(-1.5, "-1.5");
    check_double(0.1, "0.1");
    check_double(1.234, "1.234");
    check_double(0.000001, "0.000001");
    check_double(-123456.789012, "-123456.789012");
    check_double(999999999999999, "999999999999999.0");
    check_double(1e15, "1e+15");
    check_double(9007199254740992, "9007199254740992.0");
    check_double(1.0 / 3, "0.3333333333333333");
    check_double(0.1 + 0.2, "0.30000000000000004");
    check_double(5e-324, "4.94065645841247e-324");
    check_double(1.7976931348623157e308, "1.7976931348623157e+308");
    check_styles(BCON_NEW("a", BCON_DOUBLE(NAN), "b", BCON_DOUBLE(INFINITY), "c", BCON_DOUBLE(-INFINITY)),
                 "{\"a\":null,\"b\":null,\"c\":null}",
                 "{\"a\":{\"$numberDouble\":\"NaN\"},\"b\":{\"$numberDouble\":\"Infinity\"},"
                 "\"c\":{\"$numberDouble\":\"-Infinity\"}}");
}

static void test_strings_of_every_length(void **state)
{
    (void)state;
    const char *specials[] = {"\"", "\\", "\x7f", "\x1f", "\xc3\xbc", "\xff", " ", "~", "!", "#", "[", "]"};
    char text[64];
    for (size_t len = 0; len < 40; len++) {
        for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++) {
            struct buffer fast = BUFFER_INIT, slow = BUFFER_INIT;
            memset(text, 'a', len);
            strcpy(text + len, specials[i]);
            strcat(text, "tail tail");
            json_append_string(&fast, text, strlen(text));
            buffer_append_byte(&slow, '"');
            buffer_append_json(&slow, text, strlen(text));
            buffer_append_byte(&slow, '"');
            assert_string_equal(buffer_text(&fast), buffer_text(&slow));
            buffer_fini(&fast);
            buffer_fini(&slow);
        }
    }
}

/* only and omit: JSON arrays or NULL. */
static void check_filter(const char *only, const char *omit, const char *source, const char *expected)
{
    json_t *only_tree = only ? tree(only) : NULL, *omit_tree = omit ? tree(omit) : NULL;
    struct bson_json_filter *filter = bson_json_filter_new(only_tree, omit_tree);
    bson_t *bson = document(source);
    char *text = document_quotes(expected);
    check(bson, &(struct bson_json_options){.filter = filter}, 0, text);
    free(text);
    bson_destroy(bson);
    bson_json_filter_free(filter);
    json_decref(only_tree);
    json_decref(omit_tree);
}

static void test_filters(void **state)
{
    (void)state;
    const char *d = "{'_id':1,'a':{'b':1,'c':2},'s':[{'b':1,'c':2},5,[{'c':3}]],'x.y':7,'z':0}";
    check_filter(NULL, NULL, d, d);
    check_filter("['z']", NULL, d, "{'_id':1,'z':0}");
    check_filter("['a.b','a']", NULL, d, "{'_id':1,'a':{'b':1,'c':2}}");
    check_filter("['a.b','z.q']", NULL, d, "{'_id':1,'a':{'b':1}}");
    check_filter("['s.c']", NULL, d, "{'_id':1,'s':[{'c':2},[{'c':3}]]}");
    check_filter("['x.y']", NULL, d, "{'_id':1,'x.y':7}");
    check_filter(NULL, "['_id','a','s']", d, "{'x.y':7,'z':0}");
    check_filter(NULL, "['a.b','s.c','x.y','z.q']", d, "{'_id':1,'a':{'c':2},'s':[{'b':1},5,[{}]],'z':0}");
    check_filter(NULL, "['x']", d, "{'_id':1,'a':{'b':1,'c':2},'s':[{'b':1,'c':2},5,[{'c':3}]],'z':0}");
    check_filter("['a._id']", NULL, "{'_id':1,'a':{'_id':2,'b':3}}", "{'_id':1,'a':{'_id':2}}");
    check_filter("['a.b']", NULL, "{'_id':1,'a':{'_id':2,'b':3}}", "{'_id':1,'a':{'b':3}}");
}

static void check_keeps(const char *only, const char *omit, const char *path, bool expected)
{
    json_t *only_tree = only ? tree(only) : NULL, *omit_tree = omit ? tree(omit) : NULL;
    struct bson_json_filter *filter = bson_json_filter_new(only_tree, omit_tree);
    assert_int_equal(bson_json_filter_keeps(filter, path, strlen(path)), expected);
    bson_json_filter_free(filter);
    json_decref(only_tree);
    json_decref(omit_tree);
}

static void test_filter_keeps(void **state)
{
    (void)state;
    assert_true(bson_json_filter_keeps(NULL, "a", 1));
    check_keeps("['a.b']", NULL, "a.b", true);
    check_keeps("['a.b']", NULL, "a.b.c", true);
    check_keeps("['a.b']", NULL, "a", false);
    check_keeps("['a.b']", NULL, "c", false);
    check_keeps("['a.b']", NULL, "_id", true);
    check_keeps(NULL, "['a.b']", "a.b", false);
    check_keeps(NULL, "['a.b']", "a.b.c", false);
    check_keeps(NULL, "['a.b']", "a", false);
    check_keeps(NULL, "['a.b']", "a.c", true);
    check_keeps(NULL, "['_id']", "_id", false);
}

static void test_depth(void **state)
{
    (void)state;
    bson_t *bson = document("{'a':{'b':{'c':1}},'l':[[1]],'z':2}");
    check(bson, &(struct bson_json_options){.max_depth = 1}, 0, "{\"a\":null,\"l\":null,\"z\":2}");
    check(bson, &(struct bson_json_options){.max_depth = 2}, 0, "{\"a\":{\"b\":null},\"l\":[null],\"z\":2}");
    check(bson, &(struct bson_json_options){.max_depth = 3}, 0, "{\"a\":{\"b\":{\"c\":1}},\"l\":[[1]],\"z\":2}");
    bson_destroy(bson);
}

/* Each single byte changed: no crash, and valid JSON. */
static void test_broken_documents(void **state)
{
    (void)state;
    bson_t *bson = document("{'s':'text','d':{'a':[1,{'b':true}]},'o':{'$oid':'6b0169cd05060708090a0bff'},"
                            "'r':{'$regularExpression':{'pattern':'p','options':'i'}},"
                            "'b':{'$binary':{'base64':'AAEC','subType':'00'}}}");
    struct bson_json_options options = {.style = JSON_STYLE_PLAIN};
    for (uint32_t i = 4; i < bson->len; i++) {
        for (unsigned change = 1; change < 256; change += 11) {
            uint8_t *bytes = malloc(bson->len);
            memcpy(bytes, bson_get_data(bson), bson->len);
            bytes[i] = (uint8_t)(bytes[i] + change);
            bson_t broken;
            struct buffer out = BUFFER_INIT;
            if (bson_init_static(&broken, bytes, bson->len)) {
                bson_json_append(&out, &broken, &options);
                json_t *value = json_loadb(out.data, out.len, JSON_ALLOW_NUL, NULL);
                if (!value) {
                    fail_msg("byte %u + %u: %s", i, change, buffer_text(&out));
                }
                json_decref(value);
            }
            buffer_fini(&out);
            free(bytes);
        }
    }
    bson_destroy(bson);
}

static void test_corruption_is_told(void **state)
{
    (void)state;
    bson_t *bson = document("{'a':1,'b':{'c':'x'},'d':2}");
    uint8_t *bytes = malloc(bson->len);
    memcpy(bytes, bson_get_data(bson), bson->len);
    bytes[4 + 7] = 0x77; /* the type of b */
    bson_t broken;
    assert_true(bson_init_static(&broken, bytes, bson->len));
    check(&broken, &(struct bson_json_options){.style = JSON_STYLE_PLAIN}, -1, "{\"a\":1}");
    bytes[4 + 7] = 0x03;
    bytes[4 + 7 + 3 + 4] = 0x77; /* the type of c: the rest of the outer document can be read */
    check(&broken, &(struct bson_json_options){.style = JSON_STYLE_PLAIN}, -1, "{\"a\":1,\"b\":{},\"d\":2}");
    free(bytes);
    bson_destroy(bson);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_int64_beyond_doubles),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_rare_types),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_strings_of_every_length),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_filter_keeps),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_broken_documents),
        cmocka_unit_test(test_corruption_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
