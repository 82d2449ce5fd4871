/* log - see log.h. */
#include "log.h"

#include "buffer.h"
#include "clock.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static enum log_level minimum = LOG_LEVEL_INFO;
static bool as_json = true;

static const char *const level_names[] = {"trace", "debug", "info", "warn", "error"};
static _Atomic uint64_t lines[sizeof level_names / sizeof level_names[0]];

void log_configure(enum log_level level, enum log_format format)
{
    minimum = level;
    as_json = format == LOG_FORMAT_JSON || (format == LOG_FORMAT_AUTO && !isatty(STDERR_FILENO));
}

int log_level_parse(const char *name)
{
    if (strcasecmp(name, "warning") == 0) {
        return LOG_LEVEL_WARN;
    }
    for (int i = 0; i < (int)(sizeof level_names / sizeof level_names[0]); i++) {
        if (strcasecmp(name, level_names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

uint64_t log_lines(enum log_level level)
{
    return atomic_load_explicit(&lines[level], memory_order_relaxed);
}

static void write_line(enum log_level level, const char *component, const char *message, size_t len)
{
    struct buffer line = BUFFER_INIT;
    char ts[CLOCK_ISO_MAX];
    atomic_fetch_add_explicit(&lines[level], 1, memory_order_relaxed);
    clock_format_iso(clock_wall_ms(), ts);
    if (as_json) {
        buffer_printf(&line, "{\"ts\":\"%s\",\"level\":\"%s\",\"component\":\"%s\",\"msg\":\"", ts, level_names[level],
                      component);
        buffer_append_json(&line, message, len);
        buffer_append_text(&line, "\"}\n");
    } else {
        buffer_printf(&line, "%s %-5s %s: ", ts, level_names[level], component);
        buffer_append_json(&line, message, len);
        buffer_append_byte(&line, '\n');
    }
    /* A log pipe that is gone or full must not stop the service; there is nowhere to report it. */
    ssize_t ignored = write(STDERR_FILENO, line.data, line.len);
    (void)ignored;
    buffer_fini(&line);
}

__attribute__((format(printf, 4, 0))) static void write_args(enum log_level level, const char *component,
                                                             uint64_t held, const char *format, va_list args)
{
    char message[2048];
    int n = vsnprintf(message, sizeof message, format, args);
    if (n < 0) {
        return;
    }
    size_t len = (size_t)n < sizeof message ? (size_t)n : sizeof message - 1;
    if (held && len + 64 < sizeof message) {
        len += (size_t)snprintf(message + len, sizeof message - len, " (%llu more like this not shown)",
                                (unsigned long long)held);
    }
    write_line(level, component, message, len);
}

void log_write(enum log_level level, const char *component, const char *format, ...)
{
    if (level < minimum) {
        return;
    }
    va_list args;
    va_start(args, format);
    write_args(level, component, 0, format, args);
    va_end(args);
}

void log_write_limited(struct log_limit *limit, enum log_level level, const char *component, const char *format, ...)
{
    if (level < minimum) {
        return;
    }
    int64_t now = clock_mono_us();
    int64_t next = atomic_load_explicit(&limit->next_us, memory_order_relaxed);
    if (now < next || !atomic_compare_exchange_strong(&limit->next_us, &next, now + 1000000)) {
        atomic_fetch_add_explicit(&limit->held, 1, memory_order_relaxed);
        return;
    }
    va_list args;
    va_start(args, format);
    write_args(level, component, atomic_exchange(&limit->held, 0), format, args);
    va_end(args);
}
