/*
 * config_environment - options from the environment (config.h): the names that deployments use already, and
 * TAILWATER_SECTION_KEY for each; NAME_FILE reads the value from a file. An empty variable counts as not set.
 */
#include "config_loader.h"

#include "file.h"
#include "nearest.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { VALUE_FILE_MAX = 65536, NAME_BYTES_MAX = 96 };

static const char prefix[] = "TAILWATER_";

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

int config_read_value_file(const char *path, struct buffer *out, struct error *err)
{
    if (file_read(path, VALUE_FILE_MAX, out, err) != 0) {
        return -1;
    }
    while (out->len && (out->data[out->len - 1] == '\n' || out->data[out->len - 1] == '\r')) {
        out->len--;
    }
    if (out->len == 0) {
        return error_set(err, "%s is empty", path);
    }
    return memchr(out->data, '\0', out->len) ? error_set(err, "%s contains a NUL", path) : 0;
}

static int set_from_file(struct config *config, const struct option *option, const char *name, const char *path,
                         struct error *err)
{
    struct buffer value = BUFFER_INIT;
    int rc = config_read_value_file(path, &value, err);
    if (rc == 0) {
        rc = option_set_text(option, config, buffer_text(&value), err);
    }
    buffer_fini(&value);
    if (rc != 0) {
        return error_prefix(err, "%s", name);
    }
    config_set_place(config, option, name);
    return 0;
}

/* Is what would be "…_FILE" of this option an option itself, as auth.jwt.secret_file is? That one keeps the name, so
 * that the file can be read again. */
static bool has_file_option(const struct option *option)
{
    char name[NAME_BYTES_MAX];
    snprintf(name, sizeof name, "%s_file", option->name);
    return options_find(name) != NULL;
}

/* Set an option from the variable `name` or name_FILE, if there is one. */
static int read_variable(struct config *config, const struct option *option, const char *name, struct error *err)
{
    char file_name[NAME_BYTES_MAX];
    snprintf(file_name, sizeof file_name, "%s_FILE", name);
    const char *value = variable(name), *path = has_file_option(option) ? NULL : variable(file_name);
    if (value && path) {
        return error_set(err, "both %s and %s are set; unset one of them", name, file_name);
    }
    if (path) {
        return set_from_file(config, option, file_name, path, err);
    }
    if (!value) {
        return 0;
    }
    if (option_set_text(option, config, value, err) != 0) {
        return error_prefix(err, "%s", name);
    }
    config_set_place(config, option, name);
    return 0;
}

/*
 * Kubernetes puts variables for each service of a namespace into every container; for one called tailwater or
 * tailwater-x these are TAILWATER_[X_]SERVICE_HOST, …SERVICE_PORT…, …PORT=tcp://… and …PORT_3002_TCP….
 */
static bool is_service_link(const char *name, const char *value)
{
    if (strstr(name, "_SERVICE_HOST") || strstr(name, "_SERVICE_PORT")) {
        return true;
    }
    const char *port = strstr(name, "_PORT");
    for (; port; port = strstr(port + 1, "_PORT")) {
        if (port[5] == '\0') {
            return strstr(value, "://") != NULL;
        }
        if (port[5] == '_' && isdigit((unsigned char)port[6])) {
            return true;
        }
    }
    return false;
}

/* "TAILWATER_JOURNAL_BYTES" or "…_FILE" of an option? */
static bool is_option_variable(const char *name)
{
    for (size_t i = 0; i < options_count(); i++) {
        char known[OPTION_ENVIRONMENT_MAX];
        option_environment(options_at(i), known);
        size_t len = strlen(known);
        if (strncmp(name, known, len) == 0 && (name[len] == '\0' || strcmp(name + len, "_FILE") == 0)) {
            return true;
        }
    }
    return false;
}

static int unknown_variable(const char *name, struct error *err)
{
    enum { NAMES_MAX = 256 };
    char names[NAMES_MAX][OPTION_ENVIRONMENT_MAX];
    const char *list[NAMES_MAX];
    size_t count = 0;
    for (; count < options_count() && count < NAMES_MAX - 1; count++) {
        option_environment(options_at(count), names[count]);
        list[count] = names[count] + sizeof prefix - 1; /* the prefix would make everything look near */
    }
    list[count++] = "CONFIG";
    const char *meant = nearest_name(name + sizeof prefix - 1, list, count);
    if (meant) {
        return error_set(err, "unknown environment variable %.64s (did you mean %s%s?)", name, prefix, meant);
    }
    return error_set(err, "unknown environment variable %.64s; `tailwater help options` lists all", name);
}

static bool is_list_variable(const char *name)
{
    static const char *const lists[] = {"TAILWATER_SOURCES", "TAILWATER_ALIASES", "TAILWATER_AUTH_SERVICES",
                                        "TAILWATER_AUTH_GRANTS_USERS"};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (strcmp(name, lists[i]) == 0) {
            return true;
        }
    }
    return false;
}

static int check_variable(const char *name, const char *value, struct error *err)
{
    if (strcmp(name, "TAILWATER_CONFIG") == 0 || is_service_link(name, value) || is_option_variable(name)) {
        return 0;
    }
    if (is_list_variable(name)) {
        return error_set(err, "%s: lists and maps of entries stand in the configuration file", name);
    }
    return unknown_variable(name, err);
}

static int check_unknown(struct error *err)
{
    for (char **at = environ; at && *at; at++) {
        const char *equals = strchr(*at, '=');
        if (!equals || strncmp(*at, prefix, sizeof prefix - 1) != 0) {
            continue;
        }
        char name[NAME_BYTES_MAX];
        snprintf(name, sizeof name, "%.*s", (int)(equals - *at), *at);
        if (check_variable(name, equals + 1, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int config_read_environment(struct config_loader *loader, struct error *err)
{
    if (check_unknown(err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < options_count(); i++) {
        const struct option *option = options_at(i);
        char name[OPTION_ENVIRONMENT_MAX];
        option_environment(option, name);
        if (option->environment && read_variable(loader->config, option, option->environment, err) != 0) {
            return -1;
        }
        const char *value = variable(name);
        if (value && is_service_link(name, value)) {
            continue;
        }
        if (read_variable(loader->config, option, name, err) != 0) {
            return -1;
        }
    }
    if (variable("REDIS_URL")) {
        config_warn(loader->config, "REDIS_URL is ignored: MongoDB is the bus");
    }
    return 0;
}
