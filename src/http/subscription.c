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
    unsigned cap, asked;
    const char **code;
    struct error *err;
};

static int refuse(struct draft *d, const char *code)
{
    *d->code = code;
    return -1;
}

static void add(struct draft *d, const char *text, size_t len)
{
    struct subscription *s = d->made;
    for (unsigned i = 0; i < s->count; i++) {
        if (s->list[i].len == len && memcmp(s->list[i].text, text, len) == 0) {
            return;
        }
    }
    if (s->count == d->cap) {
        d->cap = d->cap ? d->cap * 2 : 4;
        s->list = memory_resize(s->list, d->cap * sizeof *s->list);
    }
    s->list[s->count++] = (struct subscription_channel){
        .text = memory_copy(text, len), .len = len, .is_pattern = tailwater_channel_is_pattern(text, len)};
}

static bool can_be_produced(const struct http_context *context, const char *text, size_t len)
{
    for (unsigned i = 0; i < context->source_count; i++) {
        if (catalog_can_produce(context->sources[i]->catalog, text, len)) {
            return true;
        }
    }
    return false;
}

static void note_unmatched(struct draft *d, const char *text, size_t len)
{
    struct subscription *s = d->made;
    s->unmatched = memory_resize(s->unmatched, (s->unmatched_count + 1) * sizeof *s->unmatched);
    s->unmatched[s->unmatched_count++] = memory_copy(text, len);
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

static int add_asked(struct draft *d, const char *text, size_t len)
{
    const char *problem = tailwater_channel_problem(text, len, true);
    if (problem) {
        error_set(d->err, "channels: \"%.*s\" is not a channel or pattern: %s", len > 100 ? 100 : (int)len, text, problem);
        return refuse(d, "invalid_channel");
    }
    if (++d->asked > d->context->settings.channels_max) {
        error_set(d->err, "channels: more than %u channels and patterns", d->context->settings.channels_max);
        return refuse(d, "too_many_channels");
    }
    struct buffer wider = BUFFER_INIT;
    add(d, text, len);
    bool widened = widen(d->context, text, len, &wider);
    if (widened) {
        add(d, wider.data, wider.len);
    }
    if (!can_be_produced(d->context, text, len) &&
        !(widened && can_be_produced(d->context, wider.data, wider.len))) {
        note_unmatched(d, text, len);
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
    int rc = add_asked(d, channel->data, channel->len);
    buffer_append_text(channel, ":*");
    add(d, channel->data, channel->len);
    return rc;
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
    if (d->made->count == 0) {
        error_set(d->err, "say what to stream: channels=logs:etl:workspace:workflow (or a pattern such as logs:*), or "
                          "service=, workspace_id=, workflow_id=");
        return refuse(d, "missing_channels");
    }
    return 0;
}

static int compare_channels(const void *a, const void *b)
{
    const struct subscription_channel *x = a, *y = b;
    if (x->is_pattern != y->is_pattern) {
        return x->is_pattern - y->is_pattern;
    }
    size_t shorter = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->text, y->text, shorter);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

int subscription_new(const struct params *params, const struct http_alias *alias, const struct http_context *context,
                     struct subscription **out, const char **code, struct error *err)
{
    struct draft d = {.context = context, .made = memory_zero(1, sizeof *d.made), .code = code, .err = err};
    if (fill(&d, params, alias) != 0) {
        subscription_free(d.made);
        return -1;
    }
    qsort(d.made->list, d.made->count, sizeof *d.made->list, compare_channels);
    while (d.made->exact_count < d.made->count && !d.made->list[d.made->exact_count].is_pattern) {
        d.made->exact_count++;
    }
    *out = d.made;
    return 0;
}

void subscription_free(struct subscription *s)
{
    if (!s) {
        return;
    }
    for (unsigned i = 0; i < s->count; i++) {
        free(s->list[i].text);
    }
    for (unsigned i = 0; i < s->unmatched_count; i++) {
        free(s->unmatched[i]);
    }
    free(s->list);
    free(s->unmatched);
    free(s);
}

bool subscription_wants(const struct subscription *s, struct slice channel)
{
    struct subscription_channel key = {.text = (char *)(uintptr_t)channel.data, .len = channel.len};
    if (s->exact_count && bsearch(&key, s->list, s->exact_count, sizeof key, compare_channels)) {
        return true;
    }
    for (unsigned i = s->exact_count; i < s->count; i++) {
        if (tailwater_pattern_match(s->list[i].text, s->list[i].len, channel.data, channel.len)) {
            return true;
        }
    }
    return false;
}

bool subscription_may_get(const struct subscription *s, struct slice pattern, struct catalog *catalog)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct subscription_channel *c = &s->list[i];
        if (tailwater_pattern_overlap(c->text, c->len, pattern.data, pattern.len) &&
            catalog_can_produce(catalog, c->text, c->len)) {
            return true;
        }
    }
    return false;
}
