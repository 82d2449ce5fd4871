/*
 * publishing - the threads that store what is published, their queue and its limits. They are others than those of
 * look-ups: a deployment that confirms slowly must not hold up who wants to read. Thread: main.
 */
#ifndef TAILWATER_APP_PUBLISHING_H
#define TAILWATER_APP_PUBLISHING_H

#include "config.h"
#include "context.h"
#include "job_pool.h"

struct publishing;

/* Fills the context's fields for it. */
struct publishing *publishing_new(const struct config *config, struct http_context *context);

/* jobs: as for look-ups; queue, own and name are filled in. */
void publishing_start(struct publishing *publishing, struct job_pool_options jobs);

void publishing_stop(struct publishing *publishing); /* wake the threads, for good */
void publishing_join(struct publishing *publishing);

/* After the loops. NULL is fine. */
void publishing_free(struct publishing *publishing);

#endif
