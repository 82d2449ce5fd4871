/*
 * fuzz_query - the parameters of a request, from query and JSON body, to a subscription: what is accepted is text,
 * channels and patterns by their grammar, JSON again, and never more than was granted. The first byte of an input
 * chooses an alias and the grants; then the query up to a line feed, then the body.
 */
#include "params.h"
#include "subscription.h"
#include "tailwater/channel.h"
#include "utf8.h"

#include "must.h"

#include <jansson.h>

static struct http_context context;

static const struct http_alias aliases[] = {
    {"/x", "logs:etl:{workspace_id}:{workflow_id}"},
    {"/y", "{q}:{q}"},
};

static char all[] = "*", some[] = "logs:etl:*", one[] = "logs:etl:w:f", last[] = "*:q";
static char *const everything[] = {all}, *const little[] = {some, one, last};

static const char *const names[] = {"channels", "service", "workspace_id", "workflow_id", "function_id", "resource_id",
                                    "tail",     "since",   "min_level",    "level",       "q",           "max_rate",
                                    "last_event_id"};

static void set_up(void)
{
    struct source_options options = {.name = "logs", .tag = 'a', .journal = {.max_bytes = 1000}};
    context.settings.channels_max = 8;
    context.sources[0] = source_new(&options);
    context.source_count = 1;
    catalog_add_service(context.sources[0]->catalog, "etl");
    catalog_add_shape(context.sources[0]->catalog, "logs:etl:*:*", true);
}

static void check_text(const char *text)
{
    uint32_t code;
    size_t len = strlen(text);
    for (size_t i = 0; i < len;) {
        int n = utf8_decode(text + i, len - i, &code);
        must(n > 0, "a parameter that is not UTF-8");
        i += (size_t)n;
    }
}

static bool is_granted(const struct subscription_channel *c, char *const *grants, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (tailwater_pattern_covers(grants[i], strlen(grants[i]), c->text, c->len)) {
            return true;
        }
    }
    return false;
}

static void check_subscription(const struct subscription *s, char *const *grants, unsigned count)
{
    struct buffer json = BUFFER_INIT;
    must(s->exact_count <= s->count, "more channels than all");
    for (unsigned i = 0; i < s->count; i++) {
        const struct subscription_channel *c = &s->list[i];
        must(strlen(c->text) == c->len, "a channel with a NUL");
        must(tailwater_channel_problem(c->text, c->len, c->is_pattern) == NULL, "a channel that is none");
        must(c->is_pattern || subscription_wants(s, (struct slice){c->text, c->len}), "a channel it does not want");
        must(subscription_has(s, c->text, c->len), "a channel it does not have");
        must(is_granted(c, grants, count), "a channel that is not granted");
    }
    buffer_append_byte(&json, '{');
    subscription_append_json(s, &json);
    buffer_append_byte(&json, '}');
    json_t *root = json_loadb(json.data, json.len, JSON_REJECT_DUPLICATES, NULL);
    must(root != NULL, "it is not told as JSON");
    json_decref(root);
    buffer_fini(&json);
}

static void check_granting(const struct subscription *asked, char *const *grants, unsigned count)
{
    struct error err = {.text = ""};
    struct subscription *subscription = subscription_copy_asked(asked);
    const char *code = NULL;
    if (subscription_grant(subscription, &context, grants, count, &code, &err) == 0) {
        must(subscription->count > 0 || count > 1, "nothing of everything");
        check_subscription(subscription, grants, count);
    } else {
        must(code && err.text[0], "grants refused without a word");
    }
    subscription_free(subscription);
}

static void check_params(const struct params *params, const struct http_alias *alias)
{
    struct error err = {.text = ""};
    struct filter *filter = NULL;
    struct subscription *subscription = NULL;
    const char *code = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = params_get(params, names[i]);
        if (value) {
            check_text(value);
        }
    }
    must(params_read_filter(params, &filter, &err) == 0 || err.text[0], "a filter refused without a word");
    filter_free(filter);
    if (subscription_new(params, alias, &context, &subscription, &code, &err) == 0) {
        check_granting(subscription, everything, 1);
        check_granting(subscription, little, 3);
        subscription_free(subscription);
    } else {
        must(code && err.text[0], "a subscription refused without a word");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
    struct error err = {.text = ""};
    if (!context.source_count) {
        set_up();
    }
    if (len < 1) {
        return 0;
    }
    const uint8_t *text = input + 1, *feed = memchr(text, '\n', len - 1);
    size_t query_len = feed ? (size_t)(feed - text) : len - 1;
    size_t body_len = feed ? len - 1 - query_len - 1 : 0;
    char *query = must_copy(text, query_len);
    char *body = must_copy(feed ? feed + 1 : text, body_len);
    struct params *params = params_from_query((struct slice){query, query_len}, &err);
    must(params != NULL || err.text[0], "a query refused without a word");
    if (params && feed && params_add_json(params, (struct slice){body, body_len}, &err) != 0) {
        must(err.text[0] != '\0', "a body refused without a word");
    }
    if (params) {
        check_params(params, input[0] % 4 < 2 ? &aliases[input[0] % 4] : NULL);
    }
    params_free(params);
    free(query);
    free(body);
    return 0;
}
