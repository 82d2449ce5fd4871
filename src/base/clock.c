/* clock - see clock.h. */
#include "clock.h"

#include <stdio.h>
#include <time.h>

int64_t clock_mono_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct timespec clock_deadline(int64_t in_ms)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += in_ms / 1000;
    t.tv_nsec += (in_ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    return t;
}

/* Days since 1970 to a date of the proleptic Gregorian calendar: gmtime_r fails far outside of it, documents do not. */
static void civil_from_days(int64_t days, int64_t *year, int *month, int *day)
{
    days += 719468; /* to 0000-03-01, so that the leap day ends the year */
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t of_era = days - era * 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * of_year + 2) / 153;
    *day = (int)(of_year - (153 * shifted_month + 2) / 5 + 1);
    *month = (int)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

size_t clock_format_iso(int64_t wall_ms, char out[CLOCK_ISO_MAX])
{
    const int64_t day_ms = 86400000;
    int64_t days = wall_ms / day_ms - (wall_ms % day_ms < 0);
    int ms_of_day = (int)((wall_ms % day_ms + day_ms) % day_ms);
    int64_t year;
    int month, day;
    civil_from_days(days, &year, &month, &day);
    int seconds = ms_of_day / 1000;
    /* ISO 8601 writes years outside 0000..9999 with a sign and six digits. */
    const char *format = year >= 0 && year <= 9999 ? "%04lld-%02d-%02dT%02d:%02d:%02d.%03dZ"
                                                   : "%+07lld-%02d-%02dT%02d:%02d:%02d.%03dZ";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int n = snprintf(out, CLOCK_ISO_MAX, format, (long long)year, month, day, seconds / 3600, seconds / 60 % 60,
                     seconds % 60, ms_of_day % 1000);
#pragma GCC diagnostic pop
    return n > 0 ? (size_t)n : 0;
}
