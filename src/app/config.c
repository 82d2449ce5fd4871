/* config - see config.h. Here: the order of the steps, the file's scalars, the flags, the end. */
#include "config_loader.h"

#include "address.h"
#include "nearest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int config_error_at(const struct config_loader *loader, const char *path, struct error *err)
{
    return error_prefix(err, "%s:%u", loader->file, yaml_tree_line(loader->tree, path));
}

int config_error_of(const struct config *config, const char *option_name, struct error *err)
{
    const char *place = config->places[option_index(options_find(option_name))];
    return place ? error_prefix(err, "%s", place) : -1;
}

void config_set_place(struct config *config, const struct option *option, const char *place)
{
    char **at = &config->places[option_index(option)];
    free(*at);
    *at = memory_text(place);
}

void config_warn(struct config *config, const char *sentence)
{
    config->warnings = memory_resize(config->warnings, (config->warning_count + 1) * sizeof *config->warnings);
    config->warnings[config->warning_count++] = memory_text(sentence);
}

static const char *const list_names[] = {"sources", "aliases", "auth.services", "auth.grants.users"};

enum { LIST_NAMES = sizeof list_names / sizeof list_names[0] };

bool config_is_list(const char *name)
{
    for (size_t i = 0; i < LIST_NAMES; i++) {
        if (strcmp(name, list_names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* A key as a message may show it: cut, without control bytes. */
static void printable(const char *key, char *out, size_t size)
{
    size_t used = 0;
    for (; *key && used + 1 < size; key++) {
        out[used++] = (unsigned char)*key < 0x20 || *key == 0x7f ? '?' : *key;
    }
    out[used] = '\0';
}

static int unknown_key(const char *key, const char *meant, struct error *err)
{
    char shown[65];
    printable(key, shown, sizeof shown);
    return meant ? error_set(err, "unknown key \"%s\" (did you mean \"%s\"?)", shown, meant)
                 : error_set(err, "unknown key \"%s\"", shown);
}

int config_check_keys(const struct config_loader *loader, const char *path, json_t *object,
                      const char *const *names, size_t count, struct error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        size_t i = 0;
        while (i < count && strcmp(names[i], key) != 0) {
            i++;
        }
        if (i == count) {
            char where[YAML_TREE_KEY_MAX + 64];
            snprintf(where, sizeof where, "%s.%s", path, key);
            unknown_key(key, nearest_name(key, names, count), err);
            return config_error_at(loader, where, err);
        }
    }
    return 0;
}

/* --- file ------------------------------------------------------------------------------------- */

static const char *meant_key(const char *name)
{
    static const char *const headings[] = {"sources", "aliases", "mongodb", "journal", "catchup",
                                           "limits",  "log",     "auth",    "tls",     "poll"};
    const char *found = strchr(name, '.') ? nearest_name(name, list_names, LIST_NAMES)
                                          : nearest_name(name, headings, sizeof headings / sizeof headings[0]);
    return found ? found : options_nearest(name);
}

static int read_option(const struct config_loader *loader, const struct option *option, const json_t *value,
                       struct error *err)
{
    char place[512];
    snprintf(place, sizeof place, "%s:%u", loader->file, yaml_tree_line(loader->tree, option->name));
    if (option_set_json(option, loader->config, value, err) != 0) {
        return error_prefix(err, "%s", place);
    }
    config_set_place(loader->config, option, place);
    return 0;
}

static int read_section(const struct config_loader *loader, const char *prefix, json_t *section, struct error *err);

static int read_member(const struct config_loader *loader, const char *name, json_t *value, struct error *err)
{
    const struct option *option = options_find(name);
    if (option) {
        return read_option(loader, option, value, err);
    }
    if (config_is_list(name)) {
        return 0; /* a step of its own reads it */
    }
    if (!options_has_section(name)) {
        unknown_key(name, meant_key(name), err);
        return config_error_at(loader, name, err);
    }
    if (json_is_null(value)) {
        return 0; /* a heading whose keys are all commented out */
    }
    if (!json_is_object(value)) {
        error_set(err, "%s: expected a section of keys", name);
        return config_error_at(loader, name, err);
    }
    return read_section(loader, name, value, err);
}

static int read_section(const struct config_loader *loader, const char *prefix, json_t *section, struct error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(section, key, value)
    {
        char name[2 * YAML_TREE_KEY_MAX + 2];
        snprintf(name, sizeof name, "%s%s%s", prefix, prefix[0] ? "." : "", key);
        if (read_member(loader, name, value, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int config_read_file(struct config_loader *loader, struct error *err)
{
    if (!loader->file) {
        return 0;
    }
    if (yaml_tree_read(loader->file, &loader->tree, err) != 0) {
        return -1;
    }
    json_t *root = yaml_tree_root(loader->tree);
    if (json_is_null(root)) {
        return 0;
    }
    if (!json_is_object(root)) {
        error_set(err, "expected keys such as \"mongodb:\" and \"sources:\"");
        return config_error_at(loader, "", err);
    }
    return read_section(loader, "", root, err);
}

/* --- flags ------------------------------------------------------------------------------------ */

static int read_flag(struct config *config, const char *flag, struct error *err)
{
    const char *equals = strchr(flag, '=');
    char name[YAML_TREE_KEY_MAX], place[YAML_TREE_KEY_MAX + 2];
    snprintf(name, sizeof name, "%.*s", equals ? (int)(equals - flag) : (int)strlen(flag), flag);
    const struct option *option = options_find(name);
    if (!option) {
        const char *meant = options_nearest(name);
        char shown[65];
        printable(name, shown, sizeof shown);
        return meant ? error_set(err, "unknown option --%s (did you mean --%s?)", shown, meant)
                     : error_set(err, "unknown option --%s", shown);
    }
    snprintf(place, sizeof place, "--%s", option->name);
    if (option_set_text(option, config, equals ? equals + 1 : "", err) != 0) {
        return error_prefix(err, "flag");
    }
    config_set_place(config, option, place);
    return 0;
}

int config_read_flags(struct config_loader *loader, const char *const *flags, struct error *err)
{
    for (; flags && *flags; flags++) {
        if (read_flag(loader->config, *flags, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* --- checks ----------------------------------------------------------------------------------- */

/* Tokens do not protect them. */
static int check_test_endpoints(const struct config *config, const struct address *address, struct error *err)
{
    if (!config->test_endpoints || config->insecure || address->loopback) {
        return 0;
    }
    error_set(err,
              "test_endpoints: whoever can reach %s could insert logs without a token: listen on a loopback address, or "
              "set insecure: true",
              address->host);
    return config_error_of(config, "test_endpoints", err);
}

int config_check_listener(struct config *config, struct error *err)
{
    struct address address;
    if (address_parse(config->listen, &address, err) != 0) {
        error_prefix(err, "listen");
        return config_error_of(config, "listen", err);
    }
    memcpy(config->listen_host, address.host, sizeof config->listen_host);
    config->listen_port = config->port ? (int)config->port : address.port;
    config->listens_on_loopback = address.loopback;
    config->open_mode = address.loopback && !config->has_auth;
    if (address.loopback || config->has_auth) {
        return check_test_endpoints(config, &address, err);
    }
    if (!config->insecure) {
        error_set(err,
                  "listen: %s can be reached by other machines and there is no authentication: configure auth, listen "
                  "on a loopback address (127.0.0.1:%d), or set insecure: true to serve everyone",
                  address.host, config->listen_port);
        return config_error_of(config, "listen", err);
    }
    config_warn(config, "insecure: everyone who can reach the listener may read all logs");
    return 0;
}

int config_check_ops_listener(struct config *config, struct error *err)
{
    struct address address;
    if (!config->ops_listen) {
        return 0;
    }
    if (address_parse(config->ops_listen, &address, err) != 0) {
        error_prefix(err, "ops_listen");
        return config_error_of(config, "ops_listen", err);
    }
    memcpy(config->ops_host, address.host, sizeof config->ops_host);
    config->ops_port = address.port;
    if (address.port && address.port == config->listen_port && strcmp(address.host, config->listen_host) == 0) {
        error_set(err, "ops_listen: must be another address or port than listen");
        return config_error_of(config, "ops_listen", err);
    }
    return 0;
}

/* --- whole ------------------------------------------------------------------------------------ */

/* What is loaded: all, or all but sources and aliases. */
enum scope { SCOPE_ALL, SCOPE_AUTH };

static int load(struct config_loader *loader, const char *const *flags, enum scope scope, struct error *err)
{
    struct config *config = loader->config;
    if (config_read_file(loader, err) != 0 || config_read_environment(loader, err) != 0 ||
        config_read_flags(loader, flags, err) != 0) {
        return -1;
    }
    if (config_read_auth(loader, err) != 0 || config_check_listener(config, err) != 0 ||
        config_check_ops_listener(config, err) != 0 || config_check_origins(config, err) != 0) {
        return -1;
    }
    if (scope == SCOPE_ALL && (config_check_tls(config, err) != 0 || config_read_sources(loader, err) != 0 ||
                               config_read_aliases(loader, err) != 0)) {
        return -1;
    }
    return config_make_access(config, err);
}

static char **copy_flags(const char *const *flags)
{
    size_t count = 0;
    while (flags && flags[count]) {
        count++;
    }
    char **copy = memory_zero(count + 1, sizeof *copy);
    for (size_t i = 0; i < count; i++) {
        copy[i] = memory_text(flags[i]);
    }
    return copy;
}

static int load_scope(const char *file, const char *const *flags, enum scope scope, struct config **out,
                      struct error *err)
{
    *out = NULL;
    struct config *config = memory_zero(1, sizeof *config);
    config->places = memory_zero(options_count(), sizeof *config->places);
    options_defaults(config);
    const char *named = getenv("TAILWATER_CONFIG");
    file = file ? file : (named && named[0] ? named : NULL);
    config->file = file ? memory_text(file) : NULL;
    config->flags = copy_flags(flags);
    struct config_loader loader = {.config = config, .file = file};
    int rc = load(&loader, flags, scope, err);
    yaml_tree_free(loader.tree);
    if (rc != 0) {
        config_free(config);
        return -1;
    }
    *out = config;
    return 0;
}

int config_load(const char *file, const char *const *flags, struct config **out, struct error *err)
{
    return load_scope(file, flags, SCOPE_ALL, out, err);
}

int config_load_auth(const char *file, const char *const *flags, struct config **out, struct error *err)
{
    return load_scope(file, flags, SCOPE_AUTH, out, err);
}

int config_reload(const struct config *config, struct config **out, struct error *err)
{
    return load_scope(config->file, (const char *const *)config->flags, SCOPE_ALL, out, err);
}

static void free_auth(struct config *config)
{
    for (unsigned i = 0; i < config->auth_user_count; i++) {
        free(config->auth_users[i].name);
        memory_free_texts(config->auth_users[i].patterns, config->auth_users[i].pattern_count);
    }
    for (unsigned i = 0; i < config->auth_service_count; i++) {
        struct config_service *service = &config->auth_services[i];
        free(service->name);
        free(service->service);
        memory_free_texts(service->tokens_sha256, service->token_count);
        memory_free_texts(service->publish, service->publish_count);
    }
    free(config->auth_users);
    free(config->auth_services);
    access_unref(config->access);
}

static void free_flags(char **flags)
{
    for (char **at = flags; *at; at++) {
        free(*at);
    }
    free(flags);
}

void config_free(struct config *config)
{
    if (!config) {
        return;
    }
    for (unsigned i = 0; i < config->source_count; i++) {
        struct config_source *source = &config->sources[i];
        free(source->name);
        free(source->uri);
        free(source->database);
        free(source->label);
        mapping_set_free(source->mappings);
    }
    for (unsigned i = 0; i < config->alias_count; i++) {
        free(config->aliases[i].path);
        free(config->aliases[i].channel);
    }
    free(config->aliases);
    free_auth(config);
    memory_free_texts(config->warnings, config->warning_count);
    memory_free_texts(config->places, options_count());
    options_free(config);
    free(config->file);
    free_flags(config->flags);
    free(config);
}

bool config_is_open_to_machine(const struct config *config)
{
    bool is_free = config->test_endpoints;
    for (unsigned i = 0; i < config->auth_anonymous_count; i++) {
        is_free = is_free || strcmp(config->auth_anonymous[i], "*") == 0;
    }
    return config->open_mode || (is_free && config->listens_on_loopback && config->auth_proxy_count == 0);
}

const char *config_source_uri(const struct config *config, const struct config_source *source)
{
    return source->uri ? source->uri : config->mongodb_uri;
}
