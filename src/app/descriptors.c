/* descriptors - see descriptors.h. */
#include "descriptors.h"

#include "ops.h"

#include <sys/resource.h>

enum {
    OWN_DESCRIPTORS = 32,    /* logs, files */
    OPS_DESCRIPTORS = OPS_SOCKETS_MAX + 4, /* the ops listener: also epoll, a wake-up, a look at /proc */
    LOOP_DESCRIPTORS = 6,    /* of a loop: epoll, wake-ups, listener, one connection that is being refused */
    SERVER_DESCRIPTORS = 24, /* connections to a deployment besides those of its threads: monitors, watcher */
};

static uint64_t open_files_max(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 1024;
    }
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur;
}

uint64_t descriptors_for_clients(const struct config *c, unsigned loops)
{
    uint64_t threads = (uint64_t)(c->mongodb_jobs + c->catchup_max);
    uint64_t reserve = OWN_DESCRIPTORS + (c->ops_listen ? (unsigned)OPS_DESCRIPTORS : 0) + loops * LOOP_DESCRIPTORS +
                       c->source_count * (SERVER_DESCRIPTORS + threads);
    uint64_t limit = open_files_max();
    return limit >= 2 * reserve ? limit - reserve : limit / 2;
}
