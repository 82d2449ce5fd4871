/*
 * fuzz_event_id - what a client sends as Last-Event-ID: one id, a vector of them, a raw token. Whatever is accepted
 * can be written again and means the same; nothing else than ids is accepted.
 */
#include "event_id.h"
#include "resume_id.h"

#include "must.h"

static struct http_context context;

static void add_sources(void)
{
    static const char tags[] = {'a', 'k', 'z'};
    for (unsigned i = 0; i < sizeof tags; i++) {
        struct source_options options = {.name = "s", .tag = tags[i], .index = i, .journal = {.max_bytes = 1000}};
        context.sources[i] = source_new(&options);
    }
    context.source_count = sizeof tags;
}

static int is_same(struct event_id a, struct event_id b)
{
    return a.cluster_time == b.cluster_time && a.hash == b.hash;
}

static void check_id(const uint8_t *input, size_t len)
{
    char out[EVENT_ID_TEXT_LEN];
    char *text = must_copy(input, len);
    struct event_id id, again;
    if (event_id_parse(text, len, &id) == 0) {
        must(id.cluster_time != 0, "an id without a time");
        must(id.hash >= EVENT_ID_POSITION && id.hash < (int64_t)1 << 48, "a hash that is none");
        size_t n = event_id_format(id, out);
        must(n == (event_id_is_position(id) ? EVENT_ID_POSITION_LEN : EVENT_ID_TEXT_LEN), "its length");
        must(event_id_parse(out, n, &again) == 0 && is_same(id, again), "it does not come back");
        must(len > EVENT_ID_TEXT_LEN || len == n || event_id_is_position(id), "another form");
    }
    free(text);
}

/* All points as a vector. */
static size_t write_vector(const struct resume_id *id, char *out)
{
    size_t len = 0;
    for (unsigned i = 0; i < context.source_count; i++) {
        if (id->points[i].cluster_time) {
            out[len] = '~';
            len += len > 0;
            out[len++] = context.sources[i]->tag;
            len += event_id_format(id->points[i], out + len);
        }
    }
    out[len] = '\0';
    return len;
}

static void check_vector(const uint8_t *input, size_t len)
{
    char again_text[CONTEXT_SOURCES_MAX * (EVENT_ID_TEXT_LEN + 2) + 1];
    char *text = must_copy_text(input, len);
    struct resume_id id, again;
    if (resume_id_parse(text, &context, &id) == 0) {
        size_t used = write_vector(&id, again_text);
        must(resume_id_parse(again_text, &context, &again) == 0, "a vector that is none");
        for (unsigned i = 0; i < context.source_count; i++) {
            must(is_same(id.points[i], again.points[i]), "a point that does not come back");
            must(id.points[i].cluster_time != 0 || id.unknown, "a source without a point");
            resume_id_is_plausible(id.points[i], context.sources[i]);
        }
        must(used > 0 || id.unknown, "an empty one that is complete");
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
    if (!context.source_count) {
        add_sources();
    }
    check_id(input, len);
    check_vector(input, len);
    return 0;
}
