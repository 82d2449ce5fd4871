/*
 * fuzz_filter - level, min_level and q on any line: always an answer, the same for a copy; and on valid JSON the one
 * that a walk through the parsed tree gives. The first byte of an input is the event's level, the second chooses what
 * is asked for; then q up to a line feed, then the line.
 */
#include "filter.h"

#include "must.h"

#include <ctype.h>
#include <jansson.h>

enum { DEPTH_TRUSTED = 200 }; /* deeper than any line of ours */

static struct slice slice_of(const char *data, size_t len)
{
    return (struct slice){data, len};
}

/* --- the oracle ------------------------------------------------------------------------------------ */

static bool text_has(const char *text, size_t len, const char *q)
{
    size_t q_len = strlen(q);
    for (size_t at = 0; at + q_len <= len; at++) {
        size_t same = 0;
        while (same < q_len && tolower((unsigned char)text[at + same]) == tolower((unsigned char)q[same])) {
            same++;
        }
        if (same == q_len) {
            return true;
        }
    }
    return false;
}

static bool value_has(const json_t *value, const char *q, unsigned depth, bool *too_deep)
{
    const char *key;
    json_t *item;
    size_t i;
    bool found = false;
    if (depth > DEPTH_TRUSTED) {
        *too_deep = true;
        return false;
    }
    json_object_foreach((json_t *)(uintptr_t)value, key, item)
    {
        found = value_has(item, q, depth + 1, too_deep) || found;
    }
    json_array_foreach(value, i, item)
    {
        found = value_has(item, q, depth + 1, too_deep) || found;
    }
    return found || (json_is_string(value) && text_has(json_string_value(value), json_string_length(value), q));
}

/* --- one input ------------------------------------------------------------------------------------- */

/* The filter's answer on this tree, written in one of two ways, is the oracle's. */
static void check_tree(struct filter *f, const char *q, const json_t *root, size_t flags)
{
    bool too_deep = false;
    const json_t *data = json_object_get(root, "log_data");
    bool want = data && value_has(data, q, 0, &too_deep);
    char *line = json_dumps(root, JSON_COMPACT | flags);
    if (line && !too_deep) {
        must(filter_passes(f, 0, slice_of(line, strlen(line))) == want, "not what the tree says");
    }
    free(line);
}

static void check_q(const char *q, const char *line, size_t len)
{
    struct error err = {.text = ""};
    struct filter *f = NULL;
    const struct filter_request request = {.q = q};
    if (filter_new(&request, &f, &err) != 0) {
        must(strlen(q) > FILTER_Q_MAX, "a q that is refused");
        return;
    }
    struct filter *copy = filter_copy(f);
    must(filter_passes(f, 0, slice_of(line, len)) == filter_passes(copy, 30, slice_of(line, len)), "a copy differs");
    json_t *root = q[0] ? json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL) : NULL;
    if (json_is_object(root)) {
        check_tree(f, q, root, 0);
        check_tree(copy, q, root, JSON_ENSURE_ASCII);
    }
    json_decref(root);
    filter_free(copy);
    filter_free(f);
}

static void check_levels(const char *text, uint8_t level)
{
    struct error err = {.text = ""};
    struct filter *least = NULL, *one_of = NULL;
    const struct filter_request min = {.min_level = text}, list = {.level = text};
    if (filter_new(&min, &least, &err) == 0) {
        must(filter_passes(least, 0, slice_of("", 0)), "no level does not pass min_level");
        must(!filter_passes(least, level, slice_of("", 0)) || level == 0 || filter_passes(least, 255, slice_of("", 0)),
             "a higher level does not pass");
    } else {
        must(err.text[0] != '\0', "a refusal without a word");
    }
    if (filter_new(&list, &one_of, &err) == 0) {
        must(text[0] == '\0' || !filter_passes(one_of, 0, slice_of("", 0)), "no level passes level");
        filter_passes(one_of, level, slice_of("", 0));
    }
    filter_free(least);
    filter_free(one_of);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
    if (len < 2) {
        return 0;
    }
    const uint8_t *text = input + 2, *feed = memchr(text, '\n', len - 2);
    size_t text_len = feed ? (size_t)(feed - text) : len - 2;
    size_t line_len = feed ? len - 2 - text_len - 1 : 0;
    char *asked = must_copy_text(text, text_len);
    char *line = must_copy(feed ? feed + 1 : text, line_len);
    if (input[1] & 1) {
        check_levels(asked, input[0]);
    } else {
        check_q(asked, line, line_len);
    }
    free(asked);
    free(line);
    return 0;
}
