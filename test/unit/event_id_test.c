/* event_id - text and back, raw tokens, hostile input, and what goes into the hash. */
#include "event_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static int parse(const char *text, struct event_id *id)
{
    return event_id_parse(text, strlen(text), id);
}

static void expect_text(struct event_id id, const char *text)
{
    char out[EVENT_ID_TEXT_LEN + 1] = {0};
    struct event_id back;
    assert_int_equal(event_id_format(id, out), strlen(text));
    assert_memory_equal(out, text, strlen(text));
    assert_int_equal(parse(text, &back), 0);
    assert_true(back.cluster_time == id.cluster_time && back.hash == id.hash);
}

static void test_text(void **state)
{
    (void)state;
    expect_text((struct event_id){0x6b0169cd00000001, 0x5f3a9c1e0011}, "6b0169cd00000001-5f3a9c1e0011");
    expect_text((struct event_id){1, 0}, "0000000000000001-000000000000");
    expect_text((struct event_id){UINT64_MAX, 0xffffffffffff}, "ffffffffffffffff-ffffffffffff");
    expect_text(event_id_position(0x6b0169cd00000001), "6b0169cd00000001");
    assert_int_equal(event_id_seconds(event_id_position(0x6b0169cd00000001)), 0x6b0169cd);
}

static void test_upper_case(void **state)
{
    (void)state;
    struct event_id id;
    assert_int_equal(parse("6B0169CD00000001-5F3A9C1E0011", &id), 0);
    assert_true(id.cluster_time == 0x6b0169cd00000001 && id.hash == 0x5f3a9c1e0011);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "0",
        "0000000000000000",               /* no time */
        "0000000000000000-5f3a9c1e0011",
        "6b0169cd0000000",                /* one short */
        "6b0169cd000000010",              /* one long */
        "6b0169cd00000001-",
        "6b0169cd00000001-5f3a9c1e001",
        "6b0169cd00000001-5f3a9c1e00110",
        "6b0169cd00000001_5f3a9c1e0011",
        "6b0169cd00000001-5f3a9c1e001g",
        "6b0169cd0000000g-5f3a9c1e0011",
        "-6b0169cd0000001",
        "+6b0169cd0000001",
        "0x6b0169cd000001",
        " 6b0169cd0000001",
        "826B0169CD000000012",            /* a token of odd length */
        "836B0169CD000000012B0229296E04", /* not a timestamp */
        "8200000000000000002B0229296E04",
        "826B0169CD000000012B0229296E0G",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct event_id id;
        assert_int_equal(parse(bad[i], &id), -1);
    }
}

/* A real one, of MongoDB 6.0. */
static void test_raw_token(void **state)
{
    (void)state;
    struct event_id id;
    assert_int_equal(parse("826B0169CD000000032B0229296E04", &id), 0);
    assert_true(id.cluster_time == 0x6b0169cd00000003);
    assert_true(event_id_is_position(id));
}

static void test_token_length(void **state)
{
    (void)state;
    struct event_id id;
    char *token = malloc(EVENT_ID_TOKEN_MAX + 2);
    assert_non_null(token);
    memset(token, 'a', EVENT_ID_TOKEN_MAX + 2);
    memcpy(token, "826b0169cd00000003", 18);
    assert_int_equal(event_id_parse(token, EVENT_ID_TOKEN_MAX, &id), 0);
    assert_int_equal(event_id_parse(token, EVENT_ID_TOKEN_MAX + 2, &id), -1);
    assert_int_equal(event_id_parse(token, 18, &id), -1); /* its end mark is missing */
    assert_int_equal(event_id_parse(token, 20, &id), 0);
    assert_int_equal(event_id_parse(token, 20, &id), 0);
    token[19] = '\0';
    assert_int_equal(event_id_parse(token, 20, &id), -1);
    free(token);
}

/* The bytes behind the end are never read: each text lives in memory of exactly its size. */
static void test_every_prefix(void **state)
{
    (void)state;
    const char *text = "6b0169cd00000001-5f3a9c1e0011";
    for (size_t len = 0; len <= strlen(text); len++) {
        struct event_id id;
        char *copy = malloc(len ? len : 1);
        assert_non_null(copy);
        memcpy(copy, text, len);
        bool is_whole = len == EVENT_ID_POSITION_LEN || len == EVENT_ID_TEXT_LEN;
        assert_int_equal(event_id_parse(copy, len, &id), is_whole ? 0 : -1);
        free(copy);
    }
}

static void test_hash(void **state)
{
    (void)state;
    int64_t base = event_id_hash("db.c", 4, "\7key", 4, 'i', 0);
    assert_true(base >= 0 && base <= 0xffffffffffff);
    assert_true(base == event_id_hash("db.c", 4, "\7key", 4, 'i', 0));
    assert_true(base != event_id_hash("db.d", 4, "\7key", 4, 'i', 0));
    assert_true(base != event_id_hash("db.c", 4, "\2key", 4, 'i', 0));
    assert_true(base != event_id_hash("db.c", 4, "\7key", 4, 'r', 0));
    assert_true(base != event_id_hash("db.c", 4, "\7key", 4, 'i', 1));
    assert_true(event_id_hash("db.c", 4, "\7key", 4, 'i', 1) != event_id_hash("db.c", 4, "\7key", 4, 'i', 256));
    /* The border between namespace and key cannot be shifted. */
    assert_true(event_id_hash("ab", 2, "c", 1, 'i', 0) != event_id_hash("a", 1, "bc", 2, 'i', 0));
    assert_true(event_id_hash("", 0, "abc", 3, 'i', 0) != event_id_hash("abc", 3, "", 0, 'i', 0));
}

/* Ids are the same on every instance and in every release: this one may never change. */
static void test_hash_is_fixed(void **state)
{
    (void)state;
    char text[EVENT_ID_TEXT_LEN + 1] = {0};
    const char *key = "\7\1\2\3\4\5\6\7\10\11\12\13\14"; /* an ObjectId */
    struct event_id id = {0x6b0169cd00000001, event_id_hash("logs.etl_logs", 13, key, 13, 'i', 0)};
    event_id_format(id, text);
    assert_string_equal(text, "6b0169cd00000001-4530fa8393fb");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),         cmocka_unit_test(test_upper_case),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_raw_token),    cmocka_unit_test(test_token_length), cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_hash),         cmocka_unit_test(test_hash_is_fixed),
    };
    return cmocka_run_group_tests_name("event_id", tests, NULL, NULL);
}
