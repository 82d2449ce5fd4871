/* guard - see guard.h. */
#include "guard.h"

#include "buffer.h"
#include "tls.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
    HELD_BYTES = 65536, /* pipelined behind a request that is not answered yet */
    LINGER_S = 2,       /* for the refusal to arrive: closing while the client still sends would reset it away */
};

/* What the timer stands for. */
enum deadline { DEADLINE_NONE, DEADLINE_HEAD, DEADLINE_BODY, DEADLINE_LINGER };

struct guard {
    struct bufferevent *bev; /* one reference */
    const struct guard_options *options;
    void *owner;
    struct evbuffer_cb_entry *watch;
    struct event *timer;
    struct head_check check;
    enum head_verdict verdict;
    enum deadline deadline;
    size_t unseen; /* bytes at the end of the input that were not checked yet */
    const struct head_refusal *refusal;
    bool held; /* the input has a high-water mark */
    bool client_done;
};

static const struct head_refusal slow = {408, "request_timeout", "the request did not arrive in time"};
static const struct head_refusal disagreed = {400, "malformed_request", "the request's end is not clear"};

/* --- refusing ------------------------------------------------------------------------------------- */

static const char *reason_of(int status)
{
    switch (status) {
    case 408:
        return "Request Timeout";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 417:
        return "Expectation Failed";
    case 431:
        return "Request Header Fields Too Large";
    case 501:
        return "Not Implemented";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Bad Request";
    }
}

static void write_refusal(struct guard *g)
{
    const struct head_refusal *r = g->refusal;
    struct buffer body = BUFFER_INIT, head = BUFFER_INIT;
    char date[40];
    time_t now = time(NULL);
    struct tm tm;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
    buffer_printf(&body,
                  "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"code\":\"%s\",\"detail\":\"%s\"}\n",
                  reason_of(r->status), r->status, r->code, r->detail);
    buffer_printf(&head,
                  "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: application/problem+json\r\nContent-Length: %zu\r\n"
                  "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
                  "Connection: close\r\n\r\n",
                  r->status, reason_of(r->status), date, body.len);
    bufferevent_write(g->bev, head.data, head.len);
    bufferevent_write(g->bev, body.data, body.len);
    buffer_fini(&head);
    buffer_fini(&body);
}

/* All is out: tell the client that nothing follows, and wait for its end. */
static void on_flushed(struct bufferevent *bev, void *arg)
{
    struct guard *g = arg;
    tls_say_end(bev);
    shutdown(bufferevent_getfd(bev), SHUT_WR);
    if (g->client_done) {
        g->options->release(g->owner);
    }
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct guard *g = arg;
    bool unsent = evbuffer_get_length(bufferevent_get_output(bev)) > 0;
    if (unsent && what == (BEV_EVENT_READING | BEV_EVENT_EOF)) {
        g->client_done = true;
        return;
    }
    g->options->release(g->owner);
}

static void set_deadline(struct guard *g, enum deadline deadline, int seconds)
{
    struct timeval after = {seconds, 0};
    g->deadline = deadline;
    event_add(g->timer, &after);
}

static void answer_refused(struct guard *g)
{
    atomic_fetch_add(g->refusal == &slow ? g->options->timeouts : g->options->refused, 1);
    bufferevent_setcb(g->bev, NULL, on_flushed, on_event, g);
    bufferevent_set_timeouts(g->bev, NULL, NULL);
    write_refusal(g);
    bufferevent_enable(g->bev, EV_READ | EV_WRITE);
    set_deadline(g, DEADLINE_LINGER, LINGER_S);
}

static void discard(struct guard *g)
{
    struct evbuffer *input = bufferevent_get_input(g->bev);
    g->unseen = 0;
    evbuffer_drain(input, evbuffer_get_length(input));
}

/* The answer is written from the timer's callback, since evhttp may be about to set its own callbacks. Nothing else of
 * this connection comes before it. */
static void refuse(struct guard *g, const struct head_refusal *refusal)
{
    g->refusal = refusal;
    discard(g);
    event_del(g->timer);
    event_active(g->timer, EV_TIMEOUT, 0);
}

/* --- checking ------------------------------------------------------------------------------------- */

static enum deadline deadline_of(enum head_verdict verdict)
{
    switch (verdict) {
    case HEAD_MORE:
        return DEADLINE_HEAD;
    case HEAD_BODY:
        return DEADLINE_BODY;
    default:
        return DEADLINE_NONE;
    }
}

/* While a deadline runs, it alone counts; silence is for idle connections. */
static void mind_deadline(struct guard *g)
{
    struct timeval idle = {g->options->idle_s, 0};
    enum deadline wanted = deadline_of(g->verdict);
    if (wanted == g->deadline) {
        return;
    }
    bufferevent_set_timeouts(g->bev, wanted == DEADLINE_NONE ? &idle : NULL, &idle);
    if (wanted == DEADLINE_NONE) {
        event_del(g->timer);
        g->deadline = DEADLINE_NONE;
    } else {
        set_deadline(g, wanted, wanted == DEADLINE_HEAD ? g->options->head_s : g->options->body_s);
    }
}

/* The next unchecked bytes that lie together. */
static struct evbuffer_iovec unseen_piece(struct guard *g, struct evbuffer *input)
{
    struct evbuffer_ptr at;
    struct evbuffer_iovec piece = {NULL, 0};
    evbuffer_ptr_set(input, &at, evbuffer_get_length(input) - g->unseen, EVBUFFER_PTR_SET);
    evbuffer_peek(input, -1, &at, &piece, 1);
    return piece;
}

static bool wants_more(const struct guard *g)
{
    return g->verdict != HEAD_DONE && g->verdict != HEAD_REFUSED;
}

/* Take no more from the client than evhttp takes from the input. Switching EV_READ off would not do: evhttp switches it
 * on for each request. */
static void hold(struct guard *g, bool on)
{
    if (on != g->held) {
        g->held = on;
        bufferevent_setwatermark(g->bev, EV_READ, 0, on ? HELD_BYTES : 0);
        if (!on) {
            tls_read_on(g->bev);
        }
    }
}

static void look(struct guard *g)
{
    struct evbuffer *input = bufferevent_get_input(g->bev);
    while (g->unseen > 0 && wants_more(g)) {
        struct evbuffer_iovec piece = unseen_piece(g, input);
        size_t used;
        g->verdict = head_check_feed(&g->check, piece.iov_base, piece.iov_len, &used);
        g->unseen -= used;
        if (g->verdict == HEAD_EMPTY_LINE) {
            evbuffer_drain(input, 2); /* evhttp would not pass over it */
        }
    }
    if (g->verdict == HEAD_REFUSED) {
        refuse(g, g->check.refusal);
        return;
    }
    if (wants_more(g)) {
        hold(g, false);
    }
    mind_deadline(g);
}

static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
    (void)input;
    struct guard *g = arg;
    if (info->n_added == 0) {
        return;
    }
    g->unseen += info->n_added;
    if (g->refusal) {
        discard(g);
    } else if (wants_more(g)) {
        look(g);
    } else if (g->unseen > HELD_BYTES) {
        hold(g, true);
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct guard *g = arg;
    if (g->refusal && g->deadline != DEADLINE_LINGER) {
        answer_refused(g);
    } else if (g->refusal || g->verdict == HEAD_IDLE) {
        g->options->release(g->owner);
    } else {
        refuse(g, &slow);
    }
}

void guard_next(struct guard *g)
{
    size_t left = evbuffer_get_length(bufferevent_get_input(g->bev));
    if (g->refusal) {
        return;
    }
    if (g->verdict != HEAD_DONE || left != g->unseen) {
        refuse(g, &disagreed); /* evhttp saw another end of the request than we did */
        return;
    }
    head_check_next(&g->check);
    g->verdict = HEAD_IDLE;
    look(g);
}

/* --- life ----------------------------------------------------------------------------------------- */

struct guard *guard_new(struct bufferevent *bev, const struct guard_options *options)
{
    struct guard *g = memory_zero(1, sizeof *g);
    g->bev = bev;
    g->options = options;
    g->timer = evtimer_new(bufferevent_get_base(bev), on_timer, g);
    g->watch = evbuffer_add_cb(bufferevent_get_input(bev), on_input, g);
    head_check_init(&g->check, &options->limits);
    bufferevent_incref(bev);
    return g;
}

void guard_adopt(struct guard *g, void *owner)
{
    struct timeval idle = {g->options->idle_s, 0};
    g->owner = owner;
    bufferevent_set_timeouts(g->bev, NULL, &idle);
    set_deadline(g, DEADLINE_HEAD, g->options->head_s);
}

void guard_free(struct guard *g)
{
    hold(g, false);
    evbuffer_remove_cb_entry(bufferevent_get_input(g->bev), g->watch);
    event_free(g->timer);
    bufferevent_decref(g->bev);
    free(g);
}
