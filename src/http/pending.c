/* pending - see pending.h. */
#include "pending.h"

#include "buffer.h"
#include "reply.h"

#include <stdlib.h>

struct pending *pending_new(struct loop *loop, struct exchange *exchange)
{
    struct pending *p = memory_zero(1, sizeof *p);
    p->loop = loop;
    p->exchange = exchange;
    p->number = ++loop->next_number;
    return p;
}

void pending_end(struct pending *p)
{
    HASH_DELETE(hh, p->loop->pending, p);
    free(p);
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
