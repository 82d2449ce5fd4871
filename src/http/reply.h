/*
 * reply - plain answers: JSON, and errors as application/problem+json (RFC 9457) with a stable `code`.
 */
#ifndef TAILWATER_HTTP_REPLY_H
#define TAILWATER_HTTP_REPLY_H

#include "context.h"
#include "exchange.h"

/* Answer with a JSON text. */
void reply_json(struct exchange *exchange, const struct http_settings *settings, int status, const char *json,
                size_t len);

/*
 * Answer with {"type":"about:blank","title":…,"status":…,"code":code,"detail":…}. detail: a sentence for people, no
 * secrets; NULL = none. 405 needs an Allow header, 401 gets WWW-Authenticate, 429 and 503 get Retry-After.
 */
void reply_problem(struct exchange *exchange, const struct http_settings *settings, int status, const char *code,
                   const char *detail);

/* The same with members of its own behind the others: JSON text without braces. */
void reply_problem_with(struct exchange *exchange, const struct http_settings *settings, int status, const char *code,
                        const char *detail, struct slice members);

#endif
