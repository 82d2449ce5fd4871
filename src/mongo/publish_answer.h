/*
 * publish_answer - what became of the items of a request, as the answer to it. Thread: a blocking one.
 *
 * One item: 201 or 200 with {"_id":…,"channel":…}, or its problem.
 * A batch: {"items":[…],"inserted":n,"repeated":n,"failed":n}, each item {"_id":…,"channel":…} or
 * {"_id"?:…,"error":{"code":…,"detail":…}}; 201, or 200 when all were there already, 207 when some failed, 400 when all
 * did for reasons of the publisher's, else 503; these two as a problem with the batch's members behind its own.
 */
#ifndef TAILWATER_MONGO_PUBLISH_ANSWER_H
#define TAILWATER_MONGO_PUBLISH_ANSWER_H

#include "job.h"
#include "publish_item.h"

/* Also counts them in job->publish. */
void publish_answer(struct job *job, const struct publish_item *items, size_t count);

#endif
