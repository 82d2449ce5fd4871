/* iso_time - see iso_time.h. */
#include "iso_time.h"

#include <stdbool.h>
#include <string.h>

struct scanner {
    const char *at, *end;
};

/* Exactly `digits` digits; -1 when they are not there. */
static int scan_number(struct scanner *s, int digits)
{
    int value = 0;
    if (s->end - s->at < digits) {
        return -1;
    }
    for (int i = 0; i < digits; i++, s->at++) {
        if (*s->at < '0' || *s->at > '9') {
            return -1;
        }
        value = value * 10 + (*s->at - '0');
    }
    return value;
}

static bool scan_byte(struct scanner *s, const char *any_of)
{
    if (s->at == s->end || *s->at == '\0' || !strchr(any_of, *s->at)) {
        return false;
    }
    s->at++;
    return true;
}

/* A fraction of a second, any number of digits, in milliseconds. */
static int scan_fraction(struct scanner *s)
{
    int ms = 0;
    int weight = 100;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9') {
        ms += (*s->at++ - '0') * weight;
        weight /= 10;
    }
    return ms;
}

/* "Z", "+01:00", "+0100", "+01" or nothing; -1 when it is something else. */
static int scan_zone(struct scanner *s, int *minutes)
{
    *minutes = 0;
    scan_byte(s, " ");
    if (s->at == s->end || (scan_byte(s, "Zz") && s->at == s->end)) {
        return 0;
    }
    int sign = *s->at == '-' ? -1 : 1;
    if (!scan_byte(s, "+-")) {
        return -1;
    }
    int hours = scan_number(s, 2);
    scan_byte(s, ":");
    int rest = s->at == s->end ? 0 : scan_number(s, 2);
    *minutes = sign * (hours * 60 + rest);
    return hours < 0 || hours > 23 || rest < 0 || rest > 59 || s->at != s->end ? -1 : 0;
}

static int64_t days_from_civil(int year, int month, int day)
{
    year -= month <= 2; /* the year begins in March, so that the leap day ends it */
    int era = year >= 0 ? year / 400 : (year - 399) / 400;
    int of_era = year - era * 400;
    int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return (int64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

static int scan_date(struct scanner *s, int64_t *days)
{
    int year = scan_number(s, 4);
    int month = year >= 0 && scan_byte(s, "-/") ? scan_number(s, 2) : -1;
    int day = month >= 1 && month <= 12 && scan_byte(s, "-/") ? scan_number(s, 2) : -1;
    if (day < 1 || day > days_of_month(year, month)) {
        return -1;
    }
    *days = days_from_civil(year, month, day);
    return 0;
}

int iso_time_parse(const char *text, size_t len, int64_t *wall_ms)
{
    struct scanner s = {text, text + len};
    int64_t days;
    if (scan_date(&s, &days) < 0) {
        return -1;
    }
    if (s.at == s.end) {
        *wall_ms = days * 86400000;
        return 0;
    }
    int hour = scan_byte(&s, "Tt ") ? scan_number(&s, 2) : -1;
    int minute = hour >= 0 && scan_byte(&s, ":") ? scan_number(&s, 2) : -1;
    int second = minute >= 0 && scan_byte(&s, ":") ? scan_number(&s, 2) : 0;
    int ms = scan_byte(&s, ".,") ? scan_fraction(&s) : 0;
    int zone;
    if (hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60 || scan_zone(&s, &zone) < 0) {
        return -1;
    }
    *wall_ms = ((days * 24 + hour) * 60 + minute - zone) * 60000 + second * 1000 + ms;
    return 0;
}
