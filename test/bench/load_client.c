/* load_client - one client of the load: its connection's life and what it makes of each event. See load.h. */
#include "load.h"
#include "wall.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

const char *const named_events[NAMED_COUNT] = {
    "ready", "caught-up", "gap", "skipped", "source", "revoked", "goaway", "heartbeat", "refused",
};

/* --- events ----------------------------------------------------------------------------------------------------- */

/* Where a key stands in an event's JSON. Events of a run look alike: where it stood in the last one is tried first, or
 * the search would be a quarter of what this client costs. NULL when it is not there. */
static const char *find_key(const char *data, size_t len, const char *key, size_t key_len, size_t *last)
{
    if (*last + key_len <= len && memcmp(data + *last, key, key_len) == 0) {
        return data + *last;
    }
    const char *at = memmem(data, len, key, key_len);
    *last = at ? (size_t)(at - data) : *last;
    return at;
}

/* The number behind "key": (quoted or not), 0 when there is none. */
static uint64_t number_of(const char *data, size_t len, const char *key, size_t key_len, size_t *last)
{
    const char *at = find_key(data, len, key, key_len, last);
    if (!at) {
        return 0;
    }
    const char *end = data + len;
    at += key_len;
    while (at < end && (*at == ' ' || *at == '"')) {
        at++;
    }
    uint64_t value = 0;
    while (at < end && *at >= '0' && *at <= '9') {
        value = value * 10 + (uint64_t)(*at++ - '0');
    }
    return value;
}

#define NUMBER_OF(data, len, key, last) number_of((data), (len), "\"" key "\":", sizeof("\"" key "\":") - 1, (last))

/* The channel in the event's JSON, else an empty text: then the stream is one lane. */
static const char *channel_of(const struct tailwater_sse_event *event, size_t *len)
{
    static const char key[] = "\"channel\":\"";
    const char *end = event->data + event->data_len;
    static size_t last;
    const char *at = find_key(event->data, event->data_len, key, sizeof key - 1, &last);
    const char *quote = at ? memchr(at + sizeof key - 1, '"', (size_t)(end - at) - (sizeof key - 1)) : NULL;
    if (!quote) {
        *len = 0;
        return "";
    }
    at += sizeof key - 1;
    *len = (size_t)(quote - at);
    return at;
}

static void become_ready(struct client *client)
{
    struct load *load = client->load;
    if (client->ready) {
        return;
    }
    client->ready = true;
    load->opening--;
    load->counts.ready++;
    histogram_add(&load->counts.connect, load->now_us - client->opened_us);
    if (client->ready_us == 0) {
        client->ready_us = load->now_us;
    }
}

static void count_named(struct client *client, enum named_event name)
{
    client->load->counts.named[name]++;
    if (name == NAMED_READY) {
        become_ready(client);
    }
}

/* Storm: one of the missed events came. */
static void catch_up(struct client *client, const struct track *track, uint64_t seq)
{
    struct load *load = client->load;
    if (load->phase != LOAD_RETURNING || client->caught_up || seq > track->lane->target_seq) {
        return;
    }
    if (client->pending > 0 && --client->pending > 0) {
        return;
    }
    client->caught_up = true;
    load->storm.caught_up++;
    load->storm.caught_up_us = load->now_us;
    histogram_add(&load->storm.each, load->now_us - load->storm.returned_us);
}

static void count_event(struct client *client, int64_t sent_us)
{
    struct load *load = client->load;
    struct load_counts *counts = &load->counts;
    client->events++;
    if (client->scout) {
        client->group->away_events += load->phase == LOAD_AWAY;
        counts->last_event_us = load->now_us;
        return;
    }
    counts->events++;
    counts->last_event_us = load->now_us;
    if (counts->first_event_us == 0) {
        counts->first_event_us = load->now_us;
    }
    if (sent_us > 0 && load->phase != LOAD_RETURNING) {
        histogram_add(&counts->latency, load->now_us - sent_us);
    }
}

static void on_event(void *context, const struct tailwater_sse_event *event)
{
    struct client *client = context;
    for (unsigned i = 0; i < NAMED_COUNT; i++) {
        if (strlen(named_events[i]) == event->event_len &&
            memcmp(named_events[i], event->event, event->event_len) == 0) {
            count_named(client, (enum named_event)i);
            return;
        }
    }
    static size_t seq_at, sent_at; /* find_key() */
    uint64_t seq = NUMBER_OF(event->data, event->data_len, "seq", &seq_at);
    if (seq == 0) {
        client->load->counts.unnumbered++;
        return;
    }
    int64_t sent_us = (int64_t)NUMBER_OF(event->data, event->data_len, "sent_us", &sent_at);
    size_t len;
    const char *channel = channel_of(event, &len);
    struct track *track = tracks_find(&client->tracks, client->group, channel, len);
    count_event(client, sent_us);
    if (track_event(track, seq, sent_us, &client->load->counts.verdict)) {
        catch_up(client, track, seq);
    }
}

/* --- the connection --------------------------------------------------------------------------------------------- */

void client_init(struct client *client, struct load *load, unsigned number, struct group *group, bool scout)
{
    static const struct tailwater_sse_handler handler = {on_event, NULL};
    *client = (struct client){.load = load, .number = number, .group = group, .scout = scout};
    stream_init(&client->stream, &handler, client);
}

void client_fini(struct client *client)
{
    client_close(client);
    stream_fini(&client->stream);
    tracks_free(&client->tracks);
}

void client_close(struct client *client)
{
    struct load *load = client->load;
    if (client->stream.state == STREAM_CLOSED) {
        return;
    }
    load->live--;
    load->opening -= !client->ready;
    load->counts.bytes += client->stream.bytes;
    client->stream.bytes = 0;
    client->ready = false;
    stream_close(&client->stream);
}

static void count_failure(struct load_counts *counts, const struct stream *stream)
{
    counts->failed++;
    for (unsigned i = 0; i < LOAD_STATUSES; i++) {
        bool same = counts->failures[i].status == stream->status && counts->failures[i].problem == stream->problem;
        if (counts->failures[i].count == 0 || same || i == LOAD_STATUSES - 1) {
            counts->failures[i].status = stream->status;
            counts->failures[i].problem = stream->problem;
            counts->failures[i].count++;
            return;
        }
    }
}

/* The stream failed or ended. */
static void lose(struct client *client, enum stream_outcome outcome)
{
    struct load_counts *counts = &client->load->counts;
    if (outcome == STREAM_FAILED) {
        count_failure(counts, &client->stream);
    } else {
        counts->ended++;
    }
    client_close(client);
}

void client_open(struct client *client)
{
    struct load *load = client->load;
    struct sockaddr_in source;
    bool bound = load_plan_source(&load->plan, client->number, &source);
    client->opened_us = load->now_us = wall_us();
    client->ready = false;
    load->counts.opened++;
    if (stream_open(&client->stream, &load->plan.address, bound ? &source : NULL) == STREAM_FAILED) {
        count_failure(&load->counts, &client->stream);
        stream_close(&client->stream);
        return;
    }
    load->live++;
    load->opening++;
    struct epoll_event want = {.events = EPOLLOUT, .data.ptr = client};
    epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->stream.fd, &want);
}

static enum stream_outcome send_request(struct client *client)
{
    struct load *load = client->load;
    char request[PLAN_REQUEST_MAX];
    size_t id_len;
    const char *id = tailwater_sse_parser_last_id(client->stream.parser, &id_len);
    if (id_len == 0 && client->events == 0 && load->plan.last_id) {
        id = load->plan.last_id;
        id_len = strlen(id);
    }
    size_t len = load_plan_request(&load->plan, client->group->target, id, id_len, request);
    if (len == 0) {
        client->stream.problem = "a request that is too large";
        return STREAM_FAILED;
    }
    struct epoll_event want = {.events = EPOLLIN, .data.ptr = client};
    epoll_ctl(load->epoll, EPOLL_CTL_MOD, client->stream.fd, &want);
    return stream_send(&client->stream, request, len);
}

void client_wake(struct client *client, char *memory, size_t len)
{
    enum stream_outcome outcome = STREAM_GOING;
    client->load->now_us = wall_us();
    if (client->stream.state == STREAM_CONNECTING) {
        outcome = send_request(client);
    } else if (client->stream.state != STREAM_CLOSED) {
        outcome = stream_read(&client->stream, memory, len);
        if (client->load->plan.ready_on_head && client->stream.state == STREAM_BODY) {
            become_ready(client);
        }
    }
    if (outcome != STREAM_GOING) {
        lose(client, outcome);
    }
}
