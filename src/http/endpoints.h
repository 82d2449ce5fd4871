/*
 * endpoints - the handlers that routes.c names, one file each (endpoint_*.c). Each answers, streams or defers the
 * exchange. Thread: the loop's.
 */
#ifndef TAILWATER_HTTP_ENDPOINTS_H
#define TAILWATER_HTTP_ENDPOINTS_H

#include "exchange.h"
#include "gather.h"
#include "loop.h"
#include "stream_change.h"

/* alias: the configured path that was asked for, or NULL. */
typedef void endpoint_fn(struct loop *loop, struct exchange *exchange, const struct http_alias *alias);

endpoint_fn endpoint_stream; /* GET, HEAD, POST /api/logs/stream and its synonyms */
endpoint_fn endpoint_change; /* PATCH /api/logs/stream/{connection_id} */
endpoint_fn endpoint_event;  /* GET /api/logs/event */
endpoint_fn endpoint_history; /* GET /api/logs/history */
endpoint_fn endpoint_ticket; /* POST /api/logs/ticket */
endpoint_fn endpoint_publish;       /* POST /api/logs/publish */
endpoint_fn endpoint_publish_event; /* POST /api/publish */
endpoint_fn endpoint_test_publish;  /* POST /test/publish */
endpoint_fn endpoint_test_logs;     /* GET, POST /test/logs */
endpoint_fn endpoint_health; /* GET, HEAD /health */
endpoint_fn endpoint_admin_connections; /* GET /admin/connections */
endpoint_fn endpoint_admin_kick;        /* DELETE /admin/connections/{id} */
endpoint_fn endpoint_admin_channels;    /* GET /admin/channels */
endpoint_fn endpoint_admin_stats;       /* GET /admin/logs/stats */
endpoint_fn endpoint_admin_sources;     /* GET /admin/sources */
endpoint_fn endpoint_admin_config;      /* GET /admin/config */
endpoint_fn endpoint_page;   /* GET, HEAD / and the page's files */

/* A job of this loop is finished: answer whoever still waits. Takes the job. */
void endpoint_event_answer(struct loop *loop, struct job *job);
void endpoint_history_answer(struct loop *loop, struct job *job);
void endpoint_publish_answer(struct loop *loop, struct job *job);

/* A question about connections has been to all loops: answer whoever still waits. Takes it. */
void endpoint_admin_answer(struct loop *loop, struct gather *gather);

/* A change of a stream's subscription was applied or refused: answer whoever still waits. Takes it. */
void endpoint_change_answer(struct loop *loop, struct stream_change *change);

#endif
