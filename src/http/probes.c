/* probes - see probes.h. The JSON of /health is in endpoint_health.c. */
#include "probes.h"

#include "clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* A line about one check; returns is_fine. */
__attribute__((format(printf, 4, 5))) static bool tell(struct buffer *out, bool verbose, bool is_fine,
                                                      const char *format, ...)
{
    char words[256];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    if (verbose || !is_fine) {
        buffer_printf(out, "[%c]%s\n", is_fine ? '+' : '-', words);
    }
    return is_fine;
}

int64_t probes_still_us(const struct http_context *c, unsigned loop)
{
    int64_t turned_us = atomic_load(&c->figures[loop].turned_us);
    return turned_us ? clock_mono_us() - turned_us : 0;
}

static bool tell_loop(const struct http_context *c, unsigned loop, bool verbose, struct buffer *out)
{
    int64_t still_ms = probes_still_us(c, loop) / 1000;
    if (still_ms <= PROBES_STUCK_MS) {
        return tell(out, verbose, true, "loop %u: ok", loop);
    }
    return tell(out, verbose, false, "loop %u: stuck, it has not turned for %" PRId64 " s", loop, still_ms / 1000);
}

bool probes_alive(const struct http_context *c, bool verbose, struct buffer *out)
{
    bool is_fine = true;
    for (unsigned i = 0; i < c->loop_count; i++) {
        is_fine = tell_loop(c, i, verbose, out) && is_fine;
    }
    return is_fine;
}

static bool tell_stop(const struct http_context *c, bool verbose, struct buffer *out)
{
    bool is_leaving = atomic_load(&c->leaving) || atomic_load(&c->draining);
    return tell(out, verbose, !is_leaving, "drain: %s", is_leaving ? "this instance is shutting down" : "no");
}

static bool tell_room(const struct http_context *c, bool verbose, struct buffer *out)
{
    uint64_t streams = atomic_load(&c->counters.connections), sockets = atomic_load(&c->counters.sockets);
    bool has_room = streams < c->settings.connections_max && sockets < c->settings.sockets_max;
    return tell(out, verbose, has_room, "room: %" PRIu64 " of %" PRIu64 " streams, %" PRIu64 " of %" PRIu64
                " connections", streams, c->settings.connections_max, sockets, c->settings.sockets_max);
}

static bool tell_source(const struct source *source, bool verbose, struct buffer *out)
{
    bool opened = atomic_load(&source->status.opened);
    return tell(out, verbose, opened, "source %s: %s", source->name, opened ? "ok" : "was not open yet");
}

bool probes_ready(const struct http_context *c, bool verbose, struct buffer *out)
{
    bool is_fine = probes_alive(c, verbose, out);
    is_fine = tell_stop(c, verbose, out) && is_fine;
    is_fine = tell_room(c, verbose, out) && is_fine;
    for (unsigned i = 0; i < c->source_count; i++) {
        is_fine = tell_source(c->sources[i], verbose, out) && is_fine;
    }
    return is_fine;
}
