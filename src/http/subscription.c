/* subscription - see subscription.h. */
#include "subscription.h"

#include "buffer.h"
#include "tailwater/channel.h"

#include <stdlib.h>
#include <string.h>

/* A subscription being made. */
struct draft {
    const struct http_context *context;
    struct subscription *made;
    const char *from; /* what to call it in a sentence about a channel */
    unsigned cap, asked;
    const char **code;
    struct error *err;
};

static int refuse(struct draft *d, const char *code)
{
    *d->code = code;
    return -1;
}

static bool is_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
    return a_len == b_len && memcmp(a, b, a_len) == 0;
}

static void add_name(struct draft *d, const char *text, size_t len, bool widened)
{
    struct subscription *s = d->made;
    if (s->name_count == d->cap) {
        d->cap = d->cap ? d->cap * 2 : 2;
        s->names = memory_resize(s->names, d->cap * sizeof *s->names);
    }
    s->names[s->name_count++] = (struct subscription_name){memory_copy(text, len), len, widened};
    d->asked += !widened;
}

static bool is_asked(const struct subscription *s, const char *text, size_t len)
{
    for (unsigned i = 0; i < s->name_count; i++) {
        if (!s->names[i].widened && is_text(s->names[i].text, s->names[i].len, text, len)) {
            return true;
        }
    }
    return false;
}

static bool is_service(const struct http_context *context, const char *segment, size_t len)
{
    for (unsigned i = 0; i < context->source_count; i++) {
        if (catalog_has_service(context->sources[i]->catalog, segment, len)) {
            return true;
        }
    }
    return false;
}

/* "logs:{a}:{b}" where a is no known service also means "logs:*:{a}:{b}". The wider one goes to out, NUL-terminated. */
static bool widen(const struct http_context *context, const char *text, size_t len, struct buffer *out)
{
    const char *prefix = "logs:";
    size_t prefix_len = strlen(prefix);
    if (len <= prefix_len || memcmp(text, prefix, prefix_len) != 0) {
        return false;
    }
    const char *a = text + prefix_len;
    const char *colon = memchr(a, ':', len - prefix_len);
    if (!colon || memchr(colon + 1, ':', (size_t)(text + len - colon - 1))) {
        return false; /* not three segments */
    }
    size_t a_len = (size_t)(colon - a);
    if ((a_len == 1 && *a == '*') || is_service(context, a, a_len)) {
        return false;
    }
    buffer_append_text(out, "logs:*:");
    buffer_append(out, a, len - prefix_len);
    return true;
}

static int check_name(struct draft *d, const char *text, size_t len)
{
    const char *problem = tailwater_channel_problem(text, len, true);
    if (problem) {
        error_set(d->err, "%s: \"%.*s\" is not a channel or pattern: %s", d->from, len > 100 ? 100 : (int)len, text,
                  problem);
        return refuse(d, "invalid_channel");
    }
    return 0;
}

static int add_asked(struct draft *d, const char *text, size_t len)
{
    if (check_name(d, text, len) != 0) {
        return -1;
    }
    if (is_asked(d->made, text, len)) {
        return 0;
    }
    if (d->asked >= d->context->settings.channels_max) {
        error_set(d->err, "%s: more than %u channels and patterns", d->from, d->context->settings.channels_max);
        return refuse(d, "too_many_channels");
    }
    struct buffer wider = BUFFER_INIT;
    add_name(d, text, len, false);
    if (widen(d->context, text, len, &wider)) {
        add_name(d, wider.data, wider.len, true);
    }
    buffer_fini(&wider);
    return 0;
}

static int add_list(struct draft *d, const char *list)
{
    while (*list) {
        size_t len = strcspn(list, ",");
        const char *start = list;
        size_t trimmed = len;
        while (trimmed && *start == ' ') {
            start++;
            trimmed--;
        }
        while (trimmed && start[trimmed - 1] == ' ') {
            trimmed--;
        }
        if (trimmed && add_asked(d, start, trimmed) != 0) {
            return -1;
        }
        list += len + (list[len] == ',');
    }
    return 0;
}

/* Append ":" and the parameter's value as a segment; "*" when it is absent. */
static int append_segment(struct draft *d, struct buffer *channel, const char *name, const char *value)
{
    char segment[TAILWATER_SEGMENT_MAX];
    buffer_append_byte(channel, ':');
    if (!value) {
        buffer_append_byte(channel, '*');
        return 0;
    }
    size_t len = tailwater_segment_encode(value, strlen(value), segment);
    if (len == 0) {
        error_set(d->err, "%s: must be UTF-8 of at most 128 bytes", name);
        return refuse(d, "invalid_parameter");
    }
    buffer_append(channel, segment, len);
    return 0;
}

/* "X" and everything below it. */
static int add_with_below(struct draft *d, struct buffer *channel)
{
    bool again = is_asked(d->made, channel->data, channel->len);
    if (add_asked(d, channel->data, channel->len) != 0) {
        return -1;
    }
    buffer_append_text(channel, ":*");
    if (again) {
        return add_asked(d, channel->data, channel->len);
    }
    add_name(d, channel->data, channel->len, true);
    return 0;
}

static int add_by_keys(struct draft *d, const char *service, const char *workspace, const char *resource)
{
    struct buffer channel = BUFFER_INIT;
    int rc = 0;
    buffer_append_text(&channel, "logs");
    rc = append_segment(d, &channel, "service", service);
    if (rc == 0 && (workspace || resource)) {
        rc = append_segment(d, &channel, "workspace_id", workspace);
    }
    if (rc == 0 && resource) {
        rc = append_segment(d, &channel, "workflow_id", resource);
    }
    if (rc == 0 && !workspace && !resource) {
        buffer_append_text(&channel, ":*");
    }
    if (rc == 0) {
        rc = workspace && !resource ? add_with_below(d, &channel) : add_asked(d, channel.data, channel.len);
    }
    buffer_fini(&channel);
    return rc;
}

/* Fill the alias's template; a missing last parameter means the service-level channel and everything below it. */
static int add_by_alias(struct draft *d, const struct params *params, const char *template)
{
    struct buffer channel = BUFFER_INIT;
    int rc = 0;
    bool missing = false;
    for (const char *at = template; *at && rc == 0;) {
        size_t len = strcspn(at, ":");
        bool last = at[len] == '\0';
        char name[64] = "";
        bool placeholder = at[0] == '{' && len > 2 && len - 2 < sizeof name;
        if (placeholder) {
            memcpy(name, at + 1, len - 2);
        }
        const char *value = placeholder ? params_get(params, name) : NULL;
        missing = placeholder && !value;
        if (missing && !last) {
            error_set(d->err, "%s: is required", name);
            rc = refuse(d, "missing_parameter");
        } else if (placeholder && value) {
            rc = append_segment(d, &channel, name, value);
        } else if (!placeholder) {
            buffer_append_byte(&channel, ':');
            buffer_append(&channel, at, len);
        }
        at += len + !last;
    }
    if (rc == 0) { /* every segment was appended with a ':' in front */
        struct buffer rest = {.data = channel.data + 1, .len = channel.len - 1, .cap = channel.cap - 1};
        struct buffer copy = BUFFER_INIT;
        buffer_append(&copy, rest.data, rest.len);
        rc = missing ? add_with_below(d, &copy) : add_asked(d, copy.data, copy.len);
        buffer_fini(&copy);
    }
    buffer_fini(&channel);
    return rc;
}

static int fill(struct draft *d, const struct params *params, const struct http_alias *alias)
{
    static const char *const resources[] = {"workflow_id", "function_id", "resource_id", NULL};
    if (alias) {
        return add_by_alias(d, params, alias->channel);
    }
    const char *channels = params_get(params, "channels");
    const char *service = params_get(params, "service");
    const char *workspace = params_get(params, "workspace_id");
    const char *resource = params_get_any(params, resources);
    if (channels && add_list(d, channels) != 0) {
        return -1;
    }
    if ((service || workspace || resource) && add_by_keys(d, service, workspace, resource) != 0) {
        return -1;
    }
    if (d->asked == 0) {
        error_set(d->err, "say what to stream: channels=logs:etl:workspace:workflow (or a pattern such as logs:*), or "
                          "service=, workspace_id=, workflow_id=");
        return refuse(d, "missing_channels");
    }
    return 0;
}

static int finish(struct draft *d, int rc, struct subscription **out)
{
    if (rc != 0) {
        subscription_free(d->made);
        return -1;
    }
    *out = d->made;
    return 0;
}

int subscription_new(const struct params *params, const struct http_alias *alias, const struct http_context *context,
                     struct subscription **out, const char **code, struct error *err)
{
    struct draft d = {.context = context, .from = "channels", .code = code, .err = err};
    d.made = memory_zero(1, sizeof *d.made);
    return finish(&d, fill(&d, params, alias), out);
}

/* --- changing it ------------------------------------------------------------------------------------- */

static bool is_removed(const struct subscription_change *change, const struct subscription_name *name)
{
    for (unsigned i = 0; i < change->remove_count; i++) {
        if (is_text(change->remove[i], strlen(change->remove[i]), name->text, name->len)) {
            return true;
        }
    }
    return false;
}

/* What is kept of the old names: with what was asked for goes what it was widened to. */
static void keep(struct draft *d, const struct subscription *old, const struct subscription_change *change)
{
    bool asked_is_kept = false;
    for (unsigned i = 0; i < old->name_count; i++) {
        const struct subscription_name *name = &old->names[i];
        bool removed = is_removed(change, name);
        asked_is_kept = name->widened ? asked_is_kept : !removed;
        if (asked_is_kept && !removed) {
            add_name(d, name->text, name->len, name->widened);
        }
    }
}

static int apply(struct draft *d, const struct subscription *old, const struct subscription_change *change)
{
    d->from = "remove";
    for (unsigned i = 0; i < change->remove_count; i++) {
        if (check_name(d, change->remove[i], strlen(change->remove[i])) != 0) {
            return -1;
        }
    }
    keep(d, old, change);
    d->from = "add";
    for (unsigned i = 0; i < change->add_count; i++) {
        if (add_asked(d, change->add[i], strlen(change->add[i])) != 0) {
            return -1;
        }
    }
    if (d->asked == 0) {
        error_set(d->err, "remove: nothing would be left; close the stream instead");
        return refuse(d, "missing_channels");
    }
    return 0;
}

int subscription_changed(const struct subscription *old, const struct subscription_change *change,
                         const struct http_context *context, struct subscription **out, const char **code,
                         struct error *err)
{
    struct draft d = {.context = context, .code = code, .err = err};
    d.made = memory_zero(1, sizeof *d.made);
    return finish(&d, apply(&d, old, change), out);
}

struct subscription *subscription_copy_asked(const struct subscription *s)
{
    struct subscription *copy = memory_zero(1, sizeof *copy);
    copy->names = memory_new(s->name_count * sizeof *copy->names);
    copy->name_count = s->name_count;
    for (unsigned i = 0; i < s->name_count; i++) {
        const struct subscription_name *name = &s->names[i];
        copy->names[i] = (struct subscription_name){memory_copy(name->text, name->len), name->len, name->widened};
    }
    return copy;
}
