/* model_stream - see model_stream.h. */
#include "model_stream.h"

#include <stdlib.h>
#include <string.h>

enum { PULL_FRAMES = 5 };

/* --- writing ------------------------------------------------------------------------------------------ */

static struct event_id mark_of(const struct model_stream *s)
{
    return feed_mark(&s->feed, &s->loop->cursor);
}

static void write_item(struct model_stream *s, struct model_item item)
{
    if (s->queue_count == MODEL_QUEUE_MAX) {
        model_fail(s->loop->world, "connection %u: its queue is not bounded", (unsigned)s->number);
    }
    s->queue[(s->queue_first + s->queue_count++) % MODEL_QUEUE_MAX] = item;
}

static void write_event(struct model_stream *s, const struct frame *frame)
{
    write_item(s, (struct model_item){.kind = ITEM_EVENT, .id = frame->id, .overlap = s->feed.overlap});
    s->feed.last = frame->id;
    s->events++;
}

static void write_gap(struct model_stream *s, const struct frame *frame)
{
    uint64_t start = s->feed.last.cluster_time;
    write_item(s, (struct model_item){.kind = ITEM_GAP,
                                      .id = frame->id,
                                      .from = start > frame->gap_from ? start : frame->gap_from,
                                      .to = frame->id.cluster_time});
    s->feed.last = frame->id;
}

static bool wants(const struct model_stream *s, const struct frame *frame)
{
    return s->channels >> (frame_channel(frame).data[0] - '0') & 1;
}

static void deliver(struct model_stream *s, const struct frame *frame)
{
    if (feed_skips(&s->feed, frame)) {
        return;
    }
    if (frame->kind == FRAME_LOSS) {
        write_gap(s, frame);
    } else if (wants(s, frame)) {
        write_event(s, frame);
    }
}

/* --- pull ----------------------------------------------------------------------------------------------- */

static bool pull_some(struct model_stream *s)
{
    struct frame *frames[PULL_FRAMES];
    int n = feed_read(&s->feed, &s->loop->cursor, frames, PULL_FRAMES);
    int handled = 0;
    for (; handled < n && s->queue_count < s->pull_max; handled++) {
        deliver(s, frames[handled]);
        feed_passed(&s->feed, frames[handled]);
    }
    feed_unread(&s->feed, n - handled);
    for (int i = 0; i < n; i++) {
        frame_unref(frames[i]);
    }
    return handled > 0;
}

static void pull_feed(struct model_stream *s)
{
    while (s->queue_count < s->pull_max && pull_some(s)) {
    }
}

static void begin_feed(struct model_stream *s, struct event_id point)
{
    if (point.cluster_time) {
        feed_start_at(&s->feed, point);
    } else {
        feed_start_live(&s->feed);
    }
}

static void begin_waiting_feed(struct model_stream *s)
{
    struct journal_state journal;
    if (!atomic_load(&s->feed.source->status.opened)) {
        return;
    }
    struct event_id point = s->feed.last;
    s->feed.last = (struct event_id){0, 0};
    if (point.cluster_time == 0) {
        journal_state(s->feed.source->journal, &journal);
        point = event_id_position(journal.floor);
        s->waited_for = journal.floor;
    }
    begin_feed(s, point);
}

static void pull(struct model_stream *s)
{
    if (s->feed.state == FEED_WAITING) {
        begin_waiting_feed(s);
    }
    pull_feed(s);
    bool live = s->feed.state == FEED_LIVE;
    if (!s->caught_up && live) {
        write_item(s, (struct model_item){.kind = ITEM_CAUGHT_UP, .id = mark_of(s), .overlap = s->feed.overlap});
        s->caught_up = true;
    }
    s->pulling = !live;
}

/* --- push ------------------------------------------------------------------------------------------------ */

static void fall_back(struct model_stream *s, uint64_t number, struct event_id before)
{
    if (s->feed.state == FEED_LIVE) {
        feed_fall_back(&s->feed, number, before);
        s->pulling = true;
        s->loop->world->stats->fall_backs++;
    }
}

static void push(struct model_stream *s, struct frame *frame, uint64_t number, struct event_id before)
{
    bool is_live = s->feed.state == FEED_LIVE && number >= s->feed.number && !feed_skips(&s->feed, frame);
    if (!is_live || (frame->kind == FRAME_EVENT && !wants(s, frame))) {
        return;
    }
    if (frame->kind == FRAME_EVENT && s->queue_count > s->queue_max) {
        fall_back(s, number, before);
        return;
    }
    deliver(s, frame);
}

/* --- the loop ---------------------------------------------------------------------------------------------- */

void model_loop_init(struct model_loop *loop, struct model_world *world)
{
    memset(loop, 0, sizeof *loop);
    loop->world = world;
    loop->box = mailbox_new();
    loop->cursor.number = 1;
    journal_watch(world->source->journal, loop->box);
}

static struct model_stream *find_stream(struct model_loop *loop, uint64_t number)
{
    for (int i = 0; i < MODEL_CLIENTS_MAX; i++) {
        if (loop->streams[i] && loop->streams[i]->number == number) {
            return loop->streams[i];
        }
    }
    return NULL;
}

static void take_mail(struct model_loop *loop, bool is_over)
{
    struct message *m = mailbox_take(loop->box);
    while (m) {
        struct message *next = m->next;
        struct model_stream *s = is_over ? NULL : find_stream(loop, m->number);
        if (s) {
            feed_offer_sweep(&s->feed, m->object);
            pull(s);
        }
        sweep_unref(m->object);
        free(m);
        m = next;
    }
}

void model_loop_fini(struct model_loop *loop)
{
    take_mail(loop, true);
    mailbox_free(loop->box);
}

static void carry_loss(struct model_loop *loop, uint64_t next)
{
    for (int i = 0; i < MODEL_CLIENTS_MAX; i++) {
        if (loop->streams[i]) {
            fall_back(loop->streams[i], loop->cursor.number, feed_cursor_reached(&loop->cursor));
        }
    }
    loop->cursor.number = next;
    loop->world->stats->carry_losses++;
}

static void carry_entry(struct model_loop *loop, struct frame *frame)
{
    for (int i = 0; i < MODEL_CLIENTS_MAX; i++) {
        if (loop->streams[i]) {
            push(loop->streams[i], frame, loop->cursor.number, feed_cursor_reached(&loop->cursor));
        }
    }
    loop->cursor.last = frame->id;
    loop->cursor.number++;
}

static void carry(struct model_loop *loop)
{
    struct frame *frames[8];
    struct journal_state state;
    struct journal *journal = loop->world->source->journal;
    journal_state(journal, &state);
    while (loop->cursor.number < state.next) {
        if (model_chance(loop->world, 3)) {
            model_watch(loop->world); /* the writer does not wait for us */
        }
        uint64_t number = loop->cursor.number;
        uint64_t left = state.next - number;
        int n = journal_read(journal, &number, frames, left < 8 ? (int)left : 8);
        if (n < 0) {
            carry_loss(loop, state.next);
            break;
        }
        for (int i = 0; i < n; i++) {
            carry_entry(loop, frames[i]);
            frame_unref(frames[i]);
        }
    }
    loop->cursor.complete = state.complete;
}

void model_loop_run(struct model_loop *loop)
{
    take_mail(loop, false);
    carry(loop);
    for (int i = 0; i < MODEL_CLIENTS_MAX; i++) {
        if (loop->streams[i] && loop->streams[i]->pulling) {
            pull(loop->streams[i]);
        }
    }
}

/* --- life ---------------------------------------------------------------------------------------------------- */

static void begin(struct model_stream *s, struct event_id point)
{
    if (atomic_load(&s->feed.source->status.opened)) {
        begin_feed(s, point);
    } else {
        s->feed.state = FEED_WAITING;
        s->feed.last = point;
    }
    write_item(s, (struct model_item){.kind = ITEM_READY, .id = mark_of(s), .overlap = s->feed.overlap});
    pull_feed(s);
    s->caught_up = s->feed.state == FEED_LIVE && s->events == 0;
    if (!s->caught_up) {
        pull(s);
    }
}

void model_stream_open(struct model_stream *s, struct model_loop *loop, struct event_id point)
{
    int place = 0;
    while (loop->streams[place]) {
        place++;
    }
    loop->streams[place] = s;
    s->loop = loop;
    s->number = ++loop->world->connections;
    s->is_open = true;
    s->pulling = s->caught_up = false;
    s->events = 0;
    s->queue_first = s->queue_count = 0;
    s->feed = (struct feed){.source = loop->world->source, .box = loop->box, .connection = s->number};
    begin(s, point);
}

void model_stream_close(struct model_stream *s)
{
    for (int i = 0; i < MODEL_CLIENTS_MAX; i++) {
        if (s->loop->streams[i] == s) {
            s->loop->streams[i] = NULL;
        }
    }
    feed_stop(&s->feed);
    s->is_open = false;
}

bool model_stream_receive(struct model_stream *s, struct model_item *item)
{
    if (s->queue_count == 0) {
        return false;
    }
    *item = s->queue[s->queue_first];
    s->queue_first = (s->queue_first + 1) % MODEL_QUEUE_MAX;
    s->queue_count--;
    if (s->pulling && s->queue_count < s->pull_max / 2) {
        pull(s); /* drained below the low mark */
    }
    return true;
}

void model_stream_heartbeat(struct model_stream *s)
{
    if (s->queue_count <= s->queue_max) {
        write_item(s, (struct model_item){.kind = ITEM_HEARTBEAT, .id = mark_of(s)});
    }
}
