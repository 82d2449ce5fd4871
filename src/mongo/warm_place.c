/* warm_place - see warm_place.h. */
#include "warm_place.h"

#include "server_facts.h"

/* How many seconds of an oplog that is written evenly fit into the limit. */
static uint64_t seconds_that_fit(const struct warm_limits *limits, const struct warm_oplog *oplog, uint64_t now)
{
    double span_s = (double)((now >> 32) - (oplog->first >> 32));
    double fit_s = span_s * (double)limits->bytes / (double)oplog->bytes;
    return fit_s < (double)limits->seconds ? (uint64_t)fit_s : (uint64_t)limits->seconds;
}

uint64_t warm_place(const struct warm_limits *limits, const struct warm_oplog *oplog, uint64_t now)
{
    if (limits->seconds == 0) {
        return now + 1;
    }
    bool is_known = oplog->first && oplog->first <= now;
    bool is_too_large = is_known && oplog->bytes > limits->bytes;
    uint64_t seconds = is_too_large ? seconds_that_fit(limits, oplog, now) : (uint64_t)limits->seconds;
    uint64_t back = seconds << 32, wanted = back < now ? now - back : 1;
    return is_known && oplog->first > wanted ? oplog->first : wanted;
}

static void ask(mongoc_client_t *client, struct warm_oplog *oplog)
{
    uint64_t last;
    int64_t max_bytes;
    if (server_facts_oplog(client, &oplog->first, &last, NULL) != 0) {
        oplog->first = 0;
    } else if (server_facts_oplog_size(client, &oplog->bytes, &max_bytes, NULL) != 0) {
        oplog->bytes = 0;
    }
}

uint64_t warm_place_find(struct database *database, const struct warm_limits *limits, uint64_t now)
{
    struct warm_oplog oplog = {0};
    mongoc_client_t *client = limits->seconds > 0 ? database_pop(database, DATABASE_TAIL) : NULL;
    if (client) {
        ask(client, &oplog);
        database_push(database, DATABASE_TAIL, client);
    }
    return warm_place(limits, &oplog, now);
}
