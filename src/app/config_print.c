/* config_print - the configuration in effect as YAML, with where each value came from. */
#include "config_loader.h"

#include <string.h>

/* A text as a double-quoted YAML scalar (JSON strings are such). */
static void append_quoted(const char *text, struct buffer *out)
{
    buffer_append_byte(out, '"');
    buffer_append_json(out, text, strlen(text));
    buffer_append_byte(out, '"');
}

static void append_list(const struct option *option, const struct config *config, struct buffer *out)
{
    unsigned count;
    char *const *list = option_list(option, config, &count);
    buffer_append_byte(out, '[');
    for (unsigned i = 0; i < count; i++) {
        buffer_append_text(out, i ? ", " : "");
        append_quoted(list[i], out);
    }
    buffer_append_byte(out, ']');
}

static void append_value(const struct option *option, const struct config *config, struct buffer *out)
{
    struct buffer value = BUFFER_INIT;
    option_append_value(option, config, &value);
    if (option->type == OPTION_TYPE_LIST) {
        append_list(option, config, out);
    } else if (option->type == OPTION_TYPE_TEXT && value.len) {
        append_quoted(buffer_text(&value), out);
    } else {
        buffer_append(out, value.data, value.len);
    }
    buffer_fini(&value);
}

static void append_row(const struct config *config, size_t index, const char *key, int indent, struct buffer *out)
{
    const char *place = config->places[index];
    buffer_printf(out, "%*s%s: ", indent, "", key);
    append_value(options_at(index), config, out);
    buffer_append_text(out, " # ");
    buffer_append_json(out, place ? place : "default", strlen(place ? place : "default"));
    buffer_append_byte(out, '\n');
}

/* Rows of one section need not stand together in the table, so each section is written at its first row. */
static bool is_first_of_section(size_t index, size_t len)
{
    for (size_t i = 0; i < index; i++) {
        if (strncmp(options_at(i)->name, options_at(index)->name, len + 1) == 0) {
            return false;
        }
    }
    return true;
}

/* All rows whose names begin with the first len bytes of this one, and what is below them. */
static void append_section(const struct config *config, const char *prefix, size_t len, int indent, struct buffer *out)
{
    for (size_t i = 0; i < options_count(); i++) {
        const char *name = options_at(i)->name;
        if (strncmp(name, prefix, len) != 0) {
            continue;
        }
        size_t key = strcspn(name + len, ".");
        if (!name[len + key]) {
            append_row(config, i, name + len, indent, out);
        } else if (is_first_of_section(i, len + key)) {
            buffer_printf(out, "%*s%.*s:\n", indent, "", (int)key, name + len);
            append_section(config, name, len + key + 1, indent + 2, out);
        }
    }
}

/* What stands in no row, as comments; no token's hash. */
static void append_auth(const struct config *config, struct buffer *out)
{
    if (config->auth_user_count) {
        buffer_printf(out, "# auth.grants.users: %u user%s\n", config->auth_user_count,
                      config->auth_user_count == 1 ? "" : "s");
    }
    for (unsigned i = 0; i < config->auth_service_count; i++) {
        const struct config_service *service = &config->auth_services[i];
        buffer_printf(out, "# auth.services: %s, %u token(s), publishes", service->name, service->token_count);
        for (unsigned j = 0; j < service->publish_count; j++) {
            buffer_printf(out, " %s", service->publish[j]);
        }
        buffer_append_byte(out, '\n');
    }
}

static void append_sources(const struct config *config, struct buffer *out)
{
    buffer_append_text(out, "# sources:\n");
    for (unsigned i = 0; i < config->source_count; i++) {
        const struct config_source *source = &config->sources[i];
        buffer_printf(out, "#   - { name: %s, tag: %c, database: %s } # %s, %zu mapping(s)\n", source->name,
                      source->tag, source->database, source->label, mapping_set_count(source->mappings));
    }
    for (unsigned i = 0; i < config->alias_count; i++) {
        buffer_printf(out, "# alias %s -> %s\n", config->aliases[i].path, config->aliases[i].channel);
    }
}

void config_append_yaml(const struct config *config, struct buffer *out)
{
    append_section(config, "", 0, 0, out);
    append_auth(config, out);
    append_sources(config, out);
}

static void append_text_or_null(const char *text, struct buffer *out)
{
    if (text && text[0]) {
        append_quoted(text, out);
    } else {
        buffer_append_text(out, "null");
    }
}

static void append_option_json(const struct option *option, const struct config *config, struct buffer *out)
{
    struct buffer value = BUFFER_INIT;
    option_append_value(option, config, &value);
    buffer_printf(out, "{\"name\":\"%s\",\"value\":", option->name);
    append_text_or_null(buffer_text(&value), out);
    buffer_append_text(out, ",\"from\":");
    append_text_or_null(config->places[option_index(option)], out);
    buffer_append_byte(out, '}');
    buffer_fini(&value);
}

void config_append_json(const struct config *started, const struct config *now, bool (*is_taken)(const char *option),
                        struct buffer *out)
{
    struct buffer lists = BUFFER_INIT;
    append_auth(now, &lists);
    append_sources(started, &lists);
    buffer_append_text(out, "{\"file\":");
    append_text_or_null(started->file, out);
    buffer_append_text(out, ",\"options\":[");
    for (size_t i = 0; i < options_count(); i++) {
        const struct option *option = options_at(i);
        buffer_append(out, ",", i > 0);
        append_option_json(option, is_taken(option->name) ? now : started, out);
    }
    buffer_append_text(out, "],\"lists\":");
    append_text_or_null(buffer_text(&lists), out);
    buffer_append_text(out, "}\n");
    buffer_fini(&lists);
}

void config_print(const struct config *config, FILE *out)
{
    struct buffer text = BUFFER_INIT;
    config_append_yaml(config, &text);
    fwrite(buffer_text(&text), 1, text.len, out);
    buffer_fini(&text);
}
