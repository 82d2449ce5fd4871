/* since - see since.h. */
#include "since.h"

#include "clock.h"
#include "iso_time.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    DIGITS_MAX = 15,
    AHEAD_MAX_MS = 60000, /* clocks differ */
};

static int64_t now_ms(struct source *source)
{
    uint32_t seconds = source_cluster_seconds(source);
    return seconds ? (int64_t)seconds * 1000 : clock_wall_ms();
}

static int64_t unit_ms(char unit)
{
    switch (unit) {
    case 's':
        return 1000;
    case 'm':
        return 60 * 1000;
    case 'h':
        return 3600 * 1000;
    case 'd':
        return 24 * 3600 * 1000;
    default:
        return 0;
    }
}

/* "-15m" */
static bool read_relative(const char *text, int64_t now, int64_t *out)
{
    const char *number = text + 1;
    size_t digits = strspn(number, "0123456789");
    int64_t unit = text[0] == '-' && digits > 0 && digits < 10 ? unit_ms(number[digits]) : 0;
    if (!unit || number[digits + 1]) {
        return false;
    }
    *out = now - strtoll(number, NULL, 10) * unit;
    return true;
}

static bool read_epoch(const char *text, int64_t *out)
{
    size_t digits = strspn(text, "0123456789");
    if (text[digits] || digits == 0 || digits > DIGITS_MAX) {
        return false;
    }
    *out = strtoll(text, NULL, 10);
    return true;
}

int since_parse(const char *text, struct source *source, int64_t *since_ms, struct error *err)
{
    int64_t now = now_ms(source);
    bool known = read_relative(text, now, since_ms) || read_epoch(text, since_ms) ||
                 iso_time_parse(text, strlen(text), since_ms) == 0;
    if (!known) {
        return error_set(err, "since: must be an ISO 8601 time, milliseconds since 1970, or relative such as -15m");
    }
    if (*since_ms > now + AHEAD_MAX_MS) {
        return error_set(err, "since: lies in the future");
    }
    *since_ms = *since_ms > 1 ? *since_ms : 1;
    return 0;
}
