/* frame - see frame.h. */
#include "frame.h"

#include "buffer.h"
#include "grants.h"
#include "rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct frame *frame_alloc(enum frame_kind kind, struct event_id id, struct slice channel, size_t wire_bytes)
{
    struct frame *f = memory_new(sizeof *f + channel.len + wire_bytes);
    memset(f, 0, sizeof *f);
    atomic_init(&f->refs, 1);
    f->kind = (uint8_t)kind;
    f->id = id;
    f->channel_len = (uint16_t)channel.len;
    f->chunk_len = (uint32_t)wire_bytes;
    if (channel.len) {
        memcpy(f->bytes, channel.data, channel.len);
    }
    return f;
}

/* noinline: gcc 12 with -fsanitize would otherwise believe that the flexible array has no room. */
__attribute__((noinline)) static char *put(char *at, const void *data, size_t len)
{
    memcpy(at, data, len);
    return at + len;
}

struct frame *frame_new(const struct frame_event *event)
{
    char id[EVENT_ID_TEXT_LEN];
    size_t id_len = event->without_id ? 0 : event_id_format(event->id, id);
    size_t id_line_len = id_len ? strlen("id: ") + id_len + 1 : 0;
    size_t body_len = strlen("event: ") + event->event.len + strlen("\ndata: ") + event->data.len + strlen("\n\n");
    size_t sse_len = id_line_len + body_len;
    char size_line[20];
    size_t size_len = (size_t)snprintf(size_line, sizeof size_line, "%zx\r\n", sse_len);

    struct frame *f = frame_alloc(FRAME_EVENT, event->id, event->channel, size_len + sse_len + 2);
    f->level = event->level;
    f->wall_ms = event->wall_ms;
    char *wire = f->bytes + f->channel_len;
    char *at = put(wire, size_line, size_len);
    f->sse_at = (uint32_t)(at - wire);
    if (id_len) {
        at = put(at, "id: ", 4);
        at = put(at, id, id_len);
        at = put(at, "\n", 1);
    }
    f->body_at = (uint32_t)(at - wire);
    at = put(at, "event: ", 7);
    at = put(at, event->event.data, event->event.len);
    at = put(at, "\ndata: ", 7);
    f->data_at = (uint32_t)(at - wire);
    f->data_len = (uint32_t)event->data.len;
    at = put(at, event->data.data, event->data.len);
    put(at, "\n\n\r\n", 4);
    return f;
}

struct frame *frame_new_loss(uint64_t from, struct event_id to, struct rows *rows)
{
    struct frame *f = frame_alloc(FRAME_LOSS, to, (struct slice){NULL, 0}, 0);
    f->gap_from = from;
    f->rows = rows;
    return f;
}

struct frame *frame_new_mode(struct event_id at)
{
    return frame_alloc(FRAME_MODE, at, (struct slice){NULL, 0}, 0);
}

struct frame *frame_new_oversize(struct event_id id, struct slice patterns)
{
    return frame_alloc(FRAME_OVERSIZE, id, patterns, 0);
}

struct frame *frame_new_grants(struct event_id id, struct grant_set *grants)
{
    struct frame *f = frame_alloc(FRAME_GRANTS, id, (struct slice){NULL, 0}, 0);
    f->grants = grants;
    return f;
}

struct frame *frame_ref(struct frame *frame)
{
    atomic_fetch_add_explicit(&frame->refs, 1, memory_order_relaxed);
    return frame;
}

void frame_unref(struct frame *frame)
{
    if (frame && atomic_fetch_sub_explicit(&frame->refs, 1, memory_order_acq_rel) == 1) {
        rows_unref(frame->rows);
        grant_set_unref(frame->grants);
        free(frame);
    }
}

size_t frame_cost(const struct frame *frame)
{
    return sizeof *frame + frame->channel_len + frame->chunk_len + (frame->rows ? frame->rows->bytes : 0) +
           (frame->grants ? grant_set_cost(frame->grants) : 0);
}
