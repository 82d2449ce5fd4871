/* catchup - see catchup.h. */
#include "catchup.h"

#include "buffer.h"
#include "clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A request at most this far [s of cluster time] ahead of a running sweep waits for it instead of opening another. */
enum { JOIN_AHEAD_S = 60 };

struct request {
    struct request *next;
    struct event_id point;
    struct mailbox *box;
    uint64_t number;
    unsigned source;
};

struct member {
    struct mailbox *box; /* NULL = free place */
    uint64_t number;     /* the entry it wants next */
};

struct sweep {
    _Atomic uint32_t refs;
    struct journal *window;
    size_t window_bytes;
    atomic_bool over;
    struct sweep *next; /* in catchup->running */
    pthread_mutex_t lock;
    pthread_cond_t moved;
    struct member *members;
    unsigned member_count, member_cap, member_alive;
};

struct catchup {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct journal *journal;
    struct catchup_limits limits;
    struct request *waiting;
    struct sweep *running;
    bool stopped;
};

/* --- a sweep ------------------------------------------------------------------------------------- */

static struct sweep *sweep_new(size_t window_bytes, uint64_t start)
{
    struct sweep *s = memory_zero(1, sizeof *s);
    atomic_init(&s->refs, 1);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->moved, NULL);
    s->window_bytes = window_bytes;
    /* Twice: the pace keeps the window near window_bytes, one batch may come on top before the oldest go. */
    s->window = journal_new((struct journal_limits){.max_bytes = 2 * window_bytes});
    journal_open(s->window, start);
    return s;
}

struct sweep *sweep_ref(struct sweep *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void sweep_unref(struct sweep *s)
{
    if (s && atomic_fetch_sub(&s->refs, 1) == 1) {
        journal_free(s->window);
        free(s->members);
        pthread_cond_destroy(&s->moved);
        pthread_mutex_destroy(&s->lock);
        free(s);
    }
}

struct journal *sweep_window(struct sweep *s)
{
    return s->window;
}

bool sweep_is_over(struct sweep *s)
{
    return atomic_load(&s->over);
}

static unsigned free_place(struct sweep *s)
{
    for (unsigned i = 0; s->member_alive < s->member_count && i < s->member_count; i++) {
        if (!s->members[i].box) {
            return i;
        }
    }
    if (s->member_count == s->member_cap) {
        s->member_cap = s->member_cap ? s->member_cap * 2 : 16;
        s->members = memory_resize(s->members, s->member_cap * sizeof *s->members);
    }
    return s->member_count++;
}

unsigned sweep_join(struct sweep *s, struct mailbox *box, uint64_t number)
{
    pthread_mutex_lock(&s->lock);
    unsigned place = free_place(s);
    s->members[place] = (struct member){box, number};
    s->member_alive++;
    pthread_mutex_unlock(&s->lock);
    return place;
}

void sweep_progress(struct sweep *s, unsigned member, uint64_t number)
{
    pthread_mutex_lock(&s->lock);
    s->members[member].number = number;
    pthread_cond_signal(&s->moved);
    pthread_mutex_unlock(&s->lock);
}

void sweep_leave(struct sweep *s, unsigned member)
{
    pthread_mutex_lock(&s->lock);
    s->members[member].box = NULL;
    s->member_alive--;
    pthread_cond_signal(&s->moved);
    pthread_mutex_unlock(&s->lock);
}

static void wake_members(struct sweep *s)
{
    struct mailbox *last = NULL;
    pthread_mutex_lock(&s->lock);
    for (unsigned i = 0; i < s->member_count; i++) {
        struct mailbox *box = s->members[i].box;
        if (box && box != last) {
            mailbox_wake(box);
            last = box;
        }
    }
    pthread_mutex_unlock(&s->lock);
}

/* Has at least half of the members read the older half of the window? */
static bool median_has_moved(const struct sweep *s, const struct journal_state *window)
{
    uint64_t middle = window->first + (window->next - window->first) / 2;
    unsigned passed = 0;
    for (unsigned i = 0; i < s->member_count; i++) {
        passed += s->members[i].box && s->members[i].number >= middle;
    }
    return 2 * passed >= s->member_alive;
}

static bool has_room(struct sweep *s)
{
    struct journal_state window;
    journal_state(s->window, &window);
    return window.bytes < s->window_bytes || median_has_moved(s, &window);
}

bool sweep_wait_for_room(struct sweep *s, int wait_ms)
{
    struct timespec deadline = clock_deadline(wait_ms);
    int timed_out = 0;
    pthread_mutex_lock(&s->lock);
    while (!has_room(s) && !timed_out) {
        timed_out = pthread_cond_timedwait(&s->moved, &s->lock, &deadline);
    }
    bool room = has_room(s);
    pthread_mutex_unlock(&s->lock);
    return room;
}

/* --- the queue ----------------------------------------------------------------------------------- */

struct catchup *catchup_new(struct journal *journal, struct catchup_limits limits)
{
    struct catchup *c = memory_zero(1, sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, NULL);
    c->journal = journal;
    c->limits = limits;
    return c;
}

void catchup_free(struct catchup *c)
{
    if (!c) {
        return;
    }
    while (c->waiting) {
        struct request *next = c->waiting->next;
        free(c->waiting);
        c->waiting = next;
    }
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

size_t catchup_window_bytes(const struct catchup *c)
{
    return c->limits.window_bytes;
}

/* Can a reader at this point read the window now? */
static bool covers(struct sweep *s, struct event_id point)
{
    struct journal_state window;
    journal_state(s->window, &window);
    return point.cluster_time >= window.floor && point.cluster_time <= window.complete + 1;
}

static void answer(struct sweep *s, const struct request *r)
{
    mailbox_post(r->box, (struct message){.type = MESSAGE_CATCHUP,
                                          .number = r->number,
                                          .source = r->source,
                                          .object = sweep_ref(s)});
}

void catchup_request(struct catchup *c, struct event_id point, struct mailbox *box, uint64_t number, unsigned source)
{
    struct request r = {.point = point, .box = box, .number = number, .source = source};
    pthread_mutex_lock(&c->lock);
    for (struct sweep *s = c->running; s; s = s->next) {
        if (covers(s, point)) {
            answer(s, &r);
            pthread_mutex_unlock(&c->lock);
            return;
        }
    }
    struct request *waiting = memory_copy(&r, sizeof r);
    waiting->next = c->waiting;
    c->waiting = waiting;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

void catchup_cancel(struct catchup *c, struct mailbox *box, uint64_t number)
{
    pthread_mutex_lock(&c->lock);
    for (struct request **at = &c->waiting; *at;) {
        struct request *r = *at;
        if (r->box == box && r->number == number) {
            *at = r->next;
            free(r);
        } else {
            at = &r->next;
        }
    }
    pthread_mutex_unlock(&c->lock);
}

/* Will this running sweep reach the point soon? */
static bool is_near(struct sweep *s, struct event_id point)
{
    struct journal_state window;
    journal_state(s->window, &window);
    return point.cluster_time >= window.floor &&
           point.cluster_time <= window.complete + ((uint64_t)JOIN_AHEAD_S << 32);
}

static struct request *oldest_unserved(struct catchup *c)
{
    struct request *oldest = NULL;
    for (struct request *r = c->waiting; r; r = r->next) {
        bool near = false;
        for (struct sweep *s = c->running; s && !near; s = s->next) {
            near = is_near(s, r->point);
        }
        if (!near && (!oldest || r->point.cluster_time < oldest->point.cluster_time)) {
            oldest = r;
        }
    }
    return oldest;
}

static unsigned count_running(const struct catchup *c)
{
    unsigned n = 0;
    for (const struct sweep *s = c->running; s; s = s->next) {
        n++;
    }
    return n;
}

/* A sweep at the oldest request that needs one, or NULL. */
static struct sweep *grant(struct catchup *c, uint64_t *start)
{
    struct request *r = !c->stopped && count_running(c) < c->limits.max_sweeps ? oldest_unserved(c) : NULL;
    if (!r) {
        return NULL;
    }
    *start = r->point.cluster_time;
    struct sweep *s = sweep_new(c->limits.window_bytes, *start);
    s->next = c->running;
    c->running = s;
    return s;
}

struct sweep *catchup_take(struct catchup *c, uint64_t *start)
{
    struct sweep *s = NULL;
    pthread_mutex_lock(&c->lock);
    while (!c->stopped && !(s = grant(c, start))) {
        pthread_cond_wait(&c->changed, &c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return s;
}

struct sweep *catchup_try_take(struct catchup *c, uint64_t *start)
{
    pthread_mutex_lock(&c->lock);
    struct sweep *s = grant(c, start);
    pthread_mutex_unlock(&c->lock);
    return s;
}

static void admit(struct catchup *c, struct sweep *s)
{
    for (struct request **at = &c->waiting; *at;) {
        struct request *r = *at;
        if (covers(s, r->point)) {
            answer(s, r);
            *at = r->next;
            free(r);
        } else {
            at = &r->next;
        }
    }
}

void catchup_advance(struct catchup *c, struct sweep *s, struct frame *const *frames, size_t count, uint64_t complete)
{
    /* Admitting first keeps a reader whose point is about to be evicted by this batch. */
    pthread_mutex_lock(&c->lock);
    admit(c, s);
    journal_append(s->window, frames, count, complete);
    admit(c, s);
    /* The sweep has moved: requests that are no longer near it may need one of their own. */
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    wake_members(s);
}

bool catchup_reached(struct catchup *c, struct sweep *s)
{
    struct journal_state journal, window;
    journal_state(c->journal, &journal);
    journal_state(s->window, &window);
    return journal.floor != 0 && window.complete + 1 >= journal.floor;
}

bool catchup_is_wanted(struct catchup *c, struct sweep *s)
{
    bool wanted = false;
    pthread_mutex_lock(&c->lock);
    for (struct request *r = c->waiting; r && !wanted; r = r->next) {
        wanted = is_near(s, r->point);
    }
    pthread_mutex_lock(&s->lock);
    wanted = wanted || s->member_alive > 0;
    pthread_mutex_unlock(&s->lock);
    pthread_mutex_unlock(&c->lock);
    /* An answer under way holds a reference beside ours and will join in a moment. */
    return wanted || atomic_load(&s->refs) > 1;
}

/* Readers that still wait although the journal reaches back to them now: the sweep that is over sends them there. */
static void release_served(struct catchup *c, struct sweep *s)
{
    struct journal_state journal;
    journal_state(c->journal, &journal);
    for (struct request **at = &c->waiting; *at;) {
        struct request *r = *at;
        if (journal.floor && r->point.cluster_time >= journal.floor) {
            answer(s, r);
            *at = r->next;
            free(r);
        } else {
            at = &r->next;
        }
    }
}

void catchup_finish(struct catchup *c, struct sweep *s)
{
    pthread_mutex_lock(&c->lock);
    for (struct sweep **at = &c->running; *at; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            break;
        }
    }
    atomic_store(&s->over, true);
    release_served(c, s);
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    wake_members(s);
    sweep_unref(s);
}

void catchup_stop(struct catchup *c)
{
    pthread_mutex_lock(&c->lock);
    c->stopped = true;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

void catchup_count(struct catchup *c, unsigned *sweeps, unsigned *waiting)
{
    pthread_mutex_lock(&c->lock);
    *sweeps = count_running(c);
    *waiting = 0;
    for (const struct request *r = c->waiting; r; r = r->next) {
        (*waiting)++;
    }
    pthread_mutex_unlock(&c->lock);
}
