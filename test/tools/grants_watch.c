/*
 * grants_watch - a watcher that follows a grants collection, as a filter, for tests in other languages.
 *
 *   grants-watch URI MAPPINGS DATABASE GRANTS MAX_AGE_MS MAX_BYTES WARM_S
 *
 * MAPPINGS is a file with the JSON array of a source's `mappings`, GRANTS is "db.collection". Each frame of the journal
 * is a line {"kind", "time" (16 hex digits), …}: an event has "data", a change of grants "user" (null: all were loaded
 * anew), "patterns" and "as_of". Each line of the input is the name of a user (or empty); its answer is {"kind": "book",
 * "state", "count", "patterns" (null: none), "as_of", "source"}.
 */
#include "grants.h"
#include "json_scalar.h"
#include "mapping_file.h"
#include "source.h"
#include "watcher.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 1024, FRAMES = 64 };

struct tool {
    struct database *database;
    struct mapping_set *mappings;
    struct grant_book *book;
    struct source *source;
    struct mailbox *box;
    uint64_t next; /* entry of the journal */
};

static void print_text(const char *text)
{
    struct buffer out = BUFFER_INIT;
    json_append_string(&out, text, strlen(text));
    printf("%s", buffer_text(&out));
    buffer_fini(&out);
}

static void print_patterns(const struct grant_set *set)
{
    printf(",\"as_of\":\"%016llx\",\"patterns\":[", (unsigned long long)set->time);
    for (unsigned i = 0; i < set->count; i++) {
        printf("%s", i ? "," : "");
        print_text(set->patterns[i]);
    }
    printf("]");
}

static void print_frame(const struct frame *frame)
{
    static const char *const kinds[] = {"event", "loss", "mode", "oversize", "grants"};
    printf("{\"kind\":\"%s\",\"time\":\"%016llx\"", kinds[frame->kind], (unsigned long long)frame->id.cluster_time);
    if (frame->kind == FRAME_EVENT) {
        struct slice data = frame_data(frame);
        printf(",\"data\":%.*s", (int)data.len, data.data);
    } else if (frame->kind == FRAME_GRANTS && frame->grants) {
        printf(",\"user\":");
        print_text(frame->grants->user);
        print_patterns(frame->grants);
    } else if (frame->kind == FRAME_GRANTS) {
        printf(",\"user\":null");
    }
    printf("}\n");
}

static void print_frames(struct tool *t)
{
    struct frame *frames[FRAMES];
    int count;
    while ((count = journal_read(t->source->journal, &t->next, frames, FRAMES)) > 0) {
        for (int i = 0; i < count; i++) {
            print_frame(frames[i]);
            frame_unref(frames[i]);
        }
    }
}

static void print_book(struct tool *t, const char *user)
{
    static const char *const states[] = {"loading", "current", "stale"};
    struct grant_set *set = grant_book_find(t->book, user);
    printf("{\"kind\":\"book\",\"state\":\"%s\",\"count\":%zu", states[grant_book_state(t->book)],
           grant_book_count(t->book));
    if (set) {
        print_patterns(set);
    } else {
        printf(",\"patterns\":null");
    }
    printf(",\"source\":\"%s\"}\n", source_state_name((enum source_state)atomic_load(&t->source->status.state)));
    grant_set_unref(set);
}

/* Until the input ends. */
static void serve(struct tool *t)
{
    char line[LINE_MAX_BYTES];
    struct pollfd waits[2] = {{.fd = 0, .events = POLLIN}, {.fd = mailbox_fd(t->box), .events = POLLIN}};
    setvbuf(stdin, NULL, _IONBF, 0); /* what poll() cannot see is not there */
    while (poll(waits, 2, -1) > 0) {
        mailbox_take(t->box);
        print_frames(t);
        if (waits[0].revents) {
            if (!fgets(line, sizeof line, stdin)) {
                return;
            }
            line[strcspn(line, "\n")] = '\0';
            print_book(t, line);
        }
        fflush(stdout);
    }
}

static struct mapping_set *load_mappings(const char *file, const char *database, const char *grants)
{
    json_error_t where;
    struct mapping_set *set = NULL;
    struct mapping_problem problem;
    const char *const own[] = {grants, NULL};
    json_t *json = json_load_file(file, 0, &where);
    const struct mapping_set_options options = {
        .database = database, .own_namespaces = own, .grants_namespace = grants};
    if (!json || mapping_set_new(json, &options, &set, &problem) < 0) {
        fail(json ? problem.error.text : where.text);
    }
    json_decref(json);
    return set;
}

static void make(struct tool *t, char **argv)
{
    struct error err;
    const struct source_options source = {
        .name = "logs", .tag = 'a', .journal = {.max_bytes = 64 << 20}, .catchup = {1, 1 << 20}};
    t->database = database_new(argv[1], 100, &err);
    if (!t->database) {
        fail(err.text);
    }
    t->mappings = load_mappings(argv[2], argv[3], argv[4]);
    t->book = grant_book_new(atoll(argv[5]) * 1000, (size_t)atoll(argv[6]));
    t->source = source_new(&source);
    t->box = mailbox_new();
    t->next = 1;
    journal_watch(t->source->journal, t->box);
}

static void unmake(struct tool *t)
{
    source_free(t->source);
    grant_book_free(t->book);
    mapping_set_free(t->mappings);
    mailbox_free(t->box);
    database_free(t->database);
}

int main(int argc, char **argv)
{
    struct tool t;
    if (argc != 8) {
        fail("usage: grants-watch URI MAPPINGS DATABASE GRANTS MAX_AGE_MS MAX_BYTES WARM_S");
    }
    database_library_start();
    make(&t, argv);
    const struct watcher_options options = {
        .reader = {.database = t.database, .mappings = t.mappings, .build = {.max_event_bytes = 60000},
                   .source = t.source},
        .may_poll = true,
        .poll_interval_ms = 50,
        .poll_overlap_s = 10,
        .warm = {.seconds = atoll(argv[7]), .bytes = 64 << 20},
        .grants = t.book,
    };
    struct watcher *watcher = watcher_start(&options);
    serve(&t);
    watcher_stop(watcher);
    watcher_join(watcher);
    unmake(&t);
    database_library_stop();
    return 0;
}
