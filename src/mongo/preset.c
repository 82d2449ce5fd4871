/* preset - see preset.h. */
#include "preset.h"

#include "level.h"

#include <math.h>
#include <string.h>
#include <strings.h>

enum numbers { NUMBERS_PINO, NUMBERS_PYTHON, NUMBERS_SYSLOG };

enum { PATHS_MAX = 10 };

struct preset {
    const char *level[PATHS_MAX];
    const char *time[PATHS_MAX];
    const char *message[PATHS_MAX];
    enum numbers numbers;
};

static const char *const names[] = {"auto",    "pino",   "winston", "python", "log4mongo",
                                    "serilog", "syslog", "generic", NULL};

/* In the order of names. */
static const struct preset presets[] = {
    {
        .level = {"level", "severity", "levelname", "lvl", "log.level", "meta.level", "Level"},
        .time = {"timestamp", "time", "ts", "@timestamp", "created_at", "date", "Timestamp"},
        .message = {"message", "msg", "text", "log", "RenderedMessage"},
    },
    {.level = {"level"}, .time = {"time"}, .message = {"msg"}},
    {.level = {"level"}, .time = {"timestamp"}, .message = {"message"}},
    {
        .level = {"levelname", "level", "levelno"},
        .time = {"timestamp", "asctime", "created", "time"},
        .message = {"message", "msg"},
        .numbers = NUMBERS_PYTHON,
    },
    {.level = {"level"}, .time = {"timestamp"}, .message = {"message"}, .numbers = NUMBERS_PYTHON},
    {
        .level = {"Level"},
        .time = {"Timestamp", "UtcTimeStamp"},
        .message = {"RenderedMessage", "MessageTemplate"},
    },
    {
        .level = {"severity", "level", "severity_code", "priority"},
        .time = {"timestamp", "time"},
        .message = {"message", "msg"},
        .numbers = NUMBERS_SYSLOG,
    },
    {.level = {"level"}, .time = {"timestamp"}, .message = {"message"}},
};

const struct preset *preset_find(const char *name)
{
    for (size_t i = 0; names[i]; i++) {
        if (strcmp(names[i], name) == 0) {
            return &presets[i];
        }
    }
    return NULL;
}

const char *const *preset_names(void)
{
    return names;
}

const char *const *preset_level_paths(const struct preset *preset)
{
    return preset->level;
}

const char *const *preset_time_paths(const struct preset *preset)
{
    return preset->time;
}

const char *const *preset_message_paths(const struct preset *preset)
{
    return preset->message;
}

/* --- levels ------------------------------------------------------------------------------------- */

/* What lies between or a little outside of the known numbers is somebody's own level: kept, brought into the range. */
static uint8_t level_from_number(enum numbers numbers, int64_t n)
{
    static const uint8_t syslog[] = {FRAME_LEVEL_FATAL, FRAME_LEVEL_FATAL, FRAME_LEVEL_FATAL, FRAME_LEVEL_ERROR,
                                     FRAME_LEVEL_WARN,  FRAME_LEVEL_INFO,  FRAME_LEVEL_INFO,  FRAME_LEVEL_DEBUG};
    if (numbers == NUMBERS_SYSLOG) {
        return n >= 0 && n <= 7 ? syslog[n] : FRAME_LEVEL_NONE;
    }
    if (n <= 0 || n > 100) {
        return FRAME_LEVEL_NONE;
    }
    if (n < 10) {
        return FRAME_LEVEL_TRACE;
    }
    int64_t level = numbers == NUMBERS_PYTHON ? n + 10 : n;
    return (uint8_t)(level < FRAME_LEVEL_FATAL ? level : FRAME_LEVEL_FATAL);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '[' || c == ']';
}

static uint8_t level_from_text(enum numbers numbers, const char *text, size_t len)
{
    for (; len && is_blank(*text); text++) {
        len--;
    }
    while (len && is_blank(text[len - 1])) {
        len--;
    }
    if (len > 0 && len <= 3 && strspn(text, "0123456789") >= len) {
        int64_t n = 0;
        for (size_t i = 0; i < len; i++) {
            n = n * 10 + (text[i] - '0');
        }
        return level_from_number(numbers, n);
    }
    return level_of_name(text, len);
}

uint8_t preset_level(const struct preset *preset, const bson_iter_t *value)
{
    uint32_t len;
    const char *text;
    double number;
    switch (bson_iter_type(value)) {
    case BSON_TYPE_UTF8:
        text = bson_iter_utf8(value, &len);
        return level_from_text(preset->numbers, text, len);
    case BSON_TYPE_INT32:
    case BSON_TYPE_INT64:
        return level_from_number(preset->numbers, bson_iter_as_int64(value));
    case BSON_TYPE_DOUBLE: /* what JavaScript drivers may write for 30 */
        number = bson_iter_double(value);
        return fabs(number) < 1000 ? level_from_number(preset->numbers, (int64_t)number) : FRAME_LEVEL_NONE;
    default:
        return FRAME_LEVEL_NONE;
    }
}

/* --- time --------------------------------------------------------------------------------------- */

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

int preset_parse_time(const char *text, size_t len, int64_t *wall_ms)
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

int preset_time(const bson_iter_t *value, int64_t *wall_ms)
{
    const double seconds_below = 1e11; /* as seconds the year 5138, as milliseconds 1973 */
    uint32_t len, increment;
    const char *text;
    double number;
    switch (bson_iter_type(value)) {
    case BSON_TYPE_DATE_TIME:
        *wall_ms = bson_iter_date_time(value);
        return 0;
    case BSON_TYPE_INT32:
    case BSON_TYPE_INT64:
    case BSON_TYPE_DOUBLE:
        number = bson_iter_as_double(value);
        if (!(number > 0 && number < 1e15)) {
            return -1;
        }
        *wall_ms = (int64_t)(number < seconds_below ? number * 1000 : number);
        return 0;
    case BSON_TYPE_UTF8:
        text = bson_iter_utf8(value, &len);
        return preset_parse_time(text, len, wall_ms);
    case BSON_TYPE_TIMESTAMP:
        bson_iter_timestamp(value, &len, &increment);
        *wall_ms = (int64_t)len * 1000;
        return 0;
    case BSON_TYPE_OID:
        *wall_ms = (int64_t)bson_oid_get_time_t(bson_iter_oid(value)) * 1000;
        return 0;
    default:
        return -1;
    }
}
