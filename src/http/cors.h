/*
 * cors - which origins may read answers from a browser (ALLOWED_ORIGINS): exact match, credentials only with one.
 */
#ifndef TAILWATER_HTTP_CORS_H
#define TAILWATER_HTTP_CORS_H

#include "context.h"
#include "exchange.h"

/* Add the CORS headers that the request's Origin deserves; nothing for others. Error answers get them too. */
void cors_add_headers(struct exchange *exchange, const struct http_settings *settings);

/* Answer a preflight (OPTIONS). allow: the methods of the path, as in an Allow header. */
void cors_answer_preflight(struct exchange *exchange, const struct http_settings *settings, const char *allow);

#endif
