/* publish_event - see publish_event.h. */
#include "publish_event.h"

#include "event_name.h"
#include "tailwater/channel.h"

#include <string.h>

enum { KEY_SHOWN = 60 };

/* What an item says; not there where raw is NULL. */
struct parts {
    bson_iter_t id, channel, event, data;
};

static bson_iter_t *part_of(struct parts *parts, const char *name)
{
    return strcmp(name, "channel") == 0 ? &parts->channel
           : strcmp(name, "event") == 0 ? &parts->event
           : strcmp(name, "data") == 0  ? &parts->data
           : strcmp(name, "_id") == 0   ? &parts->id
                                        : NULL;
}

static int read_parts(struct publish_item *item, const bson_t *parsed, struct parts *parts)
{
    bson_iter_t at;
    memset(parts, 0, sizeof *parts);
    bool more = bson_iter_init(&at, parsed);
    while (more && bson_iter_next(&at)) {
        bson_iter_t *part = part_of(parts, bson_iter_key(&at));
        if (!part) {
            return publish_item_refuse(item, 400, "invalid_item",
                                       "the member %.*s is not known; channel, event, data and _id are", KEY_SHOWN,
                                       bson_iter_key(&at));
        }
        if (part->raw) {
            return publish_item_refuse(item, 400, "invalid_item", "%s: it is there twice", bson_iter_key(&at));
        }
        *part = at;
    }
    return parts->data.raw ? 0 : publish_item_refuse(item, 400, "invalid_item", "data: it is missing");
}

/* The text of a part; len 0 = there is none. */
static struct slice text_of(const bson_iter_t *part)
{
    uint32_t len = 0;
    const char *text = part->raw && BSON_ITER_HOLDS_UTF8(part) ? bson_iter_utf8(part, &len) : "";
    return (struct slice){text, len};
}

static int check_channel(struct publish_item *item, struct slice channel, const struct mapping_set *const *sets,
                         size_t set_count)
{
    const char *problem = tailwater_channel_problem(channel.data, channel.len, false);
    if (problem) {
        return publish_item_refuse(item, 400, "invalid_channel", "channel: %s", problem);
    }
    for (size_t i = 0; i < set_count; i++) {
        if (mapping_set_can_produce(sets[i], channel.data, channel.len)) {
            return publish_item_refuse(item, 403, "channel_not_allowed",
                                       "channel: its events come from a mapping's collection; publish logs by "
                                       "/api/logs/publish (for tests /test/logs)");
        }
    }
    return 0;
}

static int check_event(struct publish_item *item, struct slice event)
{
    if (event_name_is_reserved(event.data, event.len)) {
        return publish_item_refuse(item, 400, "reserved_event", "event: this is one of tailwater's own event names");
    }
    const char *problem = event_name_problem(event.data, event.len);
    return problem ? publish_item_refuse(item, 400, "invalid_event", "event: %s", problem) : 0;
}

/* What is called for when none is given. */
static struct slice default_event(struct slice channel)
{
    const char *colon = memchr(channel.data, ':', channel.len);
    return (struct slice){channel.data, colon ? (size_t)(colon - channel.data) : channel.len};
}

static bool is_given(const bson_iter_t *part)
{
    return part->raw && !BSON_ITER_HOLDS_NULL(part);
}

int publish_event_build(struct publish_item *item, const bson_t *parsed, const struct mapping_set *const *sets,
                        size_t set_count, int64_t now_ms)
{
    struct parts parts;
    if (read_parts(item, parsed, &parts) != 0) {
        return -1;
    }
    struct slice channel = text_of(&parts.channel);
    if (check_channel(item, channel, sets, set_count) != 0) {
        return -1;
    }
    struct slice event = is_given(&parts.event) ? text_of(&parts.event) : default_event(channel);
    if (check_event(item, event) != 0 || publish_item_begin(item, is_given(&parts.id) ? &parts.id : NULL) != 0) {
        return -1;
    }
    bson_append_utf8(item->document, "channel", 7, channel.data, (int)channel.len);
    bson_append_utf8(item->document, "event", 5, event.data, (int)event.len);
    bson_append_iter(item->document, "data", 4, &parts.data);
    BSON_APPEND_DATE_TIME(item->document, "at", now_ms);
    buffer_append(&item->channel, channel.data, channel.len);
    return publish_item_end(item);
}
