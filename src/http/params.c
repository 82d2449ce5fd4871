/* params - see params.h. */
#include "params.h"

#include "buffer.h"
#include "utf8.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PARAMS_MAX = 64 };

struct param {
    char *name, *value;
};

struct params {
    struct param list[PARAMS_MAX];
    int count;
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decode %xx and '+' into a new string; NULL when it is malformed or holds a NUL. */
static char *decode(const char *text, size_t len)
{
    char *out = memory_new(len + 1);
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '+') {
            c = ' ';
        } else if (c == '%') {
            int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < len ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0) {
                free(out);
                return NULL;
            }
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (c == '\0') {
            free(out);
            return NULL;
        }
        out[used++] = c;
    }
    out[used] = '\0';
    return out;
}

/* Index of the first parameter with this name, or -1. */
static int find(const struct params *p, const char *name)
{
    for (int i = 0; i < p->count; i++) {
        if (strcmp(p->list[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

/* Takes both strings. */
static int add(struct params *p, char *name, char *value, bool replace, struct error *err)
{
    int old = find(p, name);
    if (old >= 0 && replace) {
        free(p->list[old].value);
        p->list[old].value = value;
        free(name);
        return 0;
    }
    if (p->count == PARAMS_MAX) {
        free(name);
        free(value);
        return error_set(err, "the request has more than %d parameters", PARAMS_MAX);
    }
    p->list[p->count++] = (struct param){name, value};
    return 0;
}

static bool is_utf8(const char *text)
{
    uint32_t code;
    size_t len = strlen(text);
    for (size_t i = 0; i < len;) {
        int n = utf8_decode(text + i, len - i, &code);
        if (n < 0) {
            return false;
        }
        i += (size_t)n;
    }
    return true;
}

static int add_pair(struct params *p, const char *text, size_t len, struct error *err)
{
    const char *equals = memchr(text, '=', len);
    size_t name_len = equals ? (size_t)(equals - text) : len;
    char *name = decode(text, name_len);
    char *value = equals ? decode(equals + 1, len - name_len - 1) : memory_text("");
    if (!name || !value || !is_utf8(name) || !is_utf8(value)) {
        error_set(err, "the query's parameter %.*s is not properly percent-encoded UTF-8",
                  name_len > 40 ? 40 : (int)name_len, text);
        free(name);
        free(value);
        return -1;
    }
    return add(p, name, value, false, err);
}

struct params *params_from_query(struct slice query, struct error *err)
{
    struct params *p = memory_zero(1, sizeof *p);
    const char *at = query.data, *end = query.data + query.len;
    while (at < end) {
        const char *amp = memchr(at, '&', (size_t)(end - at));
        const char *stop = amp ? amp : end;
        if (stop > at && add_pair(p, at, (size_t)(stop - at), err) != 0) {
            params_free(p);
            return NULL;
        }
        at = amp ? amp + 1 : end;
    }
    return p;
}

static char *join_strings(const json_t *array)
{
    struct buffer b = BUFFER_INIT;
    size_t i;
    json_t *item;
    json_array_foreach(array, i, item)
    {
        if (!json_is_string(item)) {
            buffer_fini(&b);
            return NULL;
        }
        if (i) {
            buffer_append_byte(&b, ',');
        }
        buffer_append(&b, json_string_value(item), json_string_length(item));
    }
    char *text = memory_copy(b.len ? b.data : "", b.len);
    buffer_fini(&b);
    return text;
}

static char *json_text(const json_t *value)
{
    if (json_is_string(value)) {
        return memory_text(json_string_value(value));
    }
    if (json_is_array(value)) {
        return join_strings(value);
    }
    if (json_is_number(value) || json_is_boolean(value)) {
        return json_dumps(value, JSON_ENCODE_ANY);
    }
    return json_is_null(value) ? memory_text("") : NULL;
}

int params_add_json(struct params *p, struct slice body, struct error *err)
{
    json_error_t problem;
    json_t *root = json_loadb(body.data, body.len, JSON_REJECT_DUPLICATES, &problem);
    if (!json_is_object(root)) {
        json_decref(root);
        return root ? error_set(err, "the body must be a JSON object")
                    : error_set(err, "the body is not valid JSON: line %d: %s", problem.line, problem.text);
    }
    const char *name;
    json_t *value;
    int rc = 0;
    json_object_foreach(root, name, value)
    {
        char *text = json_text(value);
        if (!text) {
            rc = error_set(err, "the body's member %.40s must be a string, a number or an array of strings", name);
        } else {
            rc = add(p, memory_text(name), text, true, err);
        }
        if (rc != 0) {
            break;
        }
    }
    json_decref(root);
    return rc;
}

void params_free(struct params *p)
{
    if (!p) {
        return;
    }
    for (int i = 0; i < p->count; i++) {
        free(p->list[i].name);
        free(p->list[i].value);
    }
    free(p);
}

const char *params_get(const struct params *p, const char *name)
{
    int found = find(p, name);
    return found >= 0 && p->list[found].value[0] ? p->list[found].value : NULL;
}

const char *params_get_any(const struct params *p, const char *const *names)
{
    for (; *names; names++) {
        const char *value = params_get(p, *names);
        if (value) {
            return value;
        }
    }
    return NULL;
}

int params_read_filter(const struct params *p, struct filter **out, struct error *err)
{
    struct filter_request request = {
        .min_level = params_get(p, "min_level"),
        .level = params_get(p, "level"),
        .q = params_get(p, "q"),
    };
    return filter_new(&request, out, err);
}
