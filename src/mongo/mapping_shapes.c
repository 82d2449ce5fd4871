/* mapping_shapes - which channels a mapping can produce; and the mapping of tailwater's own collection, whose documents
 * tell their channels. */
#include "mapping_parts.h"

#include <stdio.h>
#include <string.h>

static struct slice slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

/* --- what the channel's template can give --------------------------------------------------------- */

static void add_shape(struct mapping *m, const struct slice *collection)
{
    struct buffer shape = BUFFER_INIT;
    if (template_append_shape(m->channel, slice_of(m->database), collection, &shape) == 0) {
        text_list_add(&m->shapes, buffer_text(&shape));
    }
    buffer_fini(&shape);
}

void mapping_add_shapes(struct mapping *m)
{
    if (!template_uses_collection(m->channel)) {
        add_shape(m, NULL);
        return;
    }
    for (size_t i = 0; i < m->collections.count; i++) {
        struct slice name = slice_of(m->collections.at[i]);
        bool glob = collection_is_glob(name.data);
        if (glob || mapping_covers(m, name)) {
            add_shape(m, glob ? NULL : &name);
        }
    }
}

static size_t count_segments(struct slice text)
{
    size_t count = 1;
    for (size_t i = 0; i < text.len; i++) {
        count += text.data[i] == ':';
    }
    return count;
}

/* With as many segments, a "*" at the end of a pattern stands for one, as it does in shapes. */
static bool fits(struct slice shape, bool last_optional, struct slice channel)
{
    size_t segments = count_segments(channel);
    if (last_optional && segments + 1 == count_segments(shape)) {
        shape.len = (size_t)((const char *)memrchr(shape.data, ':', shape.len) - shape.data);
    }
    return segments == count_segments(shape) &&
           tailwater_pattern_match(shape.data, shape.len, channel.data, channel.len);
}

static bool produces(const struct mapping *m, struct slice channel)
{
    for (size_t i = 0; i < m->shapes.count; i++) {
        if (fits(slice_of(m->shapes.at[i]), template_last_optional(m->channel), channel)) {
            return true;
        }
    }
    return false;
}

static bool set_produces(const struct mapping_set *set, struct slice channel)
{
    for (size_t i = 0; i < set->count; i++) {
        if (!set->mappings[i].is_own && produces(&set->mappings[i], channel)) {
            return true;
        }
    }
    return false;
}

void mapping_set_reserve(struct mapping_set *set, const struct mapping_set *other)
{
    set->others = memory_resize(set->others, (set->other_count + 1) * sizeof *set->others);
    set->others[set->other_count++] = other;
}

bool mapping_set_can_produce(const struct mapping_set *set, const char *channel, size_t len)
{
    const struct slice wanted = {channel, len};
    bool could = set_produces(set, wanted);
    for (size_t i = 0; i < set->other_count && !could; i++) {
        could = set_produces(set->others[i], wanted);
    }
    return could;
}

/* --- tailwater's own collection ------------------------------------------------------------------- */

/* A pattern's shapes: a "*" at its end stands for any number of segments. */
static void add_pattern_shapes(struct mapping *m, const char *pattern)
{
    struct buffer shape = BUFFER_INIT;
    struct slice text = slice_of(pattern);
    bool open = text.data[text.len - 1] == '*';
    buffer_append(&shape, text.data, text.len);
    text_list_add(&m->shapes, buffer_text(&shape));
    for (size_t n = count_segments(text); open && n < TAILWATER_SEGMENTS_MAX; n++) {
        buffer_append_text(&shape, ":*");
        text_list_add(&m->shapes, buffer_text(&shape));
    }
    buffer_fini(&shape);
}

const char *mapping_own_collection_problem(const char *name)
{
    const char *problem = collection_problem(name);
    return problem || !collection_is_glob(name) ? problem : "it must be one collection's name";
}

int mapping_compile_own(size_t index, const struct mapping_set_options *options, struct mapping *m,
                        struct mapping_problem *problem)
{
    json_t *json = json_pack("{s:[s], s:s, s:s, s:s, s:s}", "collections", options->own_collection, "channel",
                             "{channel}", "event", "published", "order", "at", "time", "at");
    int rc = mapping_compile(json, index, options->database, m, problem);
    json_decref(json);
    if (rc < 0) {
        snprintf(problem->path, sizeof problem->path, "database"); /* the rest cannot be wrong */
        return -1;
    }
    m->is_own = true;
    for (const char *const *pattern = options->own_patterns; pattern && *pattern; pattern++) {
        add_pattern_shapes(m, *pattern);
    }
    return 0;
}
