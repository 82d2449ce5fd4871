/*
 * publish_event - from {channel, event, data} to the document of tailwater's own collection (own_event.h).
 * Thread: any, pure.
 */
#ifndef TAILWATER_MONGO_PUBLISH_EVENT_H
#define TAILWATER_MONGO_PUBLISH_EVENT_H

#include "publish_item.h"

/*
 * Make item->document and item->channel. `event` may be missing: the channel's first segment then. A channel that one
 * of the mappings of `sets` can produce is refused: those events come from logs. Returns 0, or -1: the item was
 * refused.
 */
int publish_event_build(struct publish_item *item, const bson_t *parsed, const struct mapping_set *const *sets,
                        size_t set_count, int64_t now_ms);

#endif
