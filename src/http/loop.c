/* loop - see loop.h. */
#include "loop.h"

#include "buffer.h"
#include "clock.h"
#include "door.h"
#include "endpoints.h"
#include "exchange.h"
#include "fanout.h"
#include "log.h"
#include "pending.h"
#include "random.h"
#include "routes.h"
#include "stream.h"
#include "stream_change.h"
#include "stream_inside.h"

#include <event2/event.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    REQUEST_TIMEOUT_S = 10,
    TICK_MS = 500,
    RECONNECT_SPREAD_MS = 2000,
    TRIM_AFTER = 500,        /* streams */
    STOP_CHECK_MS = 10,
    STOP_WAIT_US = 1000000,  /* for the last bytes of streams that were sent away */
};

/* After many streams have left, give what they used back to the system: the allocator would keep it. */
static void give_memory_back(struct loop *loop)
{
    unsigned now = HASH_COUNT(loop->streams);
    if (now > loop->streams_peak) {
        loop->streams_peak = now;
    } else if (loop->streams_peak > TRIM_AFTER && now < loop->streams_peak / 2) {
        malloc_trim(0);
        loop->streams_peak = now;
    }
}

static void check_source(struct loop *loop, unsigned index)
{
    struct source *source = loop->context->sources[index];
    bool away = source_is_away(source);
    if (away == loop->source_away[index]) {
        return;
    }
    loop->source_away[index] = away;
    struct stream *s, *next;
    HASH_ITER(hh, loop->streams, s, next)
    {
        stream_tell_source(s, source, !away);
    }
}

static void tend_streams(struct loop *loop)
{
    struct stream *s, *next;
    DL_FOREACH_SAFE(loop->pulling, s, next)
    {
        stream_tend(s);
    }
}

/* Fail closed: what the collection may say by now is not known. */
static void check_grants(struct loop *loop)
{
    const struct http_context *context = loop->context;
    struct stream *s, *next;
    if (!context->grants || grant_book_state(context->grants) != GRANTS_STALE) {
        return;
    }
    HASH_ITER(hh, loop->streams, s, next)
    {
        if (stream_depends_on_grants(s)) {
            stream_go_away(s, "grants_unavailable", stream_retry_jitter(context->settings.retry_ms));
        }
    }
}

/* The configuration was read anew: what it grants may be other things now. */
static void check_access(struct loop *loop)
{
    struct stream *s, *next;
    uint64_t version = access_holder_version(loop->context->access);
    if (version == loop->access_version) {
        return;
    }
    loop->access_version = version;
    HASH_ITER(hh, loop->streams, s, next)
    {
        stream_meet_rules(s);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct loop *loop = arg;
    atomic_store(&loop->turned_us, clock_mono_us());
    give_memory_back(loop);
    for (unsigned i = 0; i < loop->context->source_count; i++) {
        check_source(loop, i);
    }
    check_grants(loop);
    tend_streams(loop);
    if (!loop->pulling) {
        run_cache_clear(&loop->runs);
    }
    fanout_run(loop); /* a wake-up is never missed; this is for feeds that wait for a source to open */
}

/* --- messages -------------------------------------------------------------------------------------- */

static void offer_sweep(struct loop *loop, const struct message *m)
{
    struct sweep *sweep = m->object;
    struct stream *s = stream_table_find(loop->streams, m->number);
    if (s) {
        stream_offer_sweep(s, m->source, sweep);
    }
    sweep_unref(sweep);
}

/* Takes the job. */
static void offer_rows(struct loop *loop, struct job *job)
{
    struct stream *s = stream_table_find(loop->streams, job->number);
    if (s) {
        stream_offer_rows(s, job);
    }
    job_free(job);
}

static void drain(struct loop *loop)
{
    struct stream *s, *next;
    loop->draining = true;
    http_server_stop_listening(loop->server);
    HASH_ITER(hh, loop->streams, s, next)
    {
        stream_go_away(s, "draining", random_between(500, 500 + RECONNECT_SPREAD_MS));
    }
}

/* Nobody waits for an answer, and the last ones had a turn to be written. */
static bool is_quiet(struct loop *loop)
{
    bool was_quiet = loop->is_quiet;
    loop->is_quiet = pipe_closing_count() == 0 && !loop->pending;
    return was_quiet && loop->is_quiet;
}

/* Leave the loop when the last bytes of streams that were sent away are out and what is being stored was answered, or when
 * they have had their time. */
static void on_stop(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct loop *loop = arg;
    if (is_quiet(loop) || clock_mono_us() > loop->stop_by_us) {
        event_base_loopbreak(loop->base);
    }
}

static void stop(struct loop *loop)
{
    struct timeval check = {0, STOP_CHECK_MS * 1000};
    loop->stop_by_us = clock_mono_us() + STOP_WAIT_US;
    event_add(loop->stop_event, &check);
}

static void answer_job(struct loop *loop, struct job *job)
{
    switch (job->type) {
    case JOB_EVENT:
        endpoint_event_answer(loop, job);
        break;
    case JOB_HISTORY:
        endpoint_history_answer(loop, job);
        break;
    case JOB_ROWS:
        offer_rows(loop, job);
        break;
    case JOB_PUBLISH:
        endpoint_publish_answer(loop, job);
        break;
    }
}

static void handle(struct loop *loop, const struct message *m)
{
    switch (m->type) {
    case MESSAGE_CATCHUP:
        offer_sweep(loop, m);
        break;
    case MESSAGE_JOB:
        answer_job(loop, m->object);
        break;
    case MESSAGE_CHANGE:
        stream_change_apply(loop, m->object);
        break;
    case MESSAGE_CHANGED:
        endpoint_change_answer(loop, m->object);
        break;
    case MESSAGE_DRAIN:
        drain(loop);
        break;
    case MESSAGE_STOP:
        stop(loop);
        break;
    }
}

static void take_messages(struct loop *loop)
{
    struct message *m = mailbox_take(loop->mailbox);
    while (m) {
        struct message *next = m->next;
        handle(loop, m);
        free(m);
        m = next;
    }
}

static void on_mail(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct loop *loop = arg;
    take_messages(loop);
    check_access(loop);
    fanout_run(loop);
}

/* --- life ------------------------------------------------------------------------------------------ */

static struct http_server *open_server(struct loop *loop, struct error *err)
{
    const struct http_settings *settings = &loop->context->settings;
    struct http_counters *counters = &loop->context->counters;
    struct http_server_options options = {
        .base = loop->base,
        .host = settings->host,
        .port = settings->port,
        .tls = loop->context->tls,
        .sockets_max = settings->sockets_max,
        .counters = {
            .sockets = &counters->sockets,
            .sockets_refused = &counters->sockets_refused,
            .handshake_failures = &counters->handshake_failures,
            .queued_bytes = &counters->queued_bytes,
        },
        .guard = {
            .limits = {.header_bytes = settings->header_bytes, .body_bytes = settings->body_bytes},
            .head_s = settings->head_s,
            .body_s = settings->body_s,
            .idle_s = REQUEST_TIMEOUT_S,
            .refused = &counters->requests_refused,
            .timeouts = &counters->request_timeouts,
        },
        .enter = door_enter,
        .leave = door_leave,
        .handler = routes_handle,
        .arg = loop,
    };
    return http_server_new(&options, err);
}

/* With a change list, switching a socket's interest on and off within a turn costs no system call. */
static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static void arm_events(struct loop *loop)
{
    struct timeval tick = {0, TICK_MS * 1000};
    loop->mailbox_event = event_new(loop->base, mailbox_fd(loop->mailbox), EV_READ | EV_PERSIST, on_mail, loop);
    loop->tick_event = event_new(loop->base, -1, EV_PERSIST, on_tick, loop);
    loop->stop_event = event_new(loop->base, -1, EV_PERSIST, on_stop, loop);
    event_add(loop->mailbox_event, NULL);
    event_add(loop->tick_event, &tick);
}

struct loop *loop_new(unsigned index, struct http_context *context, struct error *err)
{
    struct loop *loop = memory_zero(1, sizeof *loop);
    loop->index = index;
    loop->context = context;
    loop->base = new_base();
    loop->mailbox = mailbox_new();
    loop->topics = topic_index_new();
    context->loops[index] = loop->mailbox;
    context->loop_count = index + 1;
    for (unsigned i = 0; i < context->source_count; i++) {
        loop->cursors[i].number = 1;
        journal_watch(context->sources[i]->journal, loop->mailbox);
    }
    loop->access_version = access_holder_version(context->access);
    arm_events(loop);
    loop->server = open_server(loop, err);
    if (!loop->server) {
        loop_free(loop);
        return NULL;
    }
    return loop;
}

static void close_everything(struct loop *loop)
{
    struct stream *s, *next;
    HASH_ITER(hh, loop->streams, s, next)
    {
        stream_abort(s);
    }
    pipe_abort_closing();
    pending_forget(loop);
}

static void *loop_main(void *arg)
{
    struct loop *loop = arg;
    char name[16];
    snprintf(name, sizeof name, "tw-loop-%u", loop->index);
    pthread_setname_np(pthread_self(), name);
    http_server_enter_thread(loop->server);
    event_base_dispatch(loop->base);
    close_everything(loop);
    return NULL;
}

void loop_start(struct loop *loop)
{
    atomic_store(&loop->turned_us, clock_mono_us());
    if (pthread_create(&loop->thread, NULL, loop_main, loop) != 0) {
        abort();
    }
    loop->started = true;
}

struct mailbox *loop_mailbox(struct loop *loop)
{
    return loop->mailbox;
}

int64_t loop_still_us(const struct loop *loop)
{
    return clock_mono_us() - atomic_load(&loop->turned_us);
}

void loop_join(struct loop *loop)
{
    if (loop->started) {
        pthread_join(loop->thread, NULL);
    }
}

/* Messages that came after the loop had ended. */
static void drop_messages(struct loop *loop)
{
    struct message *m = mailbox_take(loop->mailbox);
    while (m) {
        struct message *next = m->next;
        if (m->type == MESSAGE_CATCHUP) {
            sweep_unref(m->object);
        } else if (m->type == MESSAGE_JOB) {
            job_free(m->object);
        } else if (m->type == MESSAGE_CHANGE || m->type == MESSAGE_CHANGED) {
            stream_change_free(m->object);
        }
        free(m);
        m = next;
    }
}

void loop_free(struct loop *loop)
{
    if (!loop) {
        return;
    }
    drop_messages(loop);
    http_server_free(loop->server);
    run_cache_clear(&loop->runs);
    event_free(loop->mailbox_event);
    event_free(loop->tick_event);
    event_free(loop->stop_event);
    event_base_free(loop->base);
    topic_index_free(loop->topics);
    mailbox_free(loop->mailbox);
    free(loop);
}
