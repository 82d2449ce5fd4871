/*
 * rows_read - src/mongo/rows_read.c as a filter, for tests in other languages.
 *
 *   rows-read URI MAPPINGS DATABASE
 *
 * MAPPINGS is a file with the JSON array of a source's `mappings`. Each line of the input is a request: {"channels",
 * "limit", "max_bytes", "from_ms", "to_ms", "scan_max", "replay", "min_level", "q"}, all optional. Each line of the
 * output is {"rows": [{"hash", "level", "wall_ms", "event", "data"}], "complete", "advice", "covered", "until",
 * "bytes"}, or {"error"}.
 */
#include "database.h"
#include "json_scalar.h"
#include "mapping_file.h"
#include "rows_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 1 << 16, LIMIT_DEFAULT = 10000, BYTES_DEFAULT = 64 << 20 };

static int64_t number(const json_t *line, const char *name, int64_t fallback)
{
    const json_t *value = json_object_get(line, name);
    return value ? json_integer_value(value) : fallback;
}

static struct rows_request *read_request(const json_t *line)
{
    struct error err;
    struct rows_request *request = memory_zero(1, sizeof *request);
    const json_t *channels = json_object_get(line, "channels");
    struct filter_request filter = {
        .min_level = json_string_value(json_object_get(line, "min_level")),
        .q = json_string_value(json_object_get(line, "q")),
    };
    request->channels = memory_zero(json_array_size(channels) + 1, sizeof *request->channels);
    for (size_t i = 0; i < json_array_size(channels); i++) {
        request->channels[request->channel_count++] = memory_text(json_string_value(json_array_get(channels, i)));
    }
    if (filter_new(&filter, &request->filter, &err) != 0) {
        fail(err.text);
    }
    request->limit = (size_t)number(line, "limit", LIMIT_DEFAULT);
    request->max_bytes = (size_t)number(line, "max_bytes", BYTES_DEFAULT);
    request->from_ms = number(line, "from_ms", 0);
    request->to_ms = number(line, "to_ms", 0);
    request->sources = 1;
    request->replay = json_is_true(json_object_get(line, "replay"));
    return request;
}

static void print_row(const struct frame *frame, const char *comma)
{
    struct slice name = frame_event_name(frame), data = frame_data(frame);
    printf("%s{\"hash\":\"%012llx\",\"level\":%u,\"wall_ms\":%lld,\"event\":\"%.*s\",\"data\":%.*s}", comma,
           (unsigned long long)frame->id.hash, (unsigned)frame->level, (long long)frame->wall_ms, (int)name.len,
           name.data, (int)data.len, data.data);
}

static void print_rows(const struct rows *rows)
{
    struct buffer advice = BUFFER_INIT;
    printf("{\"rows\":[");
    for (size_t i = 0; i < rows->count; i++) {
        print_row(rows->frames[i], i ? "," : "");
    }
    if (rows->advice) {
        json_append_string(&advice, rows->advice, strlen(rows->advice));
    }
    printf("],\"complete\":%s,\"advice\":%s,\"covered\":\"%016llx\",\"until\":\"%016llx\",\"bytes\":%zu}\n",
           rows->complete ? "true" : "false", rows->advice ? buffer_text(&advice) : "null",
           (unsigned long long)rows->borders[0].covered, (unsigned long long)rows->borders[0].until, rows->bytes);
    buffer_fini(&advice);
}

static void answer(const struct job_source *source, const char *text)
{
    json_error_t where;
    struct error err;
    struct rows *rows;
    json_t *line = json_loads(text, 0, &where);
    if (!line) {
        fail(where.text);
    }
    struct rows_request *request = read_request(line);
    struct rows_read_options options = {
        .sources = source,
        .source_count = 1,
        .build = {.max_event_bytes = 60000},
        .scan_max = (size_t)number(line, "scan_max", LIMIT_DEFAULT),
    };
    if (rows_read(&options, request, &rows, &err) == 0) {
        print_rows(rows);
        rows_unref(rows);
    } else {
        printf("{\"error\":\"code %d\"}\n", err.code);
    }
    fflush(stdout);
    rows_request_free(request);
    json_decref(line);
}

int main(int argc, char **argv)
{
    static char line[LINE_MAX_BYTES];
    struct error err;
    if (argc != 4) {
        fail("usage: rows-read URI MAPPINGS DATABASE");
    }
    database_library_start();
    struct database *database = database_new(argv[1], 500, &err);
    if (!database) {
        fail(err.text);
    }
    struct mapping_set *set = mapping_file_load(argv[2], argv[3]);
    while (fgets(line, sizeof line, stdin)) {
        answer(&(struct job_source){database, set}, line);
    }
    mapping_set_free(set);
    database_free(database);
    database_library_stop();
    return 0;
}
