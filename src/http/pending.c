/* pending - see pending.h. */
#include "pending.h"

#include "buffer.h"
#include "reply.h"

#include <stdlib.h>

struct pending *pending_new(struct loop *loop, struct exchange *exchange, const struct rights *rights)
{
    struct pending *p = memory_zero(1, sizeof *p);
    p->loop = loop;
    p->exchange = exchange;
    p->number = ++loop->next_number;
    if (rights) {
        p->identity = identity_ref(rights->identity);
        p->grants = rights->grants ? grant_set_ref(rights->grants) : NULL;
    }
    return p;
}

void pending_free(struct pending *p)
{
    identity_unref(p->identity);
    grant_set_unref(p->grants);
    free(p);
}

bool pending_may_answer(struct pending *p)
{
    if (p->identity && rights_have_changed(p->loop->context, p->identity, p->grants)) {
        reply_problem(p->exchange, &p->loop->context->settings, 503, "grants_changed",
                      "what may be read has changed meanwhile; ask again");
        return false;
    }
    return true;
}

void pending_end(struct pending *p)
{
    HASH_DELETE(hh, p->loop->pending, p);
    pending_free(p);
}

static void on_gone(void *arg)
{
    pending_end(arg);
}

void pending_wait(struct pending *p)
{
    HASH_ADD(hh, p->loop->pending, number, sizeof p->number, p);
    exchange_defer(p->exchange, on_gone, p);
}

struct pending *pending_find_number(struct loop *loop, uint64_t number)
{
    struct pending *p;
    HASH_FIND(hh, loop->pending, &number, sizeof number, p);
    return p;
}

struct pending *pending_find(struct loop *loop, const struct job *job)
{
    return pending_find_number(loop, job->number);
}

void pending_forget(struct loop *loop)
{
    struct pending *p, *next;
    HASH_ITER(hh, loop->pending, p, next)
    {
        reply_problem(p->exchange, &loop->context->settings, 503, "draining", "this instance is shutting down");
        pending_end(p);
    }
}
