/* rate - see rate.h. */
#include "rate.h"

enum { SECOND_US = 1000000 };

bool rate_take(struct rate *rate, uint64_t max_per_s, uint64_t count, int64_t now_us)
{
    if (max_per_s == 0) {
        return true;
    }
    int64_t cost_us = (int64_t)(count * SECOND_US / max_per_s);
    int64_t free_at = atomic_load(&rate->free_at_us), next;
    do {
        int64_t start = free_at > now_us ? free_at : now_us;
        bool is_idle = start == now_us;
        if (!is_idle && start + cost_us > now_us + SECOND_US) {
            return false;
        }
        next = start + cost_us;
    } while (!atomic_compare_exchange_weak(&rate->free_at_us, &free_at, next));
    return true;
}
