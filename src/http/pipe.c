/* pipe - see pipe.h. */
#include "pipe.h"

#include "buffer.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* From this size on a reference is cheaper than a copy (reference/engineering C2: about 3 KB). */
enum { REFERENCE_BYTES = 2048 };

/* So much may be unsent on a thread without the others knowing: a shared counter is dear to write. */
enum { UNTOLD_BYTES = 32 * 1024 };

/* Bytes for one system call: libevent's 16 KiB would cut a batch into many. */
enum { WRITE_BYTES = 256 * 1024 };

struct pipe {
    struct bufferevent *bev;
    struct evbuffer_cb_entry *watch; /* of the output, for counting; NULL: not counted */
    struct pipe_options options;
    void (*release)(void *owner);
    void *owner;
    bool chunked;
    uint64_t sent; /* bytes that the kernel took */
    bool closing; /* nobody is interested any more: free when drained */
    struct pipe *prev, *next; /* among the closing ones */
};

/* Pipes that nobody owns any more while their last bytes leave. */
static _Thread_local struct pipe *closing_pipes;

/* --- counting -------------------------------------------------------------------------------------- */

/* Unsent bytes of this thread's pipes: now, and as the others know. */
static _Thread_local struct {
    _Atomic uint64_t *all;
    uint64_t now, told;
    uint64_t sent; /* ever */
} queued;

void pipe_count_queued(_Atomic uint64_t *all)
{
    queued.all = all;
}

static void count(size_t added, size_t deleted)
{
    queued.now = queued.now + added - deleted;
    uint64_t untold = queued.now > queued.told ? queued.now - queued.told : queued.told - queued.now;
    if (untold >= UNTOLD_BYTES || (queued.now == 0 && untold > 0)) {
        atomic_fetch_add_explicit(queued.all, queued.now - queued.told, memory_order_relaxed);
        queued.told = queued.now;
    }
}

static void on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg)
{
    (void)output;
    struct pipe *p = arg;
    p->sent += info->n_deleted;
    queued.sent += info->n_deleted;
    count(info->n_added, info->n_deleted);
}

static void watch(struct pipe *p)
{
    struct evbuffer *output = bufferevent_get_output(p->bev);
    if (queued.all) {
        p->watch = evbuffer_add_cb(output, on_output, p);
        count(evbuffer_get_length(output), 0);
    }
}

static void unwatch(struct pipe *p)
{
    struct evbuffer *output = bufferevent_get_output(p->bev);
    if (p->watch) {
        evbuffer_remove_cb_entry(output, p->watch);
        count(0, evbuffer_get_length(output));
    }
}

/* --- life ------------------------------------------------------------------------------------------ */

static void pipe_free(struct pipe *p)
{
    if (p->closing) {
        DL_DELETE(closing_pipes, p);
    }
    unwatch(p);
    p->release(p->owner);
    free(p);
}

static void on_read(struct bufferevent *bev, void *arg)
{
    (void)arg;
    struct evbuffer *input = bufferevent_get_input(bev);
    evbuffer_drain(input, evbuffer_get_length(input));
}

static void on_write(struct bufferevent *bev, void *arg)
{
    struct pipe *p = arg;
    if (!p->closing) {
        p->options.on_drain(p->options.arg);
    } else if (evbuffer_get_length(bufferevent_get_output(bev)) == 0) {
        pipe_free(p);
    }
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    (void)bev;
    struct pipe *p = arg;
    if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT))) {
        return;
    }
    if (!p->closing) {
        p->options.on_gone(p->options.arg);
    }
    pipe_free(p);
}

struct pipe *pipe_new(struct bufferevent *bev, bool chunked, const struct pipe_options *options,
                      void (*release)(void *owner), void *owner)
{
    struct pipe *p = memory_zero(1, sizeof *p);
    p->bev = bev;
    p->options = *options;
    p->release = release;
    p->owner = owner;
    p->chunked = chunked;
    struct timeval stall = {options->stall_s, 0};
    bufferevent_setcb(bev, on_read, on_write, on_event, p);
    bufferevent_setwatermark(bev, EV_WRITE, options->low_bytes, 0);
    bufferevent_set_timeouts(bev, NULL, &stall);
    bufferevent_set_max_single_write(bev, WRITE_BYTES);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    watch(p);
    return p;
}

/* --- writing --------------------------------------------------------------------------------------- */

static struct evbuffer *output(const struct pipe *p)
{
    return bufferevent_get_output(p->bev);
}

void pipe_write_raw(struct pipe *p, const void *data, size_t len)
{
    evbuffer_add(output(p), data, len);
}

static void chunk_begin(struct pipe *p, size_t len)
{
    if (p->chunked) {
        char head[20];
        int n = snprintf(head, sizeof head, "%zx\r\n", len);
        evbuffer_add(output(p), head, (size_t)n);
    }
}

static void chunk_end(struct pipe *p)
{
    if (p->chunked) {
        evbuffer_add(output(p), "\r\n", 2);
    }
}

void pipe_write(struct pipe *p, const void *data, size_t len)
{
    chunk_begin(p, len);
    evbuffer_add(output(p), data, len);
    chunk_end(p);
}

static void drop_reference(const void *data, size_t len, void *arg)
{
    (void)data;
    (void)len;
    frame_unref(arg);
}

static void add_part(struct pipe *p, struct frame *frame, struct slice part)
{
    if (part.len < REFERENCE_BYTES) {
        evbuffer_add(output(p), part.data, part.len);
    } else if (evbuffer_add_reference(output(p), part.data, part.len, drop_reference, frame_ref(frame)) != 0) {
        frame_unref(frame);
    }
}

void pipe_write_frame(struct pipe *p, struct frame *frame)
{
    add_part(p, frame, p->chunked ? frame_chunk(frame) : frame_sse(frame));
}

bool pipe_is_chunked(const struct pipe *p)
{
    return p->chunked;
}

void pipe_write_shared(struct pipe *p, struct slice bytes, pipe_release_fn *release, void *arg)
{
    bool is_small = bytes.len < REFERENCE_BYTES;
    if (is_small) {
        evbuffer_add(output(p), bytes.data, bytes.len);
    }
    if (is_small || evbuffer_add_reference(output(p), bytes.data, bytes.len, release, arg) != 0) {
        release(bytes.data, bytes.len, arg);
    }
}

void pipe_write_slice(struct pipe *p, struct slice head, struct frame *frame, struct slice part, struct slice tail)
{
    chunk_begin(p, head.len + part.len + tail.len);
    evbuffer_add(output(p), head.data, head.len);
    add_part(p, frame, part);
    evbuffer_add(output(p), tail.data, tail.len);
    chunk_end(p);
}

size_t pipe_unsent(const struct pipe *p)
{
    return evbuffer_get_length(output(p));
}

uint64_t pipe_sent(const struct pipe *p)
{
    return p->sent;
}

uint64_t pipe_sent_by_thread(void)
{
    return queued.sent;
}

/* --- the end --------------------------------------------------------------------------------------- */

void pipe_close(struct pipe *p, bool clean, int linger_s)
{
    if (clean && p->chunked) {
        evbuffer_add(output(p), "0\r\n\r\n", 5);
    }
    if (pipe_unsent(p) == 0) {
        pipe_free(p);
        return;
    }
    struct timeval linger = {linger_s, 0};
    p->closing = true;
    DL_APPEND(closing_pipes, p);
    bufferevent_setwatermark(p->bev, EV_WRITE, 0, 0);
    bufferevent_set_timeouts(p->bev, NULL, &linger);
}

size_t pipe_closing_count(void)
{
    size_t count;
    struct pipe *p;
    DL_COUNT(closing_pipes, p, count);
    return count;
}

void pipe_abort_closing(void)
{
    while (closing_pipes) {
        pipe_free(closing_pipes);
    }
}

void pipe_abort(struct pipe *p)
{
    pipe_free(p);
}
