/* resume_id - see resume_id.h. */
#include "resume_id.h"

#include <string.h>

enum { AHEAD_MAX_S = 60 };

static int source_of_tag(const struct http_context *context, char tag)
{
    for (unsigned i = 0; i < context->source_count; i++) {
        if (context->sources[i]->tag == tag) {
            return (int)i;
        }
    }
    return -1;
}

static int parse_vector(const char *text, const struct http_context *context, struct resume_id *out)
{
    while (*text) {
        size_t len = strcspn(text, "~");
        struct event_id id;
        if (len < 2 || *text < 'a' || *text > 'z' || event_id_parse(text + 1, len - 1, &id) != 0) {
            return -1;
        }
        int index = source_of_tag(context, *text);
        if (index < 0) {
            out->unknown = true;
        } else {
            out->points[index] = id;
        }
        text += len + (text[len] == '~');
    }
    return 0;
}

int resume_id_parse(const char *text, const struct http_context *context, struct resume_id *out)
{
    memset(out, 0, sizeof *out);
    if (event_id_parse(text, strlen(text), &out->points[0]) != 0) {
        out->points[0] = (struct event_id){0, 0};
        if (parse_vector(text, context, out) != 0) {
            return -1;
        }
    }
    for (unsigned i = 0; i < context->source_count; i++) {
        out->unknown = out->unknown || out->points[i].cluster_time == 0;
    }
    return 0;
}

bool resume_id_is_plausible(struct event_id point, struct source *source)
{
    uint32_t now_s = source_cluster_seconds(source);
    return now_s == 0 || event_id_seconds(point) <= now_s + AHEAD_MAX_S;
}
