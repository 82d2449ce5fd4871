/* endpoint_admin_facts - GET /admin/sources, /admin/logs/stats and /admin/config: what is known without asking loops. */
#include "endpoints.h"

#include "admin.h"
#include "clock.h"
#include "reply.h"

#include <inttypes.h>

static int64_t figure(const _Atomic uint64_t *at)
{
    return (int64_t)atomic_load_explicit(at, memory_order_relaxed);
}

static void reply(struct loop *loop, struct exchange *x, struct buffer *body)
{
    reply_json(x, &loop->context->settings, 200, body->data, body->len);
    buffer_fini(body);
}

/* --- sources --------------------------------------------------------------------------------------- */

/* {"id":"6b0169cd00000001","time":"2026-…"}, or null. */
static void append_id(struct buffer *out, const char *name, struct event_id id)
{
    char text[EVENT_ID_TEXT_LEN + 1], time[CLOCK_ISO_MAX];
    if (!id.cluster_time || event_id_is_polled(id)) {
        buffer_printf(out, ",\"%s\":null", name);
        return;
    }
    text[event_id_format(id, text)] = '\0';
    clock_format_iso((int64_t)(id.cluster_time >> 32) * 1000, time);
    buffer_printf(out, ",\"%s\":{\"id\":\"%s\",\"time\":\"%s\"}", name, text, time);
}

static void append_position(struct buffer *out, const char *name, uint64_t cluster_time)
{
    append_id(out, name, cluster_time ? event_id_position(cluster_time) : (struct event_id){0, 0});
}

static struct event_id newest_id(struct journal *journal, const struct journal_state *state)
{
    struct frame *frame;
    uint64_t number = state->next - 1;
    if (state->next <= state->first || journal_read(journal, &number, &frame, 1) != 1) {
        return (struct event_id){0, 0};
    }
    struct event_id id = frame->id;
    frame_unref(frame);
    return id;
}

static void append_journal(struct buffer *out, struct source *s)
{
    struct journal_state state;
    journal_state(s->journal, &state);
    append_id(out, "newest", newest_id(s->journal, &state));
    buffer_printf(out, ",\"journal\":{\"events\":%" PRIu64 ",\"bytes\":%zu", state.next - state.first, state.bytes);
    append_position(out, "floor", state.floor);
    append_position(out, "complete", state.complete);
    buffer_append_byte(out, '}');
}

static void append_oplog(struct buffer *out, struct source *s)
{
    int64_t window_s = source_oplog_window_s(s);
    buffer_append_text(out, ",\"oplog\":{\"window_s\":");
    if (window_s < 0) {
        buffer_append_text(out, "null");
    } else {
        buffer_printf(out, "%" PRId64, window_s);
    }
    append_position(out, "first", atomic_load(&s->status.oplog_first));
    append_position(out, "last", atomic_load(&s->status.oplog_last));
    buffer_append_byte(out, '}');
}

static void append_unroutable(struct buffer *out, struct source *s)
{
    struct source_sample samples[SOURCE_SAMPLES];
    unsigned count = source_copy_unroutable(s, samples);
    buffer_printf(out, ",\"unroutable\":{\"count\":%" PRId64 ",\"samples\":[", figure(&s->status.unroutable));
    for (unsigned i = 0; i < count; i++) {
        char time[CLOCK_ISO_MAX];
        clock_format_iso(samples[i].at_ms, time);
        buffer_printf(out, "%s{\"time\":\"%s\"", i ? "," : "", time);
        admin_append_text(out, "text", samples[i].text);
        buffer_append_byte(out, '}');
    }
    buffer_append_text(out, "]}");
}

static void append_notices(struct buffer *out, struct source *s)
{
    struct notice list[NOTICES_MAX];
    size_t count = notices_copy(s->notices, list);
    buffer_append_text(out, ",\"notices\":[");
    for (size_t i = 0; i < count; i++) {
        buffer_printf(out, "%s{\"code\":\"%s\"", i ? "," : "", notice_code_name(list[i].code));
        admin_append_text(out, "subject", list[i].subject);
        admin_append_text(out, "text", list[i].text);
        admin_append_time(out, "since", list[i].since_ms);
        buffer_append_byte(out, '}');
    }
    buffer_append_byte(out, ']');
    notices_release(list, count);
}

static void append_catchup(struct buffer *out, struct source *s)
{
    unsigned sweeps, waiting;
    catchup_count(s->catchup, &sweeps, &waiting);
    buffer_printf(out, ",\"catchup\":{\"sweeps\":%u,\"waiting\":%u,\"opens\":%" PRId64 "}", sweeps, waiting,
                  figure(&s->status.catchup_opens));
}

static void append_state(struct buffer *out, struct source *s)
{
    struct source_status *status = &s->status;
    const char *sentence = source_polling_sentence((enum source_polling)atomic_load(&status->polling));
    int64_t lag_ms = atomic_load(&status->lag_ms);
    admin_append_text(out, "state", source_state_name((enum source_state)atomic_load(&status->state)));
    admin_append_text(out, "mode", sentence ? "polling" : "change_stream");
    admin_append_text(out, "mode_note", sentence);
    buffer_printf(out, ",\"opened\":%s,\"away\":%s,\"warming\":%s", atomic_load(&status->opened) ? "true" : "false",
                  source_is_away(s) ? "true" : "false", atomic_load(&status->warming) ? "true" : "false");
    if (lag_ms < 0) {
        buffer_append_text(out, ",\"lag_ms\":null");
    } else {
        admin_append_number(out, "lag_ms", lag_ms);
    }
}

static void append_counts(struct buffer *out, struct source *s)
{
    char error[256];
    int64_t opens = figure(&s->status.opens);
    source_copy_error(s, error);
    admin_append_number(out, "events", figure(&s->status.events));
    admin_append_number(out, "oversize", figure(&s->status.oversize));
    admin_append_number(out, "losses", figure(&s->status.losses));
    admin_append_number(out, "opens", opens);
    admin_append_number(out, "reconnects", opens > 0 ? opens - 1 : 0);
    admin_append_number(out, "change_streams", figure(&s->status.streams_open));
    admin_append_number(out, "commands", figure(&s->status.commands));
    admin_append_number(out, "command_failures", figure(&s->status.command_failures));
    admin_append_number(out, "errors", figure(&s->status.errors));
    admin_append_text(out, "last_error", error[0] ? error : NULL);
}

static void append_source(struct buffer *out, struct source *s)
{
    buffer_printf(out, "{\"name\":\"%s\",\"tag\":\"%c\"", s->name, s->tag);
    append_state(out, s);
    append_journal(out, s);
    append_oplog(out, s);
    append_catchup(out, s);
    append_counts(out, s);
    append_unroutable(out, s);
    append_notices(out, s);
    buffer_append_byte(out, '}');
}

static const char *grants_state(const struct http_context *context)
{
    static const char *const names[] = {"loading", "current", "stale"};
    return context->grants ? names[grant_book_state(context->grants)] : NULL;
}

void endpoint_admin_sources(struct loop *loop, struct exchange *x, const struct http_alias *alias)
{
    (void)alias;
    struct buffer body = BUFFER_INIT;
    if (!admin_enter(loop, x)) {
        return;
    }
    buffer_append_text(&body, "{\"sources\":[");
    for (unsigned i = 0; i < loop->context->source_count; i++) {
        buffer_append(&body, ",", i > 0);
        append_source(&body, loop->context->sources[i]);
    }
    buffer_append_byte(&body, ']');
    admin_append_text(&body, "grants", grants_state(loop->context));
    buffer_append_text(&body, "}\n");
    reply(loop, x, &body);
}

/* --- totals ---------------------------------------------------------------------------------------- */

static void append_reasons(struct buffer *out, const struct http_counters *c, const char *name, enum reason_kind kind)
{
    const char *code;
    buffer_printf(out, ",\"%s\":{", name);
    for (unsigned i = 0; (code = reason_at(kind, i)); i++) {
        buffer_printf(out, "%s\"%s\":%" PRId64, i ? "," : "", code, figure(&c->reasons.counts[kind][i]));
    }
    buffer_append_byte(out, '}');
}

static void append_totals(struct buffer *out, struct http_context *context)
{
    const struct http_counters *c = &context->counters;
    int64_t events = 0, sent_bytes = 0;
    for (unsigned i = 0; i < context->source_count; i++) {
        events += figure(&context->sources[i]->status.events);
    }
    for (unsigned i = 0; i < context->loop_count; i++) {
        sent_bytes += figure(&context->figures[i].sent_bytes);
    }
    admin_append_number(out, "connections", figure(&c->connections));
    admin_append_number(out, "connections_opened", figure(&c->connections_total));
    admin_append_number(out, "channels", (int64_t)tally_keys(context->channels));
    admin_append_number(out, "events", events);
    admin_append_number(out, "sent_events", figure(&c->deliveries));
    admin_append_number(out, "sent_rows", figure(&c->rows_sent));
    admin_append_number(out, "sent_bytes", sent_bytes);
    admin_append_number(out, "queued_bytes", figure(&c->queued_bytes));
    admin_append_number(out, "published", figure(&c->published));
    admin_append_number(out, "publish_failures", figure(&c->publish_failures));
    admin_append_number(out, "history_requests", figure(&c->history_requests));
    admin_append_number(out, "auth_failures", figure(&c->auth_failures));
    admin_append_number(out, "denied", figure(&c->denied));
    admin_append_number(out, "revocations", figure(&c->revocations));
}

void endpoint_admin_stats(struct loop *loop, struct exchange *x, const struct http_alias *alias)
{
    (void)alias;
    struct buffer body = BUFFER_INIT;
    if (!admin_enter(loop, x)) {
        return;
    }
    buffer_printf(&body, "{\"version\":\"%s\"", loop->context->settings.version);
    append_totals(&body, loop->context);
    append_reasons(&body, &loop->context->counters, "gaps", REASON_GAP);
    append_reasons(&body, &loop->context->counters, "refused", REASON_REFUSED);
    append_reasons(&body, &loop->context->counters, "sent_away", REASON_SENT_AWAY);
    append_reasons(&body, &loop->context->counters, "resumed", REASON_RESUMED);
    buffer_append_text(&body, "}\n");
    reply(loop, x, &body);
}

/* --- configuration --------------------------------------------------------------------------------- */

void endpoint_admin_config(struct loop *loop, struct exchange *x, const struct http_alias *alias)
{
    (void)alias;
    struct buffer body = BUFFER_INIT;
    if (!admin_enter(loop, x)) {
        return;
    }
    shared_text_append(loop->context->config, &body);
    reply(loop, x, &body);
}
