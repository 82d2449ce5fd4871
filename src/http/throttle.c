/* throttle - see throttle.h. */
#include "throttle.h"

#include <string.h>

enum { EVENT = 1000000 }; /* credit of one event; a microsecond at rate 1 is worth 1 */

bool throttle_take(struct throttle *t, uint8_t level, int64_t now_us)
{
    if (t->max_rate == 0) {
        return true;
    }
    int64_t full = (int64_t)t->max_rate * EVENT;
    int64_t since_us = now_us - t->filled_us;
    bool is_full = t->filled_us == 0 || since_us >= 1000000;
    t->credit = is_full ? full : t->credit + since_us * t->max_rate;
    t->credit = t->credit > full ? full : t->credit;
    t->filled_us = now_us;
    if (t->credit >= EVENT) {
        t->credit -= EVENT;
        return true;
    }
    size_t index = level / 10;
    t->by_level[index < THROTTLE_LEVELS ? index : THROTTLE_LEVELS - 1]++;
    t->skipped++;
    return false;
}

void throttle_told(struct throttle *t)
{
    t->skipped = 0;
    memset(t->by_level, 0, sizeof t->by_level);
}
