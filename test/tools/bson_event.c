/*
 * bson_event - the conversions of src/mongo as a filter, for tests in other languages.
 *
 *   bson-event json [options]                                   a document: its JSON
 *   bson-event event MAPPINGS DATABASE COLLECTION [options]     a document: outcome, channel, data line; TAB between
 *   bson-event change MAPPINGS DATABASE [options]               a change: outcome, id, level, event, channel, data line
 *   bson-event pipeline MAPPINGS DATABASE [--drop-oversize]     the stages as canonical Extended JSON
 *   bson-event filter MAPPINGS DATABASE                         each mapping's find filter, a line each
 *
 * MAPPINGS is a file with the JSON array of a source's `mappings` ("-": the default mapping). Documents come on stdin,
 * each behind its length as four bytes, little-endian. Options: --style plain|relaxed, --only a,b, --omit a,b,
 * --depth N, --max BYTES, --ts MS, --whole, --quiet (no output, for measuring), --repeat N.
 * Bad mappings: exit 78, "path: sentence".
 */
#include "bson_json.h"
#include "clock.h"
#include "event_builder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_CONFIG = 78, DOCUMENT_MAX = 64 << 20 };

struct options {
    struct bson_json_options json;
    size_t max_event_bytes;
    int64_t ts_ms;
    long repeat;
    bool whole, quiet, drop_oversize;
};

struct tool {
    struct options options;
    struct mapping_set *set;
    struct event_builder *builder;
    struct slice database, collection;
    struct buffer channel, line;
};

static json_t *split_list(const char *text)
{
    json_t *list = json_array();
    for (;;) {
        size_t len = strcspn(text, ",");
        json_array_append_new(list, json_stringn(text, len));
        if (text[len] == '\0') {
            return list;
        }
        text += len + 1;
    }
}

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "bson-event: %s\n", what);
    exit(2);
}

static void read_options(struct options *o, char **argv)
{
    json_t *only = NULL, *omit = NULL;
    for (; *argv; argv++) {
        const char *name = *argv;
        if (strcmp(name, "--whole") == 0) {
            o->whole = true;
        } else if (strcmp(name, "--quiet") == 0) {
            o->quiet = true;
        } else if (strcmp(name, "--drop-oversize") == 0) {
            o->drop_oversize = true;
        } else if (!argv[1]) {
            fail("an option lacks its value or is unknown");
        } else if (strcmp(name, "--style") == 0) {
            o->json.style = strcmp(*++argv, "relaxed") == 0 ? JSON_STYLE_RELAXED : JSON_STYLE_PLAIN;
        } else if (strcmp(name, "--only") == 0) {
            only = split_list(*++argv);
        } else if (strcmp(name, "--omit") == 0) {
            omit = split_list(*++argv);
        } else if (strcmp(name, "--depth") == 0) {
            o->json.max_depth = (unsigned)strtoul(*++argv, NULL, 10);
        } else if (strcmp(name, "--max") == 0) {
            o->max_event_bytes = strtoul(*++argv, NULL, 10);
        } else if (strcmp(name, "--ts") == 0) {
            o->ts_ms = strtoll(*++argv, NULL, 10);
        } else if (strcmp(name, "--repeat") == 0) {
            o->repeat = strtol(*++argv, NULL, 10);
        } else {
            fail("unknown option");
        }
    }
    o->json.filter = bson_json_filter_new(only, omit);
    json_decref(only);
    json_decref(omit);
}

static void load_mappings(struct tool *t, const char *file, const char *database)
{
    json_error_t where;
    bool defaults = strcmp(file, "-") == 0;
    json_t *json = defaults ? NULL : json_load_file(file, 0, &where);
    if (!json && !defaults) {
        fail(where.text);
    }
    static const char *const own[] = {"logs.tailwater_events", NULL};
    struct mapping_problem problem;
    const struct mapping_set_options set = {.database = database, .own_namespaces = own};
    int rc = mapping_set_new(json, &set, &t->set, &problem);
    json_decref(json);
    if (rc < 0) {
        printf("%s: %s\n", problem.path, problem.error.text);
        exit(EXIT_CONFIG);
    }
    struct event_builder_options options = {t->options.json.style, t->options.max_event_bytes,
                                            t->options.json.max_depth};
    t->builder = event_builder_new(t->set, &options);
    t->database = (struct slice){database, strlen(database)};
}

/* --- one document ------------------------------------------------------------------------------- */

static void put(const struct tool *t, const char *data, size_t len)
{
    if (!t->options.quiet) {
        fwrite(data, 1, len, stdout);
    }
}

static void show_json(struct tool *t, const bson_t *document)
{
    buffer_reset(&t->line);
    bson_json_append(&t->line, document, &t->options.json);
    buffer_append_byte(&t->line, '\n');
    put(t, t->line.data, t->line.len);
}

static const char *const outcomes[] = {"built", "uncovered", "unroutable", "oversize"};

static void show_event(struct tool *t, const bson_t *document)
{
    struct error reason = {.text = ""};
    buffer_reset(&t->channel);
    buffer_reset(&t->line);
    enum event_outcome outcome =
        event_builder_document(t->builder, t->database, t->collection, document, t->options.ts_ms, t->options.whole,
                               &t->channel, &t->line, &reason);
    if (t->options.quiet) {
        return;
    }
    printf("%s\t%s\t", outcomes[outcome], buffer_text(&t->channel));
    put(t, t->line.data, t->line.len);
    printf("%s\n", outcome == EVENT_UNROUTABLE ? reason.text : "");
}

static void show_change(struct tool *t, const bson_t *change)
{
    struct error reason = {.text = ""};
    struct frame *frame;
    struct change parts;
    change_read(change, &parts);
    enum event_outcome outcome = event_builder_change(t->builder, &parts, &frame, &reason);
    if (!t->options.quiet && frame) {
        char id[EVENT_ID_TEXT_LEN];
        size_t id_len = event_id_format(frame->id, id);
        struct slice channel = frame_channel(frame);
        bool event = frame->kind == FRAME_EVENT;
        struct slice name = event ? frame_event_name(frame) : (struct slice){"", 0};
        struct slice data = event ? frame_data(frame) : (struct slice){"", 0};
        printf("%s\t%.*s\t%d\t%.*s\t%.*s\t", outcomes[outcome], (int)id_len, id, frame->level, (int)name.len, name.data,
               (int)channel.len, channel.data);
        put(t, data.data, data.len);
        printf("\n");
    } else if (!t->options.quiet) {
        printf("%s\t%s\n", outcomes[outcome], reason.text);
    }
    frame_unref(frame);
}

static bool read_document(uint8_t **data, uint32_t *len)
{
    uint8_t head[4];
    if (fread(head, 1, 4, stdin) != 4) {
        return false;
    }
    *len = (uint32_t)head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 24;
    if (*len > DOCUMENT_MAX) {
        fail("a document is too long");
    }
    *data = malloc(*len ? *len : 1); /* of exactly its size, so that a sanitizer sees every step beyond it */
    if (!*data || fread(*data, 1, *len, stdin) != *len) {
        fail("the input ends within a document");
    }
    return true;
}

static void each_document(struct tool *t, void (*show)(struct tool *, const bson_t *))
{
    uint8_t *data;
    uint32_t len;
    int64_t start_us = clock_mono_us();
    long count = 0;
    while (read_document(&data, &len)) {
        bson_t document;
        if (!bson_init_static(&document, data, len)) {
            printf("null\n");
        } else {
            for (long i = 0; i < t->options.repeat; i++, count++) {
                show(t, &document);
            }
        }
        free(data);
    }
    if (t->options.quiet && count) {
        printf("%.3f us a document\n", (double)(clock_mono_us() - start_us) / (double)count);
    }
}

static void show_pipeline(const struct tool *t)
{
    bson_t stages = BSON_INITIALIZER;
    mapping_set_pipeline(t->set, t->options.drop_oversize, false, &stages);
    char *text = bson_as_canonical_extended_json(&stages, NULL);
    printf("%s\n", text);
    bson_free(text);
    bson_destroy(&stages);
}

static void show_filters(const struct tool *t)
{
    for (size_t i = 0; i < mapping_set_count(t->set); i++) {
        const bson_t *filter = mapping_filter(mapping_set_at(t->set, i));
        char *text = filter ? bson_as_canonical_extended_json(filter, NULL) : NULL;
        printf("%s\n", text ? text : "null");
        bson_free(text);
    }
}

static void run(struct tool *t, const char *mode)
{
    if (strcmp(mode, "json") == 0) {
        each_document(t, show_json);
    } else if (strcmp(mode, "event") == 0) {
        each_document(t, show_event);
    } else if (strcmp(mode, "change") == 0) {
        each_document(t, show_change);
    } else if (strcmp(mode, "pipeline") == 0) {
        show_pipeline(t);
    } else {
        show_filters(t);
    }
}

/* How many arguments stand between the mode and its options, or -1 when there is no such mode. */
static int mode_arguments(const char *mode)
{
    static const struct {
        const char *name;
        int arguments;
    } modes[] = {{"json", 0}, {"event", 3}, {"change", 2}, {"pipeline", 2}, {"filter", 2}};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(modes[i].name, mode) == 0) {
            return modes[i].arguments;
        }
    }
    return -1;
}

int main(int argc, char **argv)
{
    struct tool tool = {.options = {.max_event_bytes = 60000, .repeat = 1}};
    int arguments = argc > 1 ? mode_arguments(argv[1]) : -1;
    if (arguments < 0 || argc < 2 + arguments) {
        fail("usage: json|event|change|pipeline|filter … (see the head of the source)");
    }
    read_options(&tool.options, argv + 2 + arguments);
    if (arguments > 0) {
        load_mappings(&tool, argv[2], argv[3]);
    }
    if (arguments > 2) {
        tool.collection = (struct slice){argv[4], strlen(argv[4])};
    }
    run(&tool, argv[1]);
    event_builder_free(tool.builder);
    mapping_set_free(tool.set);
    bson_json_filter_free((struct bson_json_filter *)(uintptr_t)tool.options.json.filter);
    buffer_fini(&tool.channel);
    buffer_fini(&tool.line);
    return 0;
}
