/* subscription_grant - what of a subscription is granted, and the test whether a channel is among that (the other half of
 * subscription.h). */
#include "subscription.h"

#include "tailwater/channel.h"

#include <stdlib.h>
#include <string.h>

/* --- the list -------------------------------------------------------------------------------------- */

static int compare_channels(const void *a, const void *b)
{
    const struct subscription_channel *x = a, *y = b;
    if (x->is_pattern != y->is_pattern) {
        return x->is_pattern - y->is_pattern;
    }
    size_t shorter = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->text, y->text, shorter);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* Borrows the text, which lives as long as the subscription. */
static void list_add(struct subscription *s, char *text, size_t len)
{
    if ((s->count & (s->count - 1)) == 0) { /* 0, 1, 2, 4, … */
        s->list = memory_resize(s->list, (s->count ? 2 * s->count : 1) * sizeof *s->list);
    }
    s->list[s->count++] = (struct subscription_channel){text, len, tailwater_channel_is_pattern(text, len)};
}

/* Sorted, without doubles, in the order in which channels are looked up. */
static void list_finish(struct subscription *s)
{
    unsigned kept = 0;
    if (s->count == 0) {
        return;
    }
    qsort(s->list, s->count, sizeof *s->list, compare_channels);
    for (unsigned i = 0; i < s->count; i++) {
        if (kept == 0 || compare_channels(&s->list[i], &s->list[kept - 1]) != 0) {
            s->list[kept++] = s->list[i];
        }
    }
    s->count = kept;
    while (s->exact_count < s->count && !s->list[s->exact_count].is_pattern) {
        s->exact_count++;
    }
}

/* --- granting -------------------------------------------------------------------------------------- */

static bool is_granted_whole(const struct subscription_name *name, char *const *patterns, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (tailwater_pattern_covers(patterns[i], strlen(patterns[i]), name->text, name->len)) {
            return true;
        }
    }
    return false;
}

static void keep_made(struct subscription *s, const char *text, size_t len)
{
    char *copy = memory_copy(text, len);
    s->made = memory_resize(s->made, (s->made_count + 1) * sizeof *s->made);
    s->made[s->made_count++] = copy;
    list_add(s, copy, len);
}

/* The parts of a name that are granted, where it is not granted whole. */
static void grant_parts(struct subscription *s, const struct subscription_name *name, char *const *patterns,
                        unsigned count)
{
    char both[TAILWATER_CHANNEL_MAX];
    for (unsigned i = 0; i < count && s->count <= SUBSCRIPTION_GRANTED_MAX; i++) {
        size_t len = tailwater_pattern_intersect(patterns[i], strlen(patterns[i]), name->text, name->len, both);
        if (len > 0) {
            keep_made(s, both, len);
        }
    }
}

static void grant_name(struct subscription *s, const struct subscription_name *name, char *const *patterns,
                       unsigned count)
{
    if (is_granted_whole(name, patterns, count)) {
        list_add(s, name->text, name->len);
    } else {
        grant_parts(s, name, patterns, count);
    }
}

static bool can_be_produced(const struct http_context *context, const struct subscription_channel *channel)
{
    for (unsigned i = 0; i < context->source_count; i++) {
        if (catalog_can_produce(context->sources[i]->catalog, channel->text, channel->len)) {
            return true;
        }
    }
    return false;
}

static bool some_can_be_produced(const struct subscription *s, unsigned from, const struct http_context *context)
{
    for (unsigned i = from; i < s->count; i++) {
        if (can_be_produced(context, &s->list[i])) {
            return true;
        }
    }
    return false;
}

static void note(char ***names, unsigned *count, char *name)
{
    *names = memory_resize(*names, (*count + 1) * sizeof **names);
    (*names)[(*count)++] = name;
}

int subscription_grant(struct subscription *s, const struct http_context *context, char *const *patterns,
                       unsigned count, const char **code, struct error *err)
{
    for (unsigned i = 0; i < s->name_count;) {
        char *asked = s->names[i].text;
        unsigned before = s->count;
        do { /* with what it was widened to */
            grant_name(s, &s->names[i++], patterns, count);
        } while (i < s->name_count && s->names[i].widened);
        /* Of what is denied nothing is told, not even whether it exists. */
        if (s->count == before) {
            note(&s->denied, &s->denied_count, asked);
        } else if (!some_can_be_produced(s, before, context)) {
            note(&s->unmatched, &s->unmatched_count, asked);
        }
    }
    if (s->count > SUBSCRIPTION_GRANTED_MAX) {
        error_set(err, "channels: with what may be read this makes more than %d patterns; ask for fewer",
                  SUBSCRIPTION_GRANTED_MAX);
        *code = "too_many_channels";
        return -1;
    }
    list_finish(s);
    return 0;
}

void subscription_free(struct subscription *s)
{
    if (!s) {
        return;
    }
    for (unsigned i = 0; i < s->name_count; i++) {
        free(s->names[i].text);
    }
    memory_free_texts(s->made, s->made_count);
    free(s->names);
    free(s->list);
    free(s->denied);
    free(s->unmatched);
    free(s);
}

/* --- asking it ------------------------------------------------------------------------------------- */

bool subscription_has(const struct subscription *s, const char *text, size_t len)
{
    struct subscription_channel key = {(char *)(uintptr_t)text, len, tailwater_channel_is_pattern(text, len)};
    return s->count && bsearch(&key, s->list, s->count, sizeof key, compare_channels);
}

/* Most of what is asked about is there to the letter: two long lists are compared when a grant changes. */
bool subscription_covers(const struct subscription *s, const char *text, size_t len)
{
    if (subscription_has(s, text, len)) {
        return true;
    }
    for (unsigned i = 0; i < s->count; i++) {
        if (tailwater_pattern_covers(s->list[i].text, s->list[i].len, text, len)) {
            return true;
        }
    }
    return false;
}

char **subscription_copy_texts(const struct subscription *s)
{
    char **texts = memory_zero(s->count, sizeof *texts);
    for (unsigned i = 0; i < s->count; i++) {
        texts[i] = memory_copy(s->list[i].text, s->list[i].len);
    }
    return texts;
}

static void append_names(struct buffer *out, const char *member, char *const *names, unsigned count)
{
    buffer_printf(out, ",\"%s\":[", member);
    for (unsigned i = 0; i < count; i++) {
        buffer_append_json_item(out, i, names[i], strlen(names[i]));
    }
    buffer_append_byte(out, ']');
}

void subscription_append_json(const struct subscription *s, struct buffer *out)
{
    buffer_append_text(out, "\"channels\":[");
    for (unsigned i = 0; i < s->count; i++) {
        buffer_append_json_item(out, i, s->list[i].text, s->list[i].len);
    }
    buffer_append_byte(out, ']');
    append_names(out, "denied", s->denied, s->denied_count);
    append_names(out, "unmatched", s->unmatched, s->unmatched_count);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void subscription_append_asked(const struct subscription *s, struct buffer *out)
{
    char **asked = memory_zero(s->name_count, sizeof *asked);
    unsigned count = 0;
    for (unsigned i = 0; i < s->name_count; i++) {
        if (!s->names[i].widened) {
            asked[count++] = s->names[i].text;
        }
    }
    qsort(asked, count, sizeof *asked, compare_texts);
    for (unsigned i = 0; i < count; i++) {
        buffer_append(out, ",", i > 0);
        buffer_append_text(out, asked[i]);
    }
    free(asked);
}

bool subscription_wants(const struct subscription *s, struct slice channel)
{
    struct subscription_channel key = {.text = (char *)(uintptr_t)channel.data, .len = channel.len};
    if (s->exact_count && bsearch(&key, s->list, s->exact_count, sizeof key, compare_channels)) {
        return true;
    }
    for (unsigned i = s->exact_count; i < s->count; i++) {
        if (tailwater_pattern_match(s->list[i].text, s->list[i].len, channel.data, channel.len)) {
            return true;
        }
    }
    return false;
}

bool subscription_may_get(const struct subscription *s, struct slice patterns, struct catalog *catalog)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct subscription_channel *c = &s->list[i];
        if (tailwater_patterns_overlap(patterns.data, patterns.len, c->text, c->len) &&
            catalog_can_produce(catalog, c->text, c->len)) {
            return true;
        }
    }
    return false;
}
