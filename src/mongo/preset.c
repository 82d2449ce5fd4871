/* preset - see preset.h. */
#include "preset.h"

#include "iso_time.h"
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
        return iso_time_parse(text, len, wall_ms);
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
