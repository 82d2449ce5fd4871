/* endpoint_admin_channels - GET /admin/channels: what is subscribed to and what is written. How many subscribe is counted
 * as they come and go; what was written is counted here, over the newest entries of the journals, so that events cost
 * nothing for it. */
#include "endpoints.h"

#include "admin.h"
#include "clock.h"
#include "page.h"
#include "reply.h"
#include "seeded_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    ENTRIES_MAX = 20000, /* of each journal that are looked at: some milliseconds */
    BATCH = 256,
};

struct channel_facts {
    uint64_t events, bytes;
    int64_t last_ms; /* wall clock of its newest event */
    UT_hash_handle hh;
    size_t len;
    char text[];
};

struct census {
    struct http_context *context;
    struct channel_facts *channels;
    uint64_t events;
    int64_t first_ms; /* of the oldest event looked at; 0 = none */
    const char *q;
    struct page page;
};

/* --- what was written ------------------------------------------------------------------------------ */

static struct channel_facts *find(const struct census *c, const char *text, size_t len)
{
    struct channel_facts *facts;
    HASH_FIND(hh, c->channels, text, len, facts);
    return facts;
}

static void count_frame(struct census *c, const struct frame *frame)
{
    struct slice channel = frame_channel(frame);
    struct channel_facts *facts = find(c, channel.data, channel.len);
    if (!facts) {
        facts = memory_zero(1, sizeof *facts + channel.len + 1);
        facts->len = channel.len;
        memcpy(facts->text, channel.data, channel.len);
        HASH_ADD_KEYPTR(hh, c->channels, facts->text, facts->len, facts);
    }
    facts->events++;
    facts->bytes += frame_data(frame).len;
    facts->last_ms = frame->wall_ms > facts->last_ms ? frame->wall_ms : facts->last_ms;
    c->first_ms = c->first_ms == 0 || frame->wall_ms < c->first_ms ? frame->wall_ms : c->first_ms;
    c->events++;
}

static void count_journal(struct census *c, struct journal *journal)
{
    struct frame *frames[BATCH];
    struct journal_state state;
    journal_state(journal, &state);
    uint64_t number = state.next - state.first > ENTRIES_MAX ? state.next - ENTRIES_MAX : state.first;
    while (number < state.next) {
        int n = journal_read(journal, &number, frames, BATCH);
        if (n <= 0) {
            return;
        }
        for (int i = 0; i < n; i++) {
            if (frames[i]->kind == FRAME_EVENT) {
                count_frame(c, frames[i]);
            }
            frame_unref(frames[i]);
        }
    }
}

/* --- rows ------------------------------------------------------------------------------------------ */

static double window_s(const struct census *c)
{
    double seconds = c->first_ms ? (double)(clock_wall_ms() - c->first_ms) / 1000 : 0;
    return seconds > 1 ? seconds : 1;
}

static void write_row(const struct census *c, struct page_row *row)
{
    size_t len = strlen(row->id);
    const struct channel_facts *facts = find(c, row->id, len);
    struct buffer *out = &row->json;
    buffer_append_text(out, "{\"channel\":");
    buffer_append_json_item(out, 0, row->id, len);
    admin_append_number(out, "subscribers", (int64_t)tally_count(c->context->channels, row->id, len));
    buffer_printf(out, ",\"events\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"rate_per_s\":%.3f", facts ? facts->events : 0,
                  facts ? facts->bytes : 0, facts ? (double)facts->events / window_s(c) : 0.0);
    admin_append_time(out, "last_event", facts ? facts->last_ms : 0);
    buffer_append_byte(out, '}');
}

static bool is_meant(const struct census *c, const char *text, size_t len)
{
    return !c->q || memmem(text, len, c->q, strlen(c->q)) != NULL;
}

static void offer_subscribed(const char *key, size_t len, uint64_t count, void *arg)
{
    struct census *c = arg;
    if (is_meant(c, key, len)) {
        page_offer(&c->page, (int64_t)count, key, len, NULL);
    }
}

static void offer_written(struct census *c)
{
    struct channel_facts *facts, *next;
    HASH_ITER(hh, c->channels, facts, next)
    {
        if (is_meant(c, facts->text, facts->len)) {
            page_offer(&c->page, (int64_t)facts->events, facts->text, facts->len, NULL);
        }
    }
}

/* --- the answer ------------------------------------------------------------------------------------ */

static void answer(struct loop *loop, struct exchange *x, struct census *c, bool by_events)
{
    struct buffer body = BUFFER_INIT;
    for (unsigned i = 0; i < loop->context->source_count; i++) {
        count_journal(c, loop->context->sources[i]->journal);
    }
    if (by_events) {
        offer_written(c);
    } else {
        tally_visit(loop->context->channels, offer_subscribed, c);
    }
    for (size_t i = 0; i < c->page.count; i++) {
        write_row(c, &c->page.rows[i]);
    }
    buffer_printf(&body, "{\"looked_at\":{\"events\":%" PRIu64 ",\"seconds\":%.3f},", c->events, window_s(c));
    page_append(&c->page, "channels", &body);
    buffer_append_text(&body, "}\n");
    reply_json(x, &loop->context->settings, 200, body.data, body.len);
    buffer_fini(&body);
}

static void forget(struct census *c)
{
    struct channel_facts *facts, *next;
    HASH_ITER(hh, c->channels, facts, next)
    {
        HASH_DELETE(hh, c->channels, facts);
        free(facts);
    }
    page_fini(&c->page);
}

static int read_question(const struct params *params, struct census *c, bool *by_events, struct error *err)
{
    const char *sort = params_get(params, "sort");
    *by_events = sort && strcmp(sort, "events") == 0;
    c->q = params_get(params, "q");
    if (sort && !*by_events && strcmp(sort, "subscribers") != 0) {
        return error_set(err, "sort: must be subscribers or events");
    }
    return page_init(&c->page, params, err);
}

void endpoint_admin_channels(struct loop *loop, struct exchange *x, const struct http_alias *alias)
{
    (void)alias;
    struct error err;
    struct census c = {.context = loop->context};
    bool by_events = false;
    if (!admin_enter(loop, x)) {
        return;
    }
    struct params *params = params_from_query(exchange_query(x), &err);
    if (params && read_question(params, &c, &by_events, &err) == 0) {
        answer(loop, x, &c, by_events);
    } else {
        reply_problem(x, &loop->context->settings, 400, "invalid_query", err.text);
    }
    forget(&c);
    params_free(params);
}
