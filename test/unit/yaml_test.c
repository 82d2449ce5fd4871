/* yaml - the tree, its lines, and everything that is refused. */
#include "yaml_tree.h"

#include "buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct yaml_tree *parse(const char *text)
{
    struct yaml_tree *tree;
    struct error err;
    if (yaml_tree_parse(text, strlen(text), "t", &tree, &err) != 0) {
        fail_msg("%s: %s", text, err.text);
    }
    return tree;
}

static void refuse_bytes(const char *text, size_t len, const char *sentence)
{
    struct yaml_tree *tree;
    struct error err = {0};
    assert_int_equal(yaml_tree_parse(text, len, "t", &tree, &err), -1);
    assert_null(tree);
    if (!strstr(err.text, sentence)) {
        fail_msg("expected \"%s\" in \"%s\"", sentence, err.text);
    }
}

static void refuse(const char *text, const char *sentence)
{
    refuse_bytes(text, strlen(text), sentence);
}

static void check_json(const char *text, const char *json)
{
    struct yaml_tree *tree = parse(text);
    char *dump = json_dumps(yaml_tree_root(tree), JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    assert_string_equal(dump, json);
    free(dump);
    yaml_tree_free(tree);
}

static void test_scalars(void **state)
{
    (void)state;
    check_json("", "null");
    check_json("# only a comment\n", "null");
    check_json("[~, null, Null, NULL, '', \"null\", nULL]", "[null,null,null,null,\"\",\"null\",\"nULL\"]");
    check_json("[true, True, FALSE, 'true', yes, no, on, Off]",
               "[true,true,false,\"true\",\"yes\",\"no\",\"on\",\"Off\"]");
    check_json("[0, -1, +2, 007, 0x1F, 0o17, '12', 1_000]", "[0,-1,2,7,31,15,\"12\",\"1_000\"]");
    check_json("[9223372036854775807, -9223372036854775808]", "[9223372036854775807,-9223372036854775808]");
    check_json("[1.5, -.5, 2., 1e3, 1.2.3, 127.0.0.1:3002, 1e, e1, '.', '1.5', 0x, 0xg]",
               "[1.5,-0.5,2.0,1000.0,\"1.2.3\",\"127.0.0.1:3002\",\"1e\",\"e1\",\".\",\"1.5\",\"0x\",\"0xg\"]");
    check_json("- |\n  12\n- >\n  a\n  b\n", "[\"12\\n\",\"a b\\n\"]");
    check_json("- -\n- 2026-11-21\n- a:b\n- 10:30\n- 64MiB\n",
               "[[null],\"2026-11-21\",\"a:b\",\"10:30\",\"64MiB\"]");
}

static void test_json_is_yaml(void **state)
{
    (void)state;
    check_json("{\"a\":1,\"b\":[true,null,{\"c\":\"x\\/\\u0041\\n\"}],\"d\":-1.5e3}",
               "{\"a\":1,\"b\":[true,null,{\"c\":\"x/A\\n\"}],\"d\":-1500.0}");
    check_json("{\n\t\"a\": {\n\t\t\"b\": []\n\t}\n}\n", "{\"a\":{\"b\":[]}}");
    check_json("{\"$and\": [{\"level\": {\"$ne\": \"TRACE\"}}]}", "{\"$and\":[{\"level\":{\"$ne\":\"TRACE\"}}]}");
}

static void test_lines(void **state)
{
    (void)state;
    struct yaml_tree *tree = parse("listen: x\n"
                                   "sources:\n"
                                   "  - name: a\n"
                                   "    mappings:\n"
                                   "      - collections: [one,\n"
                                   "          two]\n"
                                   "      - match:\n"
                                   "          level: 1\n"
                                   "          a.b:\n"
                                   "            $ne: 2\n"
                                   "          a: { b: 3 }\n"
                                   "  - name: b\n");
    assert_int_equal(yaml_tree_line(tree, "listen"), 1);
    assert_int_equal(yaml_tree_line(tree, "sources"), 2);
    assert_int_equal(yaml_tree_line(tree, "sources[0].mappings"), 4);
    assert_int_equal(yaml_tree_line(tree, "sources[0].mappings[0].collections[1]"), 6);
    assert_int_equal(yaml_tree_line(tree, "sources[0].mappings[1].match.level"), 8);
    assert_int_equal(yaml_tree_line(tree, "sources[0].mappings[1].match.a.b"), 9);
    assert_int_equal(yaml_tree_line(tree, "sources[0].mappings[1].match.a.b.$ne"), 10);
    assert_int_equal(yaml_tree_line(tree, "sources[1].name"), 12);
    /* What does not exist has the line of what is above it. */
    assert_int_equal(yaml_tree_line(tree, "sources[0].mappings[1].match.level.deeper"), 8);
    assert_int_equal(yaml_tree_line(tree, "sources[1].database"), 12);
    assert_int_equal(yaml_tree_line(tree, "sources[12]"), 2);
    assert_int_equal(yaml_tree_line(tree, "list"), 1);
    assert_int_equal(yaml_tree_line(tree, ""), 1);
    yaml_tree_free(tree);
}

static void test_refused(void **state)
{
    (void)state;
    refuse("a: 1\nb: 2\na: 3\n", "t:3: key \"a\" is given twice (first in line 1)");
    refuse("a: {b: 1, b: 2}\n", "t:1: key \"b\" is given twice");
    refuse("a: &x 1\n", "t:1: anchors");
    refuse("a: 1\nb: *x\n", "t:2: anchors");
    refuse("a: &x [1]\n", "t:1: anchors");
    refuse("a: &x {b: 1}\n", "t:1: anchors");
    refuse("a: 1\n<<: {b: 1}\n", "t:2: merge keys");
    refuse("a: !!int 1\n", "t:1: tags");
    refuse("a: !x {b: 1}\n", "t:1: tags");
    refuse("a: 1\n---\nb: 2\n", "t:2: only one document");
    refuse("? [a]\n: b\n", "t:1: a key must be text");
    refuse("? {a: b}\n: b\n", "a key must be text");
    refuse("'': b\n", "a key must have");
    refuse("a: 9223372036854775808\n", "t:1: the number does not fit");
    refuse("a: 1\nb: 1e999\n", "t:2: the number is not finite");
    refuse("a: [.inf]\n", "not finite");
    refuse("a: -.INF\n", "not finite");
    refuse("a: .nan\n", "not finite");
    refuse("a: \"x\\0y\"\n", "t:1: a text contains a NUL");
    refuse("\"a\\0b\": 1\n", "no NUL");
    refuse("a: [1, 2\nb: 3\n", "t:2:");
    refuse("a: b: c\n", "t:1: mapping values are not allowed");
    refuse("a:\n\tb: 1\n", "t:2:");
    refuse("a: 1\nb: \xff\xfe\n", "t:2:");
    refuse("a: 1\nb: \x01\n", "t:2:");
    refuse_bytes("a: \0", 4, "t:1:");
}

static void test_bounds(void **state)
{
    (void)state;
    struct buffer text = BUFFER_INIT;
    for (int i = 0; i < 64; i++) {
        buffer_append_byte(&text, '[');
    }
    for (int i = 0; i < 64; i++) {
        buffer_append_byte(&text, ']');
    }
    yaml_tree_free(parse(buffer_text(&text)));
    buffer_reset(&text);
    for (int i = 0; i < 100000; i++) {
        buffer_append_byte(&text, i % 2 ? '[' : '\n');
    }
    refuse(buffer_text(&text), "nested deeper than 64 levels");
    buffer_reset(&text);
    for (int i = 0; i < 100000; i++) {
        buffer_append_text(&text, "- ");
    }
    refuse(buffer_text(&text), "nested deeper than 64 levels");
    buffer_reset(&text);
    buffer_append_byte(&text, '[');
    for (int i = 0; i < 70000; i++) {
        buffer_append_text(&text, "1,");
    }
    refuse(buffer_text(&text), "more than 65536 values");
    buffer_reset(&text);
    buffer_printf(&text, "%0*d: 1\n", YAML_TREE_KEY_MAX + 1, 1);
    refuse(buffer_text(&text), "a key must have 1 to 256 bytes");
    buffer_reset(&text);
    memset(buffer_reserve(&text, YAML_TREE_BYTES_MAX + 1), ' ', YAML_TREE_BYTES_MAX + 1);
    text.len = YAML_TREE_BYTES_MAX + 1;
    refuse_bytes(text.data, text.len, "t is larger than 1048576 bytes");
    buffer_fini(&text);
}

static void test_files(void **state)
{
    (void)state;
    struct yaml_tree *tree;
    struct error err;
    assert_int_equal(yaml_tree_read("/nonexistent/x.yaml", &tree, &err), -1);
    assert_string_equal(err.text, "cannot read /nonexistent/x.yaml: No such file or directory");
    assert_int_equal(yaml_tree_read("/", &tree, &err), -1);
    assert_non_null(strstr(err.text, "cannot read /: Is a directory"));
    assert_int_equal(yaml_tree_read("/dev/zero", &tree, &err), -1);
    assert_non_null(strstr(err.text, "is larger than"));
    assert_int_equal(yaml_tree_read("/dev/null", &tree, &err), 0);
    assert_true(json_is_null(yaml_tree_root(tree)));
    assert_int_equal(yaml_tree_line(tree, "x"), 1);
    yaml_tree_free(tree);
    yaml_tree_free(NULL);
}

/* Nothing may crash, whatever the bytes; the sanitizers watch. */
static void test_mutations(void **state)
{
    (void)state;
    static const char seed[] = "listen: 127.0.0.1:3002\nmongodb: { uri: \"mongodb://h/\\u0041\", jobs: 2 }\nsources:\n"
                               "  - name: logs\n    mappings:\n      - collections: [a, 'b', \"c\"]\n"
                               "        match: { level: { $ne: TRACE }, x: [1, 2.5, ~, !a &b *c] }\n"
                               "note: |\n  text\n  more\nfold: >-\n  text\n? key\n: value\n--- x\n...\n%YAML 1.1\n";
    static const char bytes[] = "{}[]:,-?&*!|>'\"%@`#\n\t \\0aZ\x80\xc3\xff";
    uint32_t random = 12345;
    for (int round = 0; round < 20000; round++) {
        char text[sizeof seed];
        memcpy(text, seed, sizeof seed);
        size_t len = sizeof seed - 1;
        for (int edit = 0; edit < 1 + round % 5; edit++) {
            random = random * 1664525u + 1013904223u;
            text[(random >> 8) % len] = bytes[(random >> 20) % (sizeof bytes - 1)];
        }
        len = round % 3 ? len : (random >> 4) % len;
        struct yaml_tree *tree;
        struct error err;
        if (yaml_tree_parse(text, len, "t", &tree, &err) == 0) {
            yaml_tree_line(tree, "sources[0].mappings[0].match.level");
            yaml_tree_free(tree);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars), cmocka_unit_test(test_json_is_yaml), cmocka_unit_test(test_lines),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_bounds),       cmocka_unit_test(test_files),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
