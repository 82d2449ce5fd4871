/* model_client - see model_client.h. */
#include "model_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NO_SUCH_EVENT = 1 << 30 };

static const char *const kind_names[] = {"ready", "event", "gap", "caught-up", "heartbeat"};

static void text_of(struct event_id id, char out[EVENT_ID_TEXT_LEN + 1])
{
    out[event_id_format(id, out)] = '\0';
}

static void complain(const struct model_client *c, const struct model_item *item, size_t index, const char *what)
{
    char id[EVENT_ID_TEXT_LEN + 1], had[EVENT_ID_TEXT_LEN + 1];
    text_of(item->id, id);
    text_of(c->id, had);
    uint64_t time = index < c->world->count ? c->world->events[index].time : 0;
    model_fail(c->world,
               "client %u, %s %s (from %016" PRIx64 " to %016" PRIx64 "): %s\n"
               "  it had id %s, all below event %zu; in question is event %zu of %016" PRIx64 "; feed state %d",
               c->name, kind_names[item->kind], id, item->from, item->to, what, had, c->at, index, time,
               (int)c->stream.feed.state);
}

static bool is_expected(const struct model_client *c, size_t index)
{
    const struct model_event *e = &c->world->events[index];
    return (c->stream.channels >> e->channel & 1) && e->time >= c->least_time;
}

/* The first expected event in [from, to), or `to`. */
static size_t first_expected(const struct model_client *c, size_t from, size_t to)
{
    while (from < to && !is_expected(c, from)) {
        from++;
    }
    return from < to ? from : to;
}

/* --- judging ---------------------------------------------------------------------------------------------- */

static bool sorts_before(struct event_id a, struct event_id b)
{
    if (a.cluster_time != b.cluster_time) {
        return a.cluster_time < b.cluster_time;
    }
    if (event_id_is_position(a) || event_id_is_position(b)) {
        return event_id_is_position(a) && !event_id_is_position(b);
    }
    return a.hash < b.hash && b.hash < NO_SUCH_EVENT;
}

/* An id promises that everything before it was written, and that nothing written comes again after it. */
static void judge_id(struct model_client *c, const struct model_item *item)
{
    if (item->id.cluster_time == 0) {
        return;
    }
    if (c->id.cluster_time && sorts_before(item->id, c->id)) {
        complain(c, item, c->at, "its id sorts before the last one");
    }
    size_t place = model_index_after(c->world, item->id);
    size_t missing = first_expected(c, c->at, place);
    if (missing < place) {
        complain(c, item, missing, "its id promises an event that has not come");
    }
    size_t from = place > c->chain ? place : c->chain;
    size_t again = first_expected(c, from, c->at);
    if (again < c->at) {
        complain(c, item, again, "a resume from its id would repeat an event");
    }
    c->id = item->id;
}

/* Its place inside a cluster time could not be found: all of that cluster time may come again. */
static void allow_overlap(struct model_client *c, const struct model_item *item, size_t index)
{
    bool is_repeated = index < c->at && item->overlap && item->id.cluster_time == c->id.cluster_time;
    if (is_repeated) {
        c->at = index;
        c->chain = c->chain < index ? c->chain : index;
        c->id = event_id_position(item->id.cluster_time);
        c->owes_telling = true;
    }
}

/* It began live inside a cluster time that was half read: what came before may come, as long as it has had nothing. */
static void allow_earlier_part(struct model_client *c, const struct model_item *item, size_t index)
{
    bool is_of_start = index < c->chain && item->id.cluster_time >= c->least_time;
    if (is_of_start && first_expected(c, c->chain, c->at) == c->at) {
        c->chain = c->at = index;
    }
}

static void judge_event(struct model_client *c, const struct model_item *item)
{
    size_t index = (size_t)item->id.hash;
    if (c->owes_gap && item->id.cluster_time != c->id.cluster_time) {
        complain(c, item, c->at, "whether its last event was found, it was told wrongly");
    }
    allow_overlap(c, item, index);
    allow_earlier_part(c, item, index);
    if (!is_expected(c, index)) {
        complain(c, item, index, "it is not for this client");
    }
    if (index < c->at) {
        complain(c, item, index, "it comes twice");
    }
    size_t missing = first_expected(c, c->at, index);
    if (missing < index) {
        complain(c, item, missing, "an event before it is missing");
    }
    c->at = index + 1;
    c->world->stats->received++;
}

static void judge_gap(struct model_client *c, const struct model_item *item)
{
    size_t from = model_index_at(c->world, item->from), to = model_index_at(c->world, item->to);
    if (item->from >= item->to) {
        complain(c, item, from, "the gap is empty");
    }
    if (!model_knows_loss(c->world, item->to)) {
        complain(c, item, to, "nothing was lost there");
    }
    size_t missing = first_expected(c, c->at, from);
    if (missing < from) {
        complain(c, item, missing, "an event before the gap is missing");
    }
    c->at = to > c->at ? to : c->at;
    c->gap_told = true;
    c->owes_telling = c->owes_gap = false;
    c->world->stats->gaps++;
}

static void judge_overlap(struct model_client *c, const struct model_item *item)
{
    bool is_final = item->kind == ITEM_CAUGHT_UP;
    c->owes_gap = !c->gap_told && (c->must_overlap ? is_final && !item->overlap : item->overlap);
    c->owes_telling = c->owes_telling && !item->overlap;
    c->world->stats->overlaps += item->overlap;
}

static void judge(struct model_client *c, const struct model_item *item)
{
    switch (item->kind) {
    case ITEM_EVENT:
        judge_event(c, item);
        break;
    case ITEM_GAP:
        judge_gap(c, item);
        break;
    case ITEM_READY:
    case ITEM_CAUGHT_UP:
        judge_overlap(c, item);
        break;
    case ITEM_HEARTBEAT:
        c->world->stats->marks++;
        break;
    }
    judge_id(c, item);
}

/* It waited from before the source was open: its start is where the journal began. */
static void settle_start(struct model_client *c)
{
    if (c->waits_for_floor && c->stream.feed.state != FEED_WAITING) {
        c->at = c->chain = model_index_at(c->world, c->stream.waited_for);
        c->least_time = c->stream.waited_for;
        c->waits_for_floor = false;
    }
}

unsigned model_client_receive(struct model_client *c, unsigned max)
{
    struct model_item item;
    unsigned n = 0;
    while (n < max && c->stream.is_open && model_stream_receive(&c->stream, &item)) {
        settle_start(c);
        judge(c, &item);
        n++;
    }
    return n;
}

void model_client_judge_rest(struct model_client *c)
{
    struct model_item nothing = {.kind = ITEM_HEARTBEAT};
    if (!c->stream.is_open) {
        return;
    }
    if (c->stream.feed.state != FEED_LIVE) {
        complain(c, &nothing, c->at, "it never becomes live");
    }
    if (c->owes_telling || c->owes_gap) {
        complain(c, &nothing, c->at, "an overlap was told wrongly, or not at all");
    }
    size_t missing = first_expected(c, c->at, c->world->count);
    if (missing < c->world->count) {
        complain(c, &nothing, missing, "an event never comes");
    }
}

/* --- connecting --------------------------------------------------------------------------------------------- */

void model_client_init(struct model_client *c, unsigned name, struct model_world *world)
{
    memset(c, 0, sizeof *c);
    c->name = name;
    c->world = world;
    c->stream.channels = (unsigned)model_between(world, 1, (1u << MODEL_CHANNELS) - 1);
    c->stream.queue_max = (unsigned)model_between(world, 1, 30);
    c->stream.pull_max = (unsigned)model_between(world, 2, 20);
}

static struct event_id some_event(struct model_world *w)
{
    if (w->count == 0) {
        return event_id_position(w->now);
    }
    size_t back = model_between(w, 0, model_chance(w, 80) ? 200 : 2000);
    size_t index = back < w->count ? w->count - 1 - back : 0;
    return (struct event_id){w->events[index].time, (int64_t)index};
}

/* A point that the client did not get on its last connection. */
static struct event_id choose_point(struct model_client *c)
{
    struct model_world *w = c->world;
    struct event_id id = some_event(w);
    switch (model_between(w, 0, 4)) {
    case 0:
        return id;
    case 1:
        return event_id_position(id.cluster_time); /* a raw token, or a heartbeat of another instance */
    case 2:
        return event_id_position(id.cluster_time + model_between(w, 0, (uint64_t)3 << 32));
    case 3: /* of another instance that has read more, or of the future */
        return event_id_position(w->now + model_between(w, 0, (uint64_t)60 << 32));
    default:
        id.hash += NO_SUCH_EVENT;
        return id;
    }
}

static void start_at(struct model_client *c, struct event_id point)
{
    c->at = c->chain = model_index_after(c->world, point);
    c->least_time = point.cluster_time;
    c->id = point;
    c->must_overlap = !event_id_is_position(point) && point.hash >= NO_SUCH_EVENT;
}

/* Go on after the newest id: exactly what was not received. */
static void resume(struct model_client *c)
{
    size_t place = model_index_after(c->world, c->id);
    if (place > c->at) {
        c->at = place; /* between them is nothing for this client: judge_id() saw to that */
    }
    c->chain = place < c->chain ? place : c->chain;
    c->at = place;
    c->least_time = c->least_time > c->id.cluster_time ? c->least_time : c->id.cluster_time;
    c->must_overlap = !event_id_is_position(c->id) && c->id.hash >= NO_SUCH_EVENT;
}

static void start_live(struct model_client *c)
{
    c->at = c->chain = c->world->watcher.next;
    c->least_time = c->world->watcher.complete + 1;
    c->id = (struct event_id){0, 0};
    c->must_overlap = false;
    c->waits_for_floor = !c->world->opened;
}

void model_client_connect(struct model_client *c, struct model_loop *loop)
{
    unsigned kind = (unsigned)model_between(c->world, 0, 99);
    c->gap_told = c->waits_for_floor = c->owes_telling = c->owes_gap = false;
    if (c->id.cluster_time && kind < 75) {
        resume(c);
    } else if (kind < 90 && c->world->count) {
        start_at(c, choose_point(c));
    } else {
        start_live(c);
    }
    model_stream_open(&c->stream, loop, c->id);
    c->world->stats->connects++;
}

void model_client_cut(struct model_client *c)
{
    model_stream_close(&c->stream);
}
