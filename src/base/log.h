/*
 * log - one line per event on stderr, as JSON or as text.
 *
 * {"ts":"…","level":"info","component":"watcher","msg":"…"} or "2026-… INFO watcher: …". Every value is escaped, so no
 * document, header or id can forge a line. Never pass secrets, connection strings, tokens or log payloads.
 * Thread: any; a line is one write(2), so lines of threads do not mix.
 */
#ifndef TAILWATER_BASE_LOG_H
#define TAILWATER_BASE_LOG_H

#include <stdatomic.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_TRACE, LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_JSON, LOG_FORMAT_TEXT };

/* Set what is written and how; AUTO is text on a terminal and JSON elsewhere. Call before other threads start. */
void log_configure(enum log_level level, enum log_format format);

/* Parse "trace|debug|info|warn|warning|error" in any case; returns -1 when it is none of these. */
int log_level_parse(const char *name);

void log_write(enum log_level level, const char *component, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

const char *log_level_name(enum log_level level);

/* Lines written so far. */
uint64_t log_lines(enum log_level level);

/* At most one line a second for a site; the next line that passes says how many were held back. */
struct log_limit {
    _Atomic int64_t next_us;
    _Atomic uint64_t held;
};
void log_write_limited(struct log_limit *limit, enum log_level level, const char *component, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
