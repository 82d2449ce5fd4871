/* endpoint_change - PATCH /api/logs/stream/{connection_id} {"add":[…],"remove":[…]}: another subscription for a live
 * stream. This loop reads what is asked for; the stream's loop, which the connection id names, does it. */
#include "endpoints.h"

#include "pending.h"
#include "reply.h"
#include "rights.h"
#include "routes.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Returns 0, or -1 with *err. */
static int read_list(const char *name, const json_t *value, char ***out, unsigned *count, struct error *err)
{
    size_t i;
    const json_t *item;
    if (!json_is_array(value)) {
        return error_set(err, "%s: must be an array of strings", name);
    }
    *out = memory_zero(json_array_size(value) + 1, sizeof **out);
    json_array_foreach(value, i, item)
    {
        if (!json_is_string(item)) {
            return error_set(err, "%s: must be an array of strings", name);
        }
        (*out)[(*count)++] = memory_text(json_string_value(item));
    }
    return 0;
}

static int read_member(const char *name, const json_t *value, struct subscription_change *out, struct error *err)
{
    if (strcmp(name, "add") == 0) {
        return read_list(name, value, &out->add, &out->add_count, err);
    }
    if (strcmp(name, "remove") == 0) {
        return read_list(name, value, &out->remove, &out->remove_count, err);
    }
    return error_set(err, "the body's member %.40s is not known; add and remove are", name);
}

static int read_members(json_t *root, struct subscription_change *out, struct error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach(root, name, value)
    {
        if (read_member(name, value, out, err) != 0) {
            return -1;
        }
    }
    if (out->add_count + out->remove_count == 0) {
        return error_set(err, "give channels or patterns to add or to remove");
    }
    return 0;
}

static int read_body(struct slice body, struct subscription_change *out, struct error *err)
{
    json_error_t problem;
    json_t *root = json_loadb(body.data, body.len, JSON_REJECT_DUPLICATES, &problem);
    int rc = -1;
    if (!root) {
        error_set(err, "the body is not valid JSON: line %d: %s", problem.line, problem.text);
    } else if (!json_is_object(root)) {
        error_set(err, "the body must be a JSON object");
    } else {
        rc = read_members(root, out, err);
    }
    json_decref(root);
    return rc;
}

static bool is_too_long(const struct subscription_change *wanted, const struct http_settings *settings)
{
    return wanted->add_count > settings->channels_max || wanted->remove_count > settings->channels_max;
}

/* Who asks: the stream's loop compares. Returns 0, or -1 after a refusal. */
static int identify(struct loop *loop, struct exchange *x, struct stream_change *change)
{
    struct rights rights;
    struct rights_refusal refusal;
    if (rights_read(loop, x, NULL, NULL, &rights, &refusal) != 0) {
        rights_refuse(loop, x, &refusal);
        return -1;
    }
    change->identity = identity_ref(rights.identity);
    rights_fini(&rights);
    return 0;
}

/* Takes the change. */
static void ask(struct loop *loop, struct exchange *x, struct stream_change *change)
{
    struct http_context *context = loop->context;
    struct pending *p = pending_new(loop, x, NULL);
    change->box = loop->mailbox;
    change->number = p->number;
    pending_wait(p);
    mailbox_post(context->loops[connection_id_loop(change->connection_id, context->loop_count)],
                 (struct message){.type = MESSAGE_CHANGE, .object = change});
}

void endpoint_change(struct loop *loop, struct exchange *x, const struct http_alias *alias)
{
    (void)alias;
    const struct http_settings *settings = &loop->context->settings;
    struct stream_change *change = memory_zero(1, sizeof *change);
    struct error err;
    if (loop->draining || atomic_load(&loop->context->draining)) {
        reply_problem(x, settings, 503, "draining", "this instance is shutting down");
    } else if (!exchange_has_json(x)) {
        reply_problem(x, settings, 415, "unsupported_media_type", "the body must be application/json");
    } else if (read_body(exchange_body(x), &change->wanted, &err) != 0) {
        reply_problem(x, settings, 400, "invalid_body", err.text);
    } else if (is_too_long(&change->wanted, settings)) {
        reply_problem(x, settings, 400, "too_many_channels", "more channels than one stream may have");
    } else if (connection_id_parse(routes_parameter(x), change->connection_id) != 0) {
        reply_problem(x, settings, 404, "connection_not_found",
                      "what stands in the path is not the id of a connection");
    } else if (identify(loop, x, change) == 0) {
        ask(loop, x, change);
        return;
    }
    stream_change_free(change);
}

void endpoint_change_answer(struct loop *loop, struct stream_change *change)
{
    const struct http_settings *settings = &loop->context->settings;
    struct pending *p = pending_find_number(loop, change->number);
    if (p && change->status == 200) {
        reply_json(p->exchange, settings, 200, change->body.data, change->body.len);
    } else if (p) {
        reply_problem(p->exchange, settings, change->status, change->code, change->error.text);
    }
    if (p) {
        pending_end(p);
    }
    stream_change_free(change);
}
