/* level - see level.h. */
#include "level.h"

#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    uint8_t level;
} level_names[] = {
    {"info", FRAME_LEVEL_INFO},          {"error", FRAME_LEVEL_ERROR},    {"warn", FRAME_LEVEL_WARN},
    {"warning", FRAME_LEVEL_WARN},       {"debug", FRAME_LEVEL_DEBUG},    {"trace", FRAME_LEVEL_TRACE},
    {"fatal", FRAME_LEVEL_FATAL},        {"critical", FRAME_LEVEL_FATAL}, {"notice", FRAME_LEVEL_INFO},
    {"err", FRAME_LEVEL_ERROR},          {"crit", FRAME_LEVEL_FATAL},     {"alert", FRAME_LEVEL_FATAL},
    {"emerg", FRAME_LEVEL_FATAL},        {"verbose", FRAME_LEVEL_DEBUG},  {"severe", FRAME_LEVEL_ERROR},
    {"emergency", FRAME_LEVEL_FATAL},    {"panic", FRAME_LEVEL_FATAL},    {"dpanic", FRAME_LEVEL_FATAL},
    {"information", FRAME_LEVEL_INFO},   {"success", FRAME_LEVEL_INFO},   {"informational", FRAME_LEVEL_INFO},
    {"eror", FRAME_LEVEL_ERROR},         {"http", FRAME_LEVEL_DEBUG},     {"silly", FRAME_LEVEL_TRACE},
    {"dbug", FRAME_LEVEL_DEBUG},         {"dbg", FRAME_LEVEL_DEBUG},      {"fine", FRAME_LEVEL_DEBUG},
    {"finer", FRAME_LEVEL_TRACE},        {"finest", FRAME_LEVEL_TRACE},   {"config", FRAME_LEVEL_INFO},
    {"inf", FRAME_LEVEL_INFO},           {"wrn", FRAME_LEVEL_WARN},       {"exception", FRAME_LEVEL_ERROR},
};

uint8_t level_of_name(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (strncasecmp(level_names[i].name, name, len) == 0 && strlen(level_names[i].name) == len) {
            return level_names[i].level;
        }
    }
    return FRAME_LEVEL_NONE;
}

const char *level_name(uint8_t level)
{
    static const char *const names[] = {"unknown", "trace", "debug", "info", "warn", "error", "fatal"};
    size_t index = level / 10;
    return names[index < sizeof names / sizeof names[0] ? index : 6];
}
