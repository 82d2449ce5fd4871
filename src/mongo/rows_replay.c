/* rows_replay - see rows_replay.h. */
#include "rows_replay.h"

#include "buffer.h"
#include "log.h"
#include "rows_read.h"

enum {
    BUDGET_US = 4500000,  /* the change stream waits meanwhile */
};

static int64_t seconds_of(uint64_t cluster_time)
{
    return (int64_t)(cluster_time >> 32);
}

static struct rows *no_rows(bool complete)
{
    struct rows_parts parts = {.frames = memory_zero(1, sizeof(struct frame *)), .complete = complete};
    return rows_new(&parts);
}

struct rows *rows_replay_read(const struct reader_options *reader, const struct rows_replay_options *options,
                              uint64_t from, uint64_t to)
{
    unsigned index = reader->source->index;
    int64_t from_s = seconds_of(from) - ROWS_AROUND_S;
    struct job_source sources[ROWS_SOURCES_MAX] = {{NULL, NULL}};
    struct rows_read_options read = {
        .sources = sources,
        .source_count = index + 1,
        .build = reader->build,
        .scan_max = options->scan_max,
        .budget_us = BUDGET_US,
    };
    struct rows_request request = {
        .limit = options->max,
        .max_bytes = options->max_bytes,
        .from_ms = from_s > 0 ? from_s * 1000 : 1,
        .to_ms = (seconds_of(to) + ROWS_AROUND_S) * 1000,
        .sources = 1u << index,
        .replay = true,
    };
    struct rows *rows = NULL;
    struct error err;
    if (options->max == 0) {
        return NULL;
    }
    if (to <= from + 1) {
        return no_rows(true); /* the server was wrong: everything comes */
    }
    sources[index] = (struct job_source){reader->database, reader->mappings};
    if (rows_read(&read, &request, &rows, &err) != 0) {
        log_warn("watcher", "source %s: what the collections still hold of the lost span could not be read: %s",
                 reader->source->name, err.text);
        return no_rows(false); /* every reader would ask by itself otherwise, all at once */
    }
    return rows;
}
