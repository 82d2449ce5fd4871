/*
 * fuzz_bson_json - BSON of any bytes to one line of JSON, to an event, to a frame: another library reads the JSON,
 * the line holds nothing that ends a line or controls a terminal, and the SSE parser gives back that event alone. The
 * first byte of an input chooses style, filter and size; the rest is the document, whose length and last byte are put
 * right unless its top bit is set.
 */
#include "bson_json.h"
#include "event_builder.h"
#include "tailwater/channel.h"
#include "tailwater/sse.h"

#include "must.h"

enum { DOCUMENT_MAX = 16384, DEPTH = 20 };

static const char mapping_text[] = "[{\"collections\":[\"etl*\"],\"channel\":\"logs:etl:{w}:{f|r.id}\","
                                   "\"labels\":{\"service\":\"{$collection}\"}},{\"collections\":[\"*\"],"
                                   "\"channel\":\"{$collection}:{_id}\",\"event\":\"row\",\"omit\":[\"a.b\",\"w\"]}]";

static struct bson_json_filter *only, *omit;
static struct mapping_set *set;

static void set_up(void)
{
    const struct mapping_set_options options = {.database = "shop"};
    struct mapping_problem problem;
    json_t *paths = json_loads("[\"a.b\",\"w\",\"c\"]", 0, NULL);
    json_t *mappings = json_loads(mapping_text, 0, NULL);
    only = bson_json_filter_new(paths, NULL);
    omit = bson_json_filter_new(NULL, paths);
    must(mapping_set_new(mappings, &options, &set, &problem) == 0, "the mappings");
    json_decref(paths);
    json_decref(mappings);
}

/* --- what a line may hold --------------------------------------------------------------------------- */

static void check_line(const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)line[i];
        must(c >= 0x20 && c != 0x7f, "a control character");
        must(c != 0xc2 || i + 1 == len || (unsigned char)line[i + 1] >= 0xa0, "a C1 control character");
        must(i + 2 >= len || (memcmp(line + i, "\xe2\x80\xa8", 3) != 0 && memcmp(line + i, "\xe2\x80\xa9", 3) != 0),
             "a line separator");
    }
    json_t *root = json_loadb(line, len, JSON_ALLOW_NUL, NULL); /* refuses what is not UTF-8 */
    must(json_is_object(root), "it is no JSON object");
    json_decref(root);
}

static void check_json(const bson_t *document, uint8_t choice)
{
    struct buffer line = BUFFER_INIT;
    const struct bson_json_options options = {
        .style = choice & 1 ? JSON_STYLE_RELAXED : JSON_STYLE_PLAIN,
        .max_depth = choice & 2 ? DEPTH : 0,
        .filter = choice & 4 ? only : choice & 8 ? omit : NULL,
    };
    bson_json_append(&line, document, &options);
    check_line(line.data, line.len);
    buffer_fini(&line);
}

/* --- as an event ------------------------------------------------------------------------------------ */

struct expected {
    struct slice event, data;
    unsigned events;
};

static void on_event(void *context, const struct tailwater_sse_event *event)
{
    struct expected *want = context;
    want->events++;
    must(event->id_len == EVENT_ID_TEXT_LEN, "another id");
    must(event->event_len == want->event.len && memcmp(event->event, want->event.data, want->event.len) == 0,
         "another event");
    must(event->data_len == want->data.len && memcmp(event->data, want->data.data, want->data.len) == 0, "other data");
}

static void on_retry(void *context, uint32_t retry_ms)
{
    (void)context;
    (void)retry_ms;
    must(0, "a retry");
}

static void check_frame(struct slice channel, struct slice data)
{
    const struct frame_event event = {.id = {1, 1}, .channel = channel, .event = {"logs", 4}, .data = data};
    const struct tailwater_sse_handler handler = {on_event, on_retry};
    struct expected want = {event.event, data, 0};
    struct frame *frame = frame_new(&event);
    struct slice wire = frame_sse(frame);
    struct tailwater_sse_parser *parser = tailwater_sse_parser_new(SIZE_MAX, &handler, &want);
    must(tailwater_sse_parser_feed(parser, wire.data, wire.len) == TAILWATER_SSE_FED, "the frame is not read");
    must(want.events == 1, "not one event");
    tailwater_sse_parser_free(parser);
    frame_unref(frame);
}

static void check_event(const bson_t *document, uint8_t choice)
{
    struct buffer channel = BUFFER_INIT, line = BUFFER_INIT;
    struct error reason = {.text = ""};
    const struct event_builder_options options = {
        .style = choice & 1 ? JSON_STYLE_RELAXED : JSON_STYLE_PLAIN,
        .max_event_bytes = choice & 16 ? 200 : 60000,
    };
    struct slice collection = choice & 32 ? (struct slice){"etl_logs", 8} : (struct slice){"od:d\n{}", 7};
    struct event_builder *builder = event_builder_new(set, &options);
    enum event_outcome outcome = event_builder_document(builder, (struct slice){"shop", 4}, collection, document, 5,
                                                        choice & 64, &channel, &line, &reason);
    if (outcome == EVENT_BUILT) {
        must(tailwater_channel_problem(channel.data, channel.len, false) == NULL, "a channel that is none");
        check_line(line.data, line.len);
        check_frame((struct slice){channel.data, channel.len}, (struct slice){line.data, line.len});
    } else {
        must(outcome == EVENT_UNROUTABLE && reason.text[0], "lost without a word");
    }
    event_builder_free(builder);
    buffer_fini(&channel);
    buffer_fini(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
    bson_t document;
    if (!set) {
        set_up();
    }
    if (len < 6 || len > DOCUMENT_MAX) {
        return 0;
    }
    uint8_t *bytes = must_copy(input + 1, len - 1);
    uint32_t size = (uint32_t)(len - 1);
    if (!(input[0] & 128)) {
        for (int i = 0; i < 4; i++) {
            bytes[i] = (uint8_t)(size >> (8 * i));
        }
        bytes[size - 1] = 0;
    }
    if (bson_init_static(&document, bytes, size)) {
        check_json(&document, input[0]);
        check_event(&document, input[0]);
    }
    free(bytes);
    return 0;
}
