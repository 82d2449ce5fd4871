/* mapping_service - see mapping_service.h. */
#include "mapping_parts.h"

#include "mapping_service.h"

#include <string.h>

static struct slice slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

/* --- which collection ----------------------------------------------------------------------------- */

static bool takes(const struct mapping *m, const char *collection)
{
    return mapping_set_find(m->set, slice_of(m->database), slice_of(collection)) == m;
}

static bool is_segment(const char *literal, const char *service)
{
    char segment[TAILWATER_SEGMENT_MAX];
    size_t len = tailwater_segment_encode(service, strlen(service), segment);
    return len > 0 && len == strlen(literal) && memcmp(literal, segment, len) == 0;
}

static const struct label *service_label(const struct mapping *m)
{
    for (size_t i = 0; i < m->label_count; i++) {
        if (strcmp(m->labels[i].name, "service") == 0) {
            return &m->labels[i];
        }
    }
    return NULL;
}

static bool has_literal(const struct mapping *m, const char *service)
{
    for (size_t i = 1; i < template_count(m->channel); i++) {
        const char *literal = template_literal(m->channel, i);
        if (literal && is_segment(literal, service)) {
            return true;
        }
    }
    return false;
}

/* Whatever its collections are called. */
static bool is_of(const struct mapping *m, const char *service)
{
    const struct label *label = service_label(m);
    if (!service || has_literal(m, service) || template_has_field(m->channel, "service")) {
        return true;
    }
    return label && ((label->kind == LABEL_TEXT && strcmp(label->value, service) == 0) ||
                     (label->kind == LABEL_DATABASE && strcmp(m->database, service) == 0));
}

/* Does a collection's name say of which service its documents are? */
static bool is_by_collection(const struct mapping *m)
{
    const struct label *label = service_label(m);
    return label ? label->kind == LABEL_COLLECTION : template_uses_collection(m->channel);
}

/* The first that it lists by name; only: the one of this name. NULL = any. */
static const char *listed(const struct mapping *m, const char *only)
{
    for (size_t i = 0; i < m->collections.count; i++) {
        const char *name = m->collections.at[i];
        if (!collection_is_glob(name) && (!only || strcmp(name, only) == 0) && takes(m, name)) {
            return name;
        }
    }
    return NULL;
}

const char *mapping_service_collection(const struct mapping *m, const char *service, const char *fallback)
{
    if (mapping_is_own(m)) {
        return NULL;
    }
    bool any = is_of(m, service);
    if (!any && !is_by_collection(m)) {
        return NULL;
    }
    const char *name = listed(m, any ? NULL : service);
    if (name) {
        return name;
    }
    return takes(m, fallback) && (any || takes(m, service)) ? fallback : NULL;
}

const bson_t *mapping_change_filter(const struct mapping *m)
{
    return m->change_filter;
}

/* --- which fields --------------------------------------------------------------------------------- */

static bool has_field(const struct template *t, size_t segment, const char *name)
{
    for (size_t i = 0; i < template_field_count(t, segment); i++) {
        struct slice field = template_field(t, segment, i);
        if (field.len == strlen(name) && memcmp(field.data, name, field.len) == 0) {
            return true;
        }
    }
    return false;
}

/* The first field segment from `from` on that has one of the names; names NULL: that is not taken. */
static int find_segment(const struct template *t, size_t from, const char *const *names,
                        const struct service_segments *taken)
{
    for (size_t i = from; i < template_count(t); i++) {
        int segment = (int)i;
        if (template_kind(t, i) != TEMPLATE_FIELD || segment == taken->workspace || segment == taken->resource ||
            segment == taken->service) {
            continue;
        }
        for (const char *const *name = names; name && *name; name++) {
            if (has_field(t, i, *name)) {
                return segment;
            }
        }
        if (!names) {
            return segment;
        }
    }
    return -1;
}

struct service_segments mapping_service_segments(const struct mapping *m)
{
    static const char *const services[] = {"service", NULL}, *const workspaces[] = {"workspace_id", NULL};
    static const char *const resources[] = {"workflow_id", "function_id", "resource_id", NULL};
    struct service_segments at = {-1, -1, -1};
    at.service = find_segment(m->channel, 0, services, &at);
    at.workspace = find_segment(m->channel, 0, workspaces, &at);
    at.resource = find_segment(m->channel, 0, resources, &at);
    if (at.workspace < 0) {
        at.workspace = find_segment(m->channel, 0, NULL, &at);
    }
    if (at.resource < 0 && at.workspace >= 0) {
        at.resource = find_segment(m->channel, (size_t)at.workspace, NULL, &at);
    }
    return at;
}

size_t mapping_service_field(const struct mapping *m, int segment, const char *name)
{
    size_t count = template_field_count(m->channel, (size_t)segment);
    for (size_t i = 0; i < count; i++) {
        struct slice field = template_field(m->channel, (size_t)segment, i);
        if (field.len == strlen(name) && memcmp(field.data, name, field.len) == 0) {
            return i;
        }
    }
    return 0;
}
