/* stream_frames - see stream_frames.h. */
#include "stream_frames.h"

#include "clock.h"
#include "level.h"
#include "random.h"

#include <string.h>

enum { RETRY_MIN_MS = 500, RETRY_MAX_MS = 60000 };

static const char *const resumed_names[] = {"no", "exact", "overlap", "pending", "gap"};

void stream_frame_append(struct buffer *out, bool ndjson, const char *id, const char *event, const char *data,
                         size_t data_len)
{
    if (ndjson) {
        buffer_append_byte(out, '{');
        if (id) {
            buffer_printf(out, "\"id\":\"%s\",", id);
        }
        buffer_printf(out, "\"event\":\"%s\",\"data\":", event);
        buffer_append(out, data, data_len);
        buffer_append_text(out, "}\n");
        return;
    }
    if (id) {
        buffer_printf(out, "id: %s\n", id);
    }
    buffer_printf(out, "event: %s\ndata: ", event);
    buffer_append(out, data, data_len);
    buffer_append_text(out, "\n\n");
}

static void finish(struct buffer *out, bool ndjson, const char *id, const char *event, struct buffer *data)
{
    stream_frame_append(out, ndjson, id, event, data->data, data->len);
    buffer_fini(data);
}

int64_t stream_retry_jitter(int64_t retry_ms)
{
    int64_t ms = random_between(retry_ms / 2, retry_ms + retry_ms / 2);
    return ms < RETRY_MIN_MS ? RETRY_MIN_MS : ms > RETRY_MAX_MS ? RETRY_MAX_MS : ms;
}

void stream_frame_retry(struct buffer *out, bool ndjson, int64_t retry_ms)
{
    if (!ndjson) {
        buffer_printf(out, "retry: %lld\n", (long long)stream_retry_jitter(retry_ms));
    }
}

void stream_frame_ready(struct buffer *out, bool ndjson, const char *id, const struct ready_facts *facts)
{
    struct buffer data = BUFFER_INIT;
    buffer_printf(&data, "{\"connection_id\":\"%s\",", facts->connection_id);
    subscription_append_json(facts->subscription, &data);
    buffer_printf(&data, ",\"heartbeat_s\":%lld,\"mode\":\"%s\",\"resumed\":\"%s\",\"resume_window_s\":",
                  (long long)facts->heartbeat_s, facts->polls ? "polling" : "change_stream", resumed_names[facts->resumed]);
    if (facts->resume_window_s < 0) {
        buffer_append_text(&data, "null");
    } else {
        buffer_printf(&data, "%lld", (long long)facts->resume_window_s);
    }
    if (facts->renew) {
        buffer_printf(&data, ",\"renew\":\"%s\"}", facts->renew);
    } else {
        buffer_append_text(&data, ",\"renew\":null}");
    }
    finish(out, ndjson, id, "ready", &data);
}

static void append_time(struct buffer *data, const char *name, uint64_t cluster_time)
{
    char text[CLOCK_ISO_MAX];
    if (cluster_time == 0) {
        buffer_printf(data, ",\"%s\":null", name);
        return;
    }
    clock_format_iso((int64_t)(cluster_time >> 32) * 1000, text);
    buffer_printf(data, ",\"%s\":\"%s\"", name, text);
}

void stream_frame_gap(struct buffer *out, bool ndjson, const char *id, const struct gap_facts *facts)
{
    struct buffer data = BUFFER_INIT;
    buffer_printf(&data, "{\"reason\":\"%s\"", facts->reason);
    append_time(&data, "from", facts->from);
    append_time(&data, "to", facts->to);
    buffer_printf(&data, ",\"replayed\":%llu,\"complete\":%s}", (unsigned long long)facts->replayed,
                  facts->complete ? "true" : "false");
    finish(out, ndjson, id, "gap", &data);
}

void stream_frame_caught_up(struct buffer *out, bool ndjson, const char *id, const struct caught_up_facts *facts)
{
    struct buffer data = BUFFER_INIT;
    buffer_printf(&data, "{\"events\":%llu,\"rows\":%llu,\"complete\":%s,\"resumed\":\"%s\"",
                  (unsigned long long)facts->events, (unsigned long long)facts->rows,
                  facts->complete ? "true" : "false", resumed_names[facts->resumed]);
    if (facts->advice) {
        buffer_append_text(&data, ",\"advice\":");
        buffer_append_json_item(&data, 0, facts->advice, strlen(facts->advice));
    }
    buffer_append_byte(&data, '}');
    finish(out, ndjson, id, "caught-up", &data);
}

void stream_frame_heartbeat(struct buffer *out, bool ndjson, const char *id, struct source *const *sources,
                            unsigned count)
{
    struct buffer data = BUFFER_INIT;
    char now[CLOCK_ISO_MAX];
    clock_format_iso(clock_wall_ms(), now);
    buffer_printf(&data, "{\"time\":\"%s\",\"sources\":[", now);
    for (unsigned i = 0; i < count; i++) {
        const struct source_status *status = &sources[i]->status;
        int64_t contact_us = atomic_load(&status->contact_us);
        int64_t silent_ms = contact_us ? (clock_mono_us() - contact_us) / 1000 : -1;
        buffer_append(&data, ",", i > 0);
        buffer_printf(&data, "{\"name\":\"%s\",\"state\":\"%s\",\"lag_ms\":", sources[i]->name,
                      source_state_name((enum source_state)atomic_load(&status->state)));
        int64_t lag_ms = atomic_load(&status->lag_ms);
        if (lag_ms < 0) {
            buffer_append_text(&data, "null");
        } else {
            buffer_printf(&data, "%lld", (long long)lag_ms);
        }
        buffer_printf(&data, ",\"silent_ms\":%lld}", (long long)silent_ms);
    }
    buffer_append_text(&data, "]}");
    finish(out, ndjson, id, "heartbeat", &data);
}

void stream_frame_skipped(struct buffer *out, bool ndjson, const struct throttle *throttle)
{
    struct buffer data = BUFFER_INIT;
    const char *separator = "";
    buffer_printf(&data, "{\"events\":%llu,\"levels\":{", (unsigned long long)throttle->skipped);
    for (uint8_t i = 0; i < THROTTLE_LEVELS; i++) {
        if (throttle->by_level[i]) {
            buffer_printf(&data, "%s\"%s\":%u", separator, level_name((uint8_t)(i * 10)), throttle->by_level[i]);
            separator = ",";
        }
    }
    buffer_append_text(&data, "}}");
    finish(out, ndjson, NULL, "skipped", &data);
}

void stream_frame_source(struct buffer *out, bool ndjson, const char *name, bool available)
{
    struct buffer data = BUFFER_INIT;
    buffer_printf(&data, "{\"name\":\"%s\",\"state\":\"%s\"}", name, available ? "back" : "away");
    finish(out, ndjson, NULL, "source", &data);
}

void stream_frame_revoked(struct buffer *out, bool ndjson, const char *channels)
{
    struct buffer data = BUFFER_INIT;
    buffer_append_text(&data, "{\"channels\":[");
    buffer_append_text(&data, channels);
    buffer_append_text(&data, "]}");
    finish(out, ndjson, NULL, "revoked", &data);
}

/* A last frame: when to come back stands in its data, and as retry: for browsers. takes `data`. */
static void finish_with_retry(struct buffer *out, bool ndjson, const char *event, struct buffer *data, int64_t retry_ms)
{
    if (!ndjson) {
        buffer_printf(out, "retry: %lld\n", (long long)retry_ms);
    }
    finish(out, ndjson, NULL, event, data);
}

void stream_frame_goaway(struct buffer *out, bool ndjson, const char *reason, int64_t reconnect_ms)
{
    struct buffer data = BUFFER_INIT;
    buffer_printf(&data, "{\"reason\":\"%s\",\"reconnect_ms\":%lld}", reason, (long long)reconnect_ms);
    finish_with_retry(out, ndjson, "goaway", &data, reconnect_ms);
}

void stream_frame_refused(struct buffer *out, bool ndjson, const char *code, int64_t retry_ms)
{
    struct buffer data = BUFFER_INIT;
    buffer_printf(&data, "{\"code\":\"%s\",\"retry_ms\":%lld}", code, (long long)retry_ms);
    finish_with_retry(out, ndjson, "refused", &data, retry_ms);
}
