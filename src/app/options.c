/* options - see options.h. */
#include "options.h"

#include "config.h"
#include "nearest.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FIELD(field) offsetof(struct config, field)

static const struct option table[] = {
#define OPTION_TEXT(field, name_, default_, environment_, section_, help_) \
    {.name = name_, .type = OPTION_TYPE_TEXT, .text = default_, .environment = environment_, .section = section_, \
     .help = help_, .offset = FIELD(field), .unit = ""},
#define OPTION_SECRET(field, name_, default_, environment_, section_, help_) \
    {.name = name_, .type = OPTION_TYPE_TEXT, .text = default_, .environment = environment_, .section = section_, \
     .help = help_, .offset = FIELD(field), .unit = "", .secret = true},
#define OPTION_BOOL(field, name_, default_, environment_, section_, help_) \
    {.name = name_, .type = OPTION_TYPE_BOOL, .number = default_, .environment = environment_, .section = section_, \
     .help = help_, .offset = FIELD(field), .unit = ""},
#define OPTION_INT(field, name_, default_, min_, max_, unit_, environment_, section_, help_) \
    {.name = name_, .type = OPTION_TYPE_INT, .number = default_, .min = min_, .max = max_, .unit = unit_, \
     .environment = environment_, .section = section_, .help = help_, .offset = FIELD(field)},
#define OPTION_CHOICE(field, name_, default_, choices_, environment_, section_, help_) \
    {.name = name_, .type = OPTION_TYPE_CHOICE, .text = default_, .choices = choices_, .environment = environment_, \
     .section = section_, .help = help_, .offset = FIELD(field), .unit = ""},
#define OPTION_LIST(field, count, name_, environment_, section_, help_) \
    {.name = name_, .type = OPTION_TYPE_LIST, .environment = environment_, .section = section_, .help = help_, \
     .offset = FIELD(field), .count_offset = FIELD(count), .unit = ""},
#include "options.def"
};

/* The rows write through offsets; here the compiler checks that each field has the type its row assumes. */
#define CHECK(field, type) \
    _Static_assert(_Generic(((struct config *)0)->field, type : 1, default : 0), "type of a field in config.h");
#define OPTION_TEXT(field, ...) CHECK(field, char *)
#define OPTION_SECRET(field, ...) CHECK(field, char *)
#define OPTION_BOOL(field, ...) CHECK(field, bool)
#define OPTION_INT(field, ...) CHECK(field, int64_t)
#define OPTION_CHOICE(field, ...) CHECK(field, char *)
#define OPTION_LIST(field, count, ...) CHECK(field, char **) CHECK(count, unsigned)
#include "options.def"

enum { OPTIONS = sizeof table / sizeof table[0], LIST_MAX = 256 };

size_t options_count(void)
{
    return OPTIONS;
}

const struct option *options_at(size_t index)
{
    return &table[index];
}

size_t option_index(const struct option *option)
{
    return (size_t)(option - table);
}

const struct option *options_find(const char *name)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        if (strcmp(table[i].name, name) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

bool options_has_section(const char *prefix)
{
    size_t len = strlen(prefix);
    for (size_t i = 0; i < OPTIONS; i++) {
        if (strncmp(table[i].name, prefix, len) == 0 && table[i].name[len] == '.') {
            return true;
        }
    }
    return false;
}

static const char *last_part(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

const char *options_nearest(const char *name)
{
    const char *names[OPTIONS];
    for (size_t i = 0; i < OPTIONS; i++) {
        names[i] = table[i].name;
    }
    const char *found = nearest_name(name, names, OPTIONS);
    if (found) {
        return found;
    }
    /* The right key in the wrong section. */
    for (size_t i = 0; i < OPTIONS; i++) {
        names[i] = last_part(table[i].name);
    }
    found = nearest_name(last_part(name), names, OPTIONS);
    for (size_t i = 0; found && i < OPTIONS; i++) {
        if (names[i] == found) {
            return table[i].name;
        }
    }
    return NULL;
}

void option_environment(const struct option *option, char out[OPTION_ENVIRONMENT_MAX])
{
    static const char prefix[] = "TAILWATER_";
    size_t used = sizeof prefix - 1;
    memcpy(out, prefix, used);
    for (const char *p = option->name; *p && used < OPTION_ENVIRONMENT_MAX - 1; p++) {
        out[used++] = *p == '.' ? '_' : (char)toupper((unsigned char)*p);
    }
    out[used] = '\0';
}

/* --- fields ----------------------------------------------------------------------------------- */

static void *field_of(const struct option *option, struct config *config)
{
    return (char *)config + option->offset;
}

static void set_text_field(const struct option *option, struct config *config, const char *text)
{
    char **field = field_of(option, config);
    free(*field);
    *field = text ? memory_text(text) : NULL;
}

static void clear_list(const struct option *option, struct config *config)
{
    char ***list = field_of(option, config);
    unsigned *count = (void *)((char *)config + option->count_offset);
    for (unsigned i = 0; i < *count; i++) {
        free((*list)[i]);
    }
    free(*list);
    *list = NULL;
    *count = 0;
}

static int add_to_list(const struct option *option, struct config *config, const char *text, size_t len,
                       struct error *err)
{
    char ***list = field_of(option, config);
    unsigned *count = (void *)((char *)config + option->count_offset);
    if (*count == LIST_MAX) {
        return error_set(err, "%s has more than %d entries", option->name, LIST_MAX);
    }
    *list = memory_resize(*list, (*count + 1) * sizeof **list);
    (*list)[(*count)++] = memory_copy(text, len);
    return 0;
}

void options_defaults(struct config *config)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        const struct option *option = &table[i];
        if (option->type == OPTION_TYPE_INT) {
            *(int64_t *)field_of(option, config) = option->number;
        } else if (option->type == OPTION_TYPE_BOOL) {
            *(bool *)field_of(option, config) = option->number != 0;
        } else if (option->type != OPTION_TYPE_LIST) {
            set_text_field(option, config, option->text);
        }
    }
}

void options_free(struct config *config)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        if (table[i].type == OPTION_TYPE_LIST) {
            clear_list(&table[i], config);
        } else if (table[i].type == OPTION_TYPE_TEXT || table[i].type == OPTION_TYPE_CHOICE) {
            set_text_field(&table[i], config, NULL);
        }
    }
}

/* --- words ------------------------------------------------------------------------------------ */

static bool is_bytes(const struct option *option)
{
    return strcmp(option->unit, "bytes") == 0;
}

/* 65536 bytes are "64KiB", 60000 are "60000". */
static void append_number(const struct option *option, int64_t number, struct buffer *out)
{
    static const char *const suffixes[] = {"", "KiB", "MiB", "GiB"};
    size_t power = 0;
    while (is_bytes(option) && power < 3 && number >= 1024 && number % 1024 == 0) {
        number /= 1024;
        power++;
    }
    buffer_printf(out, "%" PRId64 "%s", number, suffixes[power]);
}

static void append_choices(const char *choices, struct buffer *out)
{
    for (const char *p = choices; *p; p++) {
        if (*p != '|') {
            buffer_append_byte(out, *p);
            continue;
        }
        buffer_append_text(out, strchr(p + 1, '|') ? ", " : " or ");
    }
}

void option_append_allowed(const struct option *option, struct buffer *out)
{
    if (option->type == OPTION_TYPE_BOOL) {
        buffer_append_text(out, "true or false");
    } else if (option->type == OPTION_TYPE_CHOICE) {
        append_choices(option->choices, out);
    } else if (option->type == OPTION_TYPE_INT) {
        append_number(option, option->min, out);
        buffer_append_text(out, " to ");
        append_number(option, option->max, out);
        if (option->unit[0] && !is_bytes(option)) {
            buffer_printf(out, " %s", option->unit);
        }
    }
}

void option_append_default(const struct option *option, struct buffer *out)
{
    if (option->type == OPTION_TYPE_INT) {
        append_number(option, option->number, out);
    } else if (option->type == OPTION_TYPE_BOOL) {
        buffer_append_text(out, option->number ? "true" : "false");
    } else if (option->text) {
        buffer_append_text(out, option->text);
    }
}

char *const *option_list(const struct option *option, const struct config *config, unsigned *count)
{
    *count = *(const unsigned *)(const void *)((const char *)config + option->count_offset);
    return *(char *const *const *)(const void *)((const char *)config + option->offset);
}

static void append_list(const struct option *option, const struct config *config, struct buffer *out)
{
    unsigned count;
    char *const *list = option_list(option, config, &count);
    for (unsigned i = 0; i < count; i++) {
        buffer_printf(out, "%s%s", i ? "," : "", list[i]);
    }
}

void option_append_value(const struct option *option, const struct config *config, struct buffer *out)
{
    const void *field = (const char *)config + option->offset;
    if (option->type == OPTION_TYPE_INT) {
        append_number(option, *(const int64_t *)field, out);
        return;
    }
    if (option->type == OPTION_TYPE_BOOL) {
        buffer_append_text(out, *(const bool *)field ? "true" : "false");
        return;
    }
    if (option->type == OPTION_TYPE_LIST) {
        append_list(option, config, out);
        return;
    }
    const char *text = *(char *const *)field;
    if (text) {
        buffer_append_text(out, option->secret ? "(secret)" : text);
    }
}

/* --- values ----------------------------------------------------------------------------------- */

static int expected(const struct option *option, struct error *err)
{
    struct buffer allowed = BUFFER_INIT;
    option_append_allowed(option, &allowed);
    static const char *const kinds[] = {"text", "", "a whole number", "", "a list of texts"};
    const char *kind = option->type == OPTION_TYPE_INT && is_bytes(option)
                           ? "a number of bytes (also with KiB, MiB or GiB)"
                           : kinds[option->type];
    error_set(err, "%s: expected %s%s%s%s", option->name, kind, option->type == OPTION_TYPE_INT ? "," : "",
              kind[0] && allowed.len ? " " : "", buffer_text(&allowed));
    buffer_fini(&allowed);
    return -1;
}

static int set_number(const struct option *option, struct config *config, int64_t number, struct error *err)
{
    if (number < option->min || number > option->max) {
        return expected(option, err);
    }
    *(int64_t *)field_of(option, config) = number;
    return 0;
}

/* Bits that the suffix of a size shifts by, or -1. */
static int suffix_bits(const char *suffix)
{
    static const struct {
        const char *text;
        int bits;
    } suffixes[] = {{"", 0},    {"b", 0},    {"k", 10}, {"kib", 10}, {"m", 20},
                    {"mib", 20}, {"g", 30}, {"gib", 30}};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        if (strcasecmp(suffix, suffixes[i].text) == 0) {
            return suffixes[i].bits;
        }
    }
    return -1;
}

static int set_number_text(const struct option *option, struct config *config, const char *text, struct error *err)
{
    if (!isdigit((unsigned char)text[0]) && text[0] != '-') {
        return expected(option, err);
    }
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno || end == text) {
        return expected(option, err);
    }
    while (is_bytes(option) && *end == ' ') {
        end++;
    }
    int bits = is_bytes(option) ? suffix_bits(end) : (*end ? -1 : 0);
    if (bits < 0 || number < 0 || number > INT64_MAX >> bits) {
        return expected(option, err);
    }
    return set_number(option, config, number << bits, err);
}

static int set_bool_text(const struct option *option, struct config *config, const char *text, struct error *err)
{
    static const char *const words[][4] = {{"false", "no", "off", "0"}, {"true", "yes", "on", "1"}};
    for (int value = 0; value < 2; value++) {
        for (int i = 0; i < 4; i++) {
            if (strcasecmp(text, words[value][i]) == 0) {
                *(bool *)field_of(option, config) = value;
                return 0;
            }
        }
    }
    return expected(option, err);
}

static int set_choice(const struct option *option, struct config *config, const char *text, struct error *err)
{
    size_t len = strlen(text);
    for (const char *p = option->choices; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL) {
        if (len && strcspn(p, "|") == len && strncasecmp(p, text, len) == 0) {
            char *canonical = memory_copy(p, len);
            set_text_field(option, config, canonical);
            free(canonical);
            return 0;
        }
    }
    return expected(option, err);
}

static int set_plain_text(const struct option *option, struct config *config, const char *text, struct error *err)
{
    if (!text[0]) {
        return error_set(err, "%s must not be empty", option->name);
    }
    for (const char *p = text; *p; p++) {
        if (iscntrl((unsigned char)*p)) {
            return error_set(err, "%s contains a control character or a line break", option->name);
        }
    }
    set_text_field(option, config, text);
    return 0;
}

static int set_list_text(const struct option *option, struct config *config, const char *text, struct error *err)
{
    clear_list(option, config);
    for (;;) {
        text += strspn(text, ", \t");
        size_t len = strcspn(text, ",");
        if (len == 0) {
            return 0;
        }
        size_t trimmed = len;
        while (text[trimmed - 1] == ' ' || text[trimmed - 1] == '\t') {
            trimmed--;
        }
        if (add_to_list(option, config, text, trimmed, err) != 0) {
            return -1;
        }
        text += len;
    }
}

int option_set_text(const struct option *option, struct config *config, const char *text, struct error *err)
{
    switch (option->type) {
    case OPTION_TYPE_BOOL:
        return set_bool_text(option, config, text, err);
    case OPTION_TYPE_INT:
        return set_number_text(option, config, text, err);
    case OPTION_TYPE_CHOICE:
        return set_choice(option, config, text, err);
    case OPTION_TYPE_LIST:
        return set_list_text(option, config, text, err);
    case OPTION_TYPE_TEXT:
    default:
        return set_plain_text(option, config, text, err);
    }
}

static int set_list_json(const struct option *option, struct config *config, const json_t *value, struct error *err)
{
    clear_list(option, config);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *entry = json_array_get(value, i);
        if (!json_is_string(entry)) {
            return expected(option, err);
        }
        if (add_to_list(option, config, json_string_value(entry), json_string_length(entry), err) != 0) {
            return -1;
        }
    }
    return 0;
}

int option_set_json(const struct option *option, struct config *config, const json_t *value, struct error *err)
{
    if (json_is_string(value)) {
        return option_set_text(option, config, json_string_value(value), err);
    }
    if (option->type == OPTION_TYPE_BOOL && json_is_boolean(value)) {
        *(bool *)field_of(option, config) = json_is_true(value);
        return 0;
    }
    if (option->type == OPTION_TYPE_INT && json_is_integer(value)) {
        return set_number(option, config, json_integer_value(value), err);
    }
    if (option->type == OPTION_TYPE_LIST && json_is_array(value)) {
        return set_list_json(option, config, value, err);
    }
    return expected(option, err);
}
