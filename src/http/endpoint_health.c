/* endpoint_health - GET /health in the shape that existing checks read (CONTRACT section 5). 503 only while draining: a
 * lost MongoDB is "degraded", or a fail-over would take every instance out of its balancer. */
#include "endpoints.h"

#include "clock.h"
#include "probes.h"
#include "reply.h"

#include <string.h>

static bool is_degraded(const struct http_context *context)
{
    for (unsigned i = 0; i < context->source_count; i++) {
        if (!atomic_load(&context->sources[i]->status.opened) || source_is_away(context->sources[i])) {
            return true;
        }
    }
    return context->grants && grant_book_state(context->grants) != GRANTS_CURRENT;
}

/* Every check and, in open mode, everyone reads this: codes and how many, but no names of collections. Those are in the
 * log. */
static void append_notices(struct buffer *out, struct source *source)
{
    struct notice_count counts[NOTICE_CODES];
    char since[CLOCK_ISO_MAX];
    const char *comma = "";
    notices_count(source->notices, counts);
    buffer_append_text(out, "\"notices\":[");
    for (unsigned code = 0; code < NOTICE_CODES; code++) {
        if (counts[code].count == 0) {
            continue;
        }
        clock_format_iso(counts[code].since_ms, since);
        buffer_printf(out, "%s{\"code\":\"%s\",\"count\":%zu,\"since\":\"%s\",\"text\":\"%s\"}", comma,
                      notice_code_name(code), counts[code].count, since, notice_code_text(code));
        comma = ",";
    }
    buffer_append_text(out, "],");
}

/* How it is followed, and where that is not by a change stream, what that means and what to do. */
static void append_mode(struct buffer *out, const struct source *source)
{
    const char *sentence = source_polling_sentence((enum source_polling)atomic_load(&source->status.polling));
    buffer_printf(out, "\"mode\":\"%s\",\"mode_note\":", sentence ? "polling" : "change_stream");
    if (sentence) {
        buffer_printf(out, "\"%s\",", sentence);
    } else {
        buffer_append_text(out, "null,");
    }
}

static bool is_warming(const struct source_status *status)
{
    return atomic_load(&status->warming) && atomic_load(&status->polling) == SOURCE_FOLLOWS_STREAM;
}

static void append_source(struct buffer *out, struct source *source)
{
    struct source_status *status = &source->status;
    char error[256];
    struct journal_state journal;
    source_copy_error(source, error);
    journal_state(source->journal, &journal);
    buffer_printf(out, "{\"name\":\"%s\",\"state\":\"%s\",\"lag_ms\":%lld,\"events\":%llu,\"unroutable\":%llu,"
                       "\"oversize\":%llu,\"losses\":%llu,\"errors\":%llu,\"opens\":%llu,\"catchup_opens\":%llu,"
                       "\"journal_bytes\":%zu,\"oplog_window_s\":%lld,\"warming\":%s,",
                  source->name, source_state_name((enum source_state)atomic_load(&status->state)),
                  (long long)atomic_load(&status->lag_ms), (unsigned long long)atomic_load(&status->events),
                  (unsigned long long)atomic_load(&status->unroutable),
                  (unsigned long long)atomic_load(&status->oversize), (unsigned long long)atomic_load(&status->losses),
                  (unsigned long long)atomic_load(&status->errors), (unsigned long long)atomic_load(&status->opens),
                  (unsigned long long)atomic_load(&status->catchup_opens), journal.bytes,
                  (long long)source_oplog_window_s(source), is_warming(status) ? "true" : "false");
    append_mode(out, source);
    append_notices(out, source);
    buffer_append_text(out, "\"last_error\":");
    if (error[0]) {
        buffer_append_byte(out, '"');
        buffer_append_json(out, error, strlen(error));
        buffer_append_text(out, "\"}");
    } else {
        buffer_append_text(out, "null}");
    }
}

/* Does it know who may read what? null where there is no grants collection. */
static const char *grants_state(const struct http_context *context)
{
    static const char *const names[] = {"\"loading\"", "\"current\"", "\"stale\""};
    return context->grants ? names[grant_book_state(context->grants)] : "null";
}

static uint64_t published(const struct http_context *context)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < context->source_count; i++) {
        sum += atomic_load(&context->sources[i]->status.events);
    }
    return sum;
}

int probes_health(struct http_context *context, struct buffer *out)
{
    struct http_counters *c = &context->counters;
    bool draining = atomic_load(&context->leaving) || atomic_load(&context->draining);
    buffer_printf(out, "{\"status\":\"%s\",\"connections\":%llu,\"channels\":%llu,\"stats\":{\"totalConnections\":%llu,"
                       "\"messagesPublished\":%llu,\"messagesDelivered\":%llu,\"gaps\":%llu,\"refused\":%llu,"
                       "\"queuedBytes\":%llu},\"grants\":%s,\"sources\":[",
                  draining ? "draining" : is_degraded(context) ? "degraded" : "healthy",
                  (unsigned long long)atomic_load(&c->connections), (unsigned long long)tally_keys(context->channels),
                  (unsigned long long)atomic_load(&c->connections_total), (unsigned long long)published(context),
                  (unsigned long long)atomic_load(&c->deliveries), (unsigned long long)atomic_load(&c->gaps),
                  (unsigned long long)atomic_load(&c->refused),
                  (unsigned long long)atomic_load(&c->queued_bytes), grants_state(context));
    for (unsigned i = 0; i < context->source_count; i++) {
        buffer_append(out, ",", i > 0);
        append_source(out, context->sources[i]);
    }
    buffer_printf(out, "],\"open\":%s}\n", context->settings.check_host ? "true" : "false");
    return draining ? 503 : 200;
}

void endpoint_health(struct loop *loop, struct exchange *x, const struct http_alias *alias)
{
    (void)alias;
    struct buffer body = BUFFER_INIT;
    int status = probes_health(loop->context, &body);
    reply_json(x, &loop->context->settings, status, body.data, body.len);
    buffer_fini(&body);
}
