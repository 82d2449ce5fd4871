/* match - see match.h. */
#include "match.h"

#include "field_path.h"
#include "iso_time.h"

#include <string.h>

enum {
    DEPTH_MAX = 20,        /* of operators and of values; the server allows 100 */
    REGEX_MAX = 1000,      /* bytes of a pattern */
    REGEX_GROUPS_MAX = 50, /* nested */
};

struct compiler {
    struct buffer *where;
    struct error *err;
    const char *prefix;
    unsigned depth;
};

/* `where` grows on the way down and is left as it is when something fails, so that it leads to the place. */
static size_t enter(struct compiler *c, const char *key)
{
    size_t back = c->where->len;
    buffer_append_byte(c->where, '.');
    buffer_append_text(c->where, key);
    return back;
}

static size_t enter_index(struct compiler *c, size_t index)
{
    size_t back = c->where->len;
    buffer_printf(c->where, "[%zu]", index);
    return back;
}

static void leave(struct compiler *c, size_t back)
{
    c->where->len = back;
}

/* --- values ------------------------------------------------------------------------------------- */

static int append_value(struct compiler *c, bson_t *to, const char *key, const json_t *value);

static bool is_operator(const char *key)
{
    return key[0] == '$';
}

/* The first key of an object, or "". */
static const char *first_key(const json_t *object)
{
    const char *key = json_object_iter_key(json_object_iter((json_t *)(uintptr_t)object));
    return key ? key : "";
}

/* {"$oid": …} and {"$date": …} are values, not operators. */
static bool is_literal_object(const json_t *value)
{
    const char *key = first_key(value);
    return json_object_size(value) == 1 && (strcmp(key, "$oid") == 0 || strcmp(key, "$date") == 0);
}

static int append_literal_object(struct compiler *c, bson_t *to, const char *key, const json_t *value)
{
    const json_t *oid = json_object_get(value, "$oid");
    const json_t *date = json_object_get(value, "$date");
    int64_t wall_ms;
    if (oid) {
        const char *text = json_string_value(oid);
        bson_oid_t id;
        if (!text || !bson_oid_is_valid(text, json_string_length(oid))) {
            return error_set(c->err, "\"$oid\" must be 24 hex digits");
        }
        bson_oid_init_from_string(&id, text);
        BSON_APPEND_OID(to, key, &id);
        return 0;
    }
    if (json_is_integer(date)) {
        wall_ms = json_integer_value(date);
    } else if (!json_is_string(date) ||
               iso_time_parse(json_string_value(date), json_string_length(date), &wall_ms) < 0) {
        return error_set(c->err, "\"$date\" must be an ISO 8601 time or milliseconds since 1970");
    }
    BSON_APPEND_DATE_TIME(to, key, wall_ms);
    return 0;
}

static int append_object(struct compiler *c, bson_t *to, const char *key, const json_t *value)
{
    bson_t child;
    const char *name;
    json_t *member;
    int rc = 0;
    bson_append_document_begin(to, key, -1, &child);
    json_object_foreach((json_t *)(uintptr_t)value, name, member) {
        size_t back = enter(c, name);
        rc = is_operator(name) ? error_set(c->err, "\"%.80s\" is not possible here: this is a value", name)
                               : append_value(c, &child, name, member);
        if (rc < 0) {
            break;
        }
        leave(c, back);
    }
    bson_append_document_end(to, &child);
    return rc;
}

static int append_array(struct compiler *c, bson_t *to, const char *key, const json_t *value)
{
    bson_t child;
    int rc = 0;
    bson_append_array_begin(to, key, -1, &child);
    for (size_t i = 0; i < json_array_size(value) && rc == 0; i++) {
        char buffer[16];
        const char *index;
        size_t back = enter_index(c, i);
        bson_uint32_to_string((uint32_t)i, &index, buffer, sizeof buffer);
        rc = append_value(c, &child, index, json_array_get(value, i));
        if (rc == 0) {
            leave(c, back);
        }
    }
    bson_append_array_end(to, &child);
    return rc;
}

static int append_nested(struct compiler *c, bson_t *to, const char *key, const json_t *value)
{
    if (c->depth >= DEPTH_MAX) {
        return error_set(c->err, "it is nested more than %d deep", DEPTH_MAX);
    }
    c->depth++;
    int rc = json_is_array(value) ? append_array(c, to, key, value) : append_object(c, to, key, value);
    c->depth--;
    return rc;
}

static int append_value(struct compiler *c, bson_t *to, const char *key, const json_t *value)
{
    json_int_t integer;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return is_literal_object(value) ? append_literal_object(c, to, key, value) : append_nested(c, to, key, value);
    case JSON_ARRAY:
        return append_nested(c, to, key, value);
    case JSON_STRING:
        bson_append_utf8(to, key, -1, json_string_value(value), (int)json_string_length(value));
        return 0;
    case JSON_INTEGER:
        integer = json_integer_value(value);
        if (integer >= INT32_MIN && integer <= INT32_MAX) {
            BSON_APPEND_INT32(to, key, (int32_t)integer);
        } else {
            BSON_APPEND_INT64(to, key, integer);
        }
        return 0;
    case JSON_REAL:
        BSON_APPEND_DOUBLE(to, key, json_real_value(value));
        return 0;
    case JSON_TRUE:
    case JSON_FALSE:
        BSON_APPEND_BOOL(to, key, json_is_true(value));
        return 0;
    case JSON_NULL:
        BSON_APPEND_NULL(to, key);
        return 0;
    }
    return error_set(c->err, "it is no JSON value");
}

/* --- operators on one field --------------------------------------------------------------------- */

static int append_operators(struct compiler *c, bson_t *to, const json_t *operators);
static int append_condition(struct compiler *c, bson_t *to, const json_t *condition);

static int append_list(struct compiler *c, bson_t *to, const char *name, const json_t *operand)
{
    return json_is_array(operand) ? append_value(c, to, name, operand) : error_set(c->err, "%s needs an array", name);
}

static int append_bool(struct compiler *c, bson_t *to, const char *name, const json_t *operand)
{
    return json_is_boolean(operand) ? append_value(c, to, name, operand)
                                    : error_set(c->err, "%s needs true or false", name);
}

static int append_size(struct compiler *c, bson_t *to, const char *name, const json_t *operand)
{
    json_int_t size = json_is_integer(operand) ? json_integer_value(operand) : -1;
    return size >= 0 && size <= INT32_MAX ? append_value(c, to, name, operand)
                                          : error_set(c->err, "%s needs a whole number, zero or more", name);
}

static bool is_type(const json_t *type)
{
    static const char *const names[] = {
        "double",     "string",    "object", "array",   "binData",             "undefined", "objectId", "bool",
        "date",       "null",      "regex",  "dbPointer", "javascript",        "symbol",    "javascriptWithScope",
        "int",        "timestamp", "long",   "decimal", "minKey",              "maxKey",    "number"};
    if (json_is_integer(type)) {
        json_int_t n = json_integer_value(type);
        return (n >= 1 && n <= 19) || n == -1 || n == 127;
    }
    for (size_t i = 0; json_is_string(type) && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], json_string_value(type)) == 0) {
            return true;
        }
    }
    return false;
}

static int append_type(struct compiler *c, bson_t *to, const char *name, const json_t *operand)
{
    bool valid = json_is_array(operand) ? json_array_size(operand) > 0 : is_type(operand);
    for (size_t i = 0; i < json_array_size(operand); i++) {
        valid = valid && is_type(json_array_get(operand, i));
    }
    return valid ? append_value(c, to, name, operand)
                 : error_set(c->err, "%s needs the name or number of a BSON type, or an array of them", name);
}

/* Skip a character class; at: behind its '['. Returns where it ends or NULL. */
static const char *skip_class(const char *at)
{
    at += *at == '^';
    at += *at == ']'; /* first in a class it stands for itself */
    for (; *at; at++) {
        if (*at == ']') {
            return at;
        }
        if (*at == '\\' && *++at == '\0') {
            return NULL;
        }
    }
    return NULL;
}

/*
 * What the server would refuse, as far as it can be told without its regex library: it checks the rest when the stream
 * opens, never on a document. \Q…\E, verbs "(*…)" and call-outs are refused: they have no use in a condition.
 */
static const char *regex_problem(const char *pattern)
{
    unsigned open = 0;
    bool repeatable = false; /* is there something before this place that a quantifier can repeat? */
    for (const char *at = pattern; *at; at++) {
        if (*at == '\\') {
            if (*++at == '\0') {
                return "it ends with a backslash";
            }
            if (*at == 'Q' || *at == 'E') {
                return "\\Q and \\E are not supported";
            }
        } else if (*at == '[') {
            at = skip_class(at + 1);
            if (!at) {
                return "a '[' is not closed";
            }
        } else if (*at == '(') {
            if (at[1] == '*' || strncmp(at, "(?C", 3) == 0) {
                return "\"(*\" and \"(?C\" are not supported";
            }
            if (++open > REGEX_GROUPS_MAX) {
                return "too many groups are nested";
            }
            at += at[1] == '?' ? 1 : 0;
            repeatable = false;
            continue;
        } else if (*at == ')') {
            if (open-- == 0) {
                return "a ')' has no '('";
            }
        } else if (*at == '|') {
            repeatable = false;
            continue;
        } else if (strchr("*+?", *at)) {
            if (!repeatable) {
                return "a '*', '+' or '?' has nothing to repeat";
            }
            at += at[1] == '?' || at[1] == '+' ? 1 : 0;
            repeatable = false;
            continue;
        }
        repeatable = true;
    }
    return open ? "a '(' is not closed" : NULL;
}

static int append_regex(struct compiler *c, bson_t *to, const char *name, const json_t *operand)
{
    const char *pattern = json_string_value(operand);
    if (!pattern || json_string_length(operand) != strlen(pattern)) {
        return error_set(c->err, "%s needs a string without NUL", name);
    }
    if (strlen(pattern) > REGEX_MAX) {
        return error_set(c->err, "%s is longer than %d bytes", name, REGEX_MAX);
    }
    const char *problem = regex_problem(pattern);
    return problem ? error_set(c->err, "%s does not compile: %s", name, problem) : append_value(c, to, name, operand);
}

static int append_options(struct compiler *c, bson_t *to, const char *name, const json_t *operand)
{
    const char *options = json_string_value(operand);
    if (!options || json_string_length(operand) != strlen(options) || options[strspn(options, "imsx")] != '\0') {
        return error_set(c->err, "%s may hold the letters i, m, s and x", name);
    }
    return append_value(c, to, name, operand);
}

static int append_child(struct compiler *c, bson_t *to, const char *name, const json_t *operand,
                        int (*append)(struct compiler *, bson_t *, const json_t *))
{
    if (c->depth >= DEPTH_MAX) {
        return error_set(c->err, "it is nested more than %d deep", DEPTH_MAX);
    }
    bson_t child;
    c->depth++;
    bson_append_document_begin(to, name, -1, &child);
    int rc = append(c, &child, operand);
    bson_append_document_end(to, &child);
    c->depth--;
    return rc;
}

static int append_not(struct compiler *c, bson_t *to, const char *name, const json_t *operand)
{
    if (!json_is_object(operand) || !is_operator(first_key(operand)) || is_literal_object(operand)) {
        return error_set(c->err, "%s needs an object with operators", name);
    }
    return append_child(c, to, name, operand, append_operators);
}

static bool is_logical(const char *key)
{
    return strcmp(key, "$and") == 0 || strcmp(key, "$or") == 0 || strcmp(key, "$nor") == 0;
}

/* Names inside of $elemMatch are relative to the element: no prefix. */
static int append_elem_match(struct compiler *c, bson_t *to, const char *name, const json_t *operand)
{
    if (!json_is_object(operand) || json_object_size(operand) == 0 || is_literal_object(operand)) {
        return error_set(c->err, "%s needs an object with operators or fields", name);
    }
    const char *first = first_key(operand);
    bool on_values = is_operator(first) && !is_logical(first);
    const char *prefix = c->prefix;
    c->prefix = "";
    int rc = append_child(c, to, name, operand, on_values ? append_operators : append_condition);
    c->prefix = prefix;
    return rc;
}

static const struct {
    const char *name;
    int (*append)(struct compiler *c, bson_t *to, const char *name, const json_t *operand);
} operators_known[] = {
    {"$eq", append_value},   {"$ne", append_value},      {"$gt", append_value},    {"$gte", append_value},
    {"$lt", append_value},   {"$lte", append_value},     {"$in", append_list},     {"$nin", append_list},
    {"$all", append_list},   {"$exists", append_bool},   {"$type", append_type},   {"$size", append_size},
    {"$not", append_not},    {"$elemMatch", append_elem_match},
    {"$regex", append_regex}, {"$options", append_options},
};

static int refuse(struct compiler *c, const char *name)
{
    bool raising = strcmp(name, "$expr") == 0 || strcmp(name, "$where") == 0 || strcmp(name, "$jsonSchema") == 0 ||
                   strcmp(name, "$text") == 0;
    return error_set(c->err, "operator \"%.80s\" is not allowed here%s", name,
                     raising ? ": an error in it on one document would end the stream for all" : "");
}

static int append_operator(struct compiler *c, bson_t *to, const char *name, const json_t *operand)
{
    for (size_t i = 0; i < sizeof operators_known / sizeof operators_known[0]; i++) {
        if (strcmp(operators_known[i].name, name) == 0) {
            return operators_known[i].append(c, to, name, operand);
        }
    }
    if (is_operator(name)) {
        return refuse(c, name);
    }
    return error_set(c->err, "\"%.80s\" is no operator; operators and values cannot be mixed", name);
}

static int append_operators(struct compiler *c, bson_t *to, const json_t *operators)
{
    const char *name;
    json_t *operand;
    json_object_foreach((json_t *)(uintptr_t)operators, name, operand) {
        size_t back = enter(c, name);
        if (append_operator(c, to, name, operand) < 0) {
            return -1;
        }
        leave(c, back);
    }
    if (json_object_get(operators, "$options") && !json_object_get(operators, "$regex")) {
        return error_set(c->err, "$options needs a $regex beside it");
    }
    return 0;
}

/* --- conditions --------------------------------------------------------------------------------- */

static int append_field(struct compiler *c, bson_t *to, const char *field, const json_t *value)
{
    char name[32 + FIELD_PATH_MAX + 1];
    const char *problem = field_path_problem(field, strlen(field));
    if (problem) {
        return error_set(c->err, "the field's name %s", problem);
    }
    snprintf(name, sizeof name, "%s%s", c->prefix, field);
    if (json_is_object(value) && is_operator(first_key(value)) && !is_literal_object(value)) {
        return append_child(c, to, name, value, append_operators);
    }
    return append_value(c, to, name, value);
}

static int append_branches(struct compiler *c, bson_t *to, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        char buffer[16];
        const char *index;
        size_t back = enter_index(c, i);
        const json_t *branch = json_array_get(list, i);
        if (!json_is_object(branch)) {
            return error_set(c->err, "it must be an object");
        }
        bson_uint32_to_string((uint32_t)i, &index, buffer, sizeof buffer);
        if (append_child(c, to, index, branch, append_condition) < 0) {
            return -1;
        }
        leave(c, back);
    }
    return 0;
}

static int append_array_of_branches(struct compiler *c, bson_t *to, const char *name, const json_t *list)
{
    bson_t child;
    bson_append_array_begin(to, name, -1, &child);
    int rc = append_branches(c, &child, list);
    bson_append_array_end(to, &child);
    return rc;
}

/* MongoDB 6.0.5 cannot open a change stream with {$nor: [a, b]} on fullDocument ("$and/$or/$nor must be a nonempty
 * array", measured); {$nor: [{$or: [a, b]}]} says the same and works. */
static int append_nor(struct compiler *c, bson_t *to, const json_t *list)
{
    bson_t outer, only_branch;
    bson_append_array_begin(to, "$nor", -1, &outer);
    bson_append_document_begin(&outer, "0", 1, &only_branch);
    int rc = append_array_of_branches(c, &only_branch, "$or", list);
    bson_append_document_end(&outer, &only_branch);
    bson_append_array_end(to, &outer);
    return rc;
}

static int append_logical(struct compiler *c, bson_t *to, const char *name, const json_t *list)
{
    if (!json_is_array(list) || json_array_size(list) == 0) {
        return error_set(c->err, "%s needs an array of at least one object", name);
    }
    bool must_rewrite = strcmp(name, "$nor") == 0 && json_array_size(list) > 1;
    return must_rewrite ? append_nor(c, to, list) : append_array_of_branches(c, to, name, list);
}

static int append_condition(struct compiler *c, bson_t *to, const json_t *condition)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)condition, key, value) {
        size_t back = enter(c, key);
        int rc = is_logical(key)    ? append_logical(c, to, key, value)
                 : is_operator(key) ? refuse(c, key)
                                    : append_field(c, to, key, value);
        if (rc < 0) {
            return -1;
        }
        leave(c, back);
    }
    return 0;
}

int match_compile(const json_t *match, const char *prefix, bson_t *filter, struct buffer *where, struct error *err)
{
    struct compiler c = {.where = where, .err = err, .prefix = prefix};
    if (!json_is_object(match)) {
        return error_set(err, "it must be an object of conditions");
    }
    return append_condition(&c, filter, match);
}
