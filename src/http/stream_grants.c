/* stream_grants - what a live stream may read changes: a grant was removed or added, cannot be followed any more, or its
 * token ends (the inside of stream.h). */
#include "stream_inside.h"

#include "clock.h"
#include "random.h"
#include "rights.h"

#include <stdlib.h>

enum { EXPIRY_SPREAD_MS = 1000 }; /* before a token's end, so that many of one age do not come back as one */

/* --- the collection -------------------------------------------------------------------------------- */

static void keep_set(struct stream *s, struct grant_set *grants)
{
    struct grant_set *old = s->grants;
    s->grants = grants ? grant_set_ref(grants) : NULL;
    grant_set_unref(old);
}

/* What is asked for, granted anew. NULL when that cannot be. */
static struct subscription *grant_anew(const struct stream *s)
{
    struct rights rights;
    struct error err;
    const char *code;
    const struct http_context *context = s->loop->context;
    struct subscription *wanted = subscription_copy_asked(s->subscription);
    rights_of(context, s->identity, s->grants, &rights);
    int rc = subscription_grant(wanted, context, rights.patterns, rights.count, &code, &err);
    rights_fini(&rights);
    if (rc != 0) {
        subscription_free(wanted);
        return NULL;
    }
    return wanted;
}

/* Append what `now` does not cover of what `before` has. Returns how many. */
static unsigned append_lost(struct buffer *out, const struct subscription *before, const struct subscription *now)
{
    unsigned count = 0;
    for (unsigned i = 0; i < before->count; i++) {
        const struct subscription_channel *c = &before->list[i];
        if (!subscription_covers(now, c->text, c->len)) {
            buffer_append_json_item(out, count++, c->text, c->len);
        }
    }
    return count;
}

/* Returns whether there was anything to tell. */
static bool tell_revoked(struct stream *s, const struct subscription *now)
{
    struct buffer lost = BUFFER_INIT, frame = BUFFER_INIT;
    bool some = append_lost(&lost, s->subscription, now) > 0;
    if (some) {
        stream_tell_skipped(s);
        stream_frame_revoked(&frame, s->ndjson, buffer_text(&lost));
        stream_write_buffer(s, &frame);
        atomic_fetch_add(&s->loop->context->counters.revocations, 1);
    }
    buffer_fini(&lost);
    return some;
}

static bool has_grown(const struct subscription *before, const struct subscription *now)
{
    for (unsigned i = 0; i < now->count; i++) {
        if (!subscription_covers(before, now->list[i].text, now->list[i].len)) {
            return true;
        }
    }
    return false;
}

static void regrant(struct stream *s, struct grant_set *grants)
{
    keep_set(s, grants);
    struct subscription *now = grant_anew(s);
    s->loop->now_us = clock_mono_us();
    if (!now) {
        stream_go_away(s, "grants_changed", stream_retry_jitter(s->loop->context->settings.retry_ms));
        return;
    }
    bool has_shrunk = tell_revoked(s, now);
    if (now->count == 0) {
        subscription_free(now);
        stream_end(s);
        return;
    }
    if (has_grown(s->subscription, now)) {
        stream_resubscribe(s, now);
    } else {
        stream_swap_subscription(s, now);
        if (has_shrunk) {
            stream_write_ready(s); /* of "logs:*" something narrower may be left: say what */
        }
    }
}

void stream_meet_grants(struct stream *s, struct grant_set *grants)
{
    if (!s->identity->user) {
        return;
    }
    if (!grants) {
        struct grant_set *found = grant_book_find(s->loop->context->grants, s->identity->user);
        if (found != s->grants) {
            regrant(s, found);
        }
        grant_set_unref(found);
    } else if (!s->grants || s->grants->time <= grants->time) {
        regrant(s, grants);
    }
}

void stream_meet_rules(struct stream *s)
{
    regrant(s, s->grants);
}

bool stream_depends_on_grants(const struct stream *s)
{
    return s->grants && s->grants->count > 0;
}

/* --- the token's end ------------------------------------------------------------------------------- */

static void on_expiry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct stream *s = arg;
    stream_go_away(s, "token_expires", stream_retry_jitter(s->loop->context->settings.retry_ms));
}

void stream_arm_expiry(struct stream *s)
{
    if (!s->identity->expires_ms) {
        return;
    }
    int64_t left_ms = s->identity->expires_ms - clock_wall_ms();
    int64_t in_ms = random_between(left_ms > EXPIRY_SPREAD_MS ? left_ms - EXPIRY_SPREAD_MS : 0, left_ms > 0 ? left_ms : 0);
    struct timeval tv = {in_ms / 1000, in_ms % 1000 * 1000};
    s->expiry = evtimer_new(s->loop->base, on_expiry, s);
    event_add(s->expiry, &tv);
}
