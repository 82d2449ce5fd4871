/* config_auth_lists - auth.grants.users and auth.services of the configuration (CONTRACT section 6). */
#include "config_loader.h"

#include "grant_template.h"
#include "identity.h"
#include "token_hash.h"

#include "tailwater/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USERS_MAX = 10000, SERVICES_MAX = 256, PATTERNS_MAX = 256, SERVICE_NAME_MAX = 64, PATH_BYTES = 640 };

/* A place in the file while it is read. */
struct place {
    const struct config_loader *loader;
    char path[PATH_BYTES];
};

static struct place inside(const struct place *place, const char *key)
{
    struct place inner = {.loader = place->loader};
    snprintf(inner.path, sizeof inner.path, "%.320s.%.256s", place->path, key);
    return inner;
}

static struct place entry_of(const struct place *place, size_t index)
{
    struct place inner = {.loader = place->loader};
    snprintf(inner.path, sizeof inner.path, "%.600s[%zu]", place->path, index);
    return inner;
}

static int fail(const struct place *place, struct error *err)
{
    error_prefix(err, "%.256s", place->path);
    return config_error_at(place->loader, place->path, err);
}

/* What stands at the dotted path in the file; NULL where there is nothing. */
static json_t *find(const struct config_loader *loader, const char *first, const char *second, const char *third)
{
    json_t *at = loader->tree ? json_object_get(yaml_tree_root(loader->tree), first) : NULL;
    at = json_object_get(at, second);
    at = third ? json_object_get(at, third) : at;
    return json_is_null(at) ? NULL : at;
}

/* --- patterns -------------------------------------------------------------------------------------- */

typedef const char *problem_of(const char *text);

static const char *pattern_problem(const char *text)
{
    return strpbrk(text, "{}") ? "there is nobody whose {user} or {workspace} it could be"
                               : tailwater_channel_problem(text, strlen(text), true);
}

static int read_patterns(const struct place *place, const json_t *list, problem_of *problem, char ***out,
                         unsigned *count, struct error *err)
{
    if (!json_is_array(list) || json_array_size(list) > PATTERNS_MAX) {
        error_set(err, "expected a list of at most %d channels and patterns", PATTERNS_MAX);
        return fail(place, err);
    }
    *out = memory_zero(json_array_size(list), sizeof **out);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        const char *wrong = text ? problem(text) : "expected text";
        if (wrong) {
            struct place at = entry_of(place, i);
            error_set(err, "not a pattern: %s", wrong);
            return fail(&at, err);
        }
        (*out)[(*count)++] = memory_text(text);
    }
    return 0;
}

/* --- users ----------------------------------------------------------------------------------------- */

static int read_user(const struct place *users, const char *name, const json_t *list, struct config *config,
                     struct error *err)
{
    struct place place = inside(users, name);
    struct config_user *user = &config->auth_users[config->auth_user_count++];
    user->name = memory_text(name);
    if (!identity_name_fits(name)) {
        error_set(err, "%s: a user's name has 1 to 256 bytes and no control characters", users->path);
        return config_error_at(users->loader, place.path, err);
    }
    return read_patterns(&place, list, grant_template_problem, &user->patterns, &user->pattern_count, err);
}

static int read_users(struct config_loader *loader, struct error *err)
{
    json_t *users = find(loader, "auth", "grants", "users");
    struct place place = {.loader = loader, .path = "auth.grants.users"};
    if (!users) {
        return 0;
    }
    if (!json_is_object(users) || json_object_size(users) > USERS_MAX) {
        error_set(err, "expected a map from at most %d users to lists of patterns", USERS_MAX);
        return fail(&place, err);
    }
    loader->config->auth_users = memory_zero(json_object_size(users), sizeof *loader->config->auth_users);
    const char *name;
    json_t *list;
    json_object_foreach(users, name, list)
    {
        if (read_user(&place, name, list, loader->config, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* --- services -------------------------------------------------------------------------------------- */

static int check_name(const struct config *config, const char *name, struct error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    if (!name || !name[0] || strlen(name) > SERVICE_NAME_MAX || name[strspn(name, allowed)]) {
        return error_set(err, "expected 1 to %d letters, digits, - . or _", SERVICE_NAME_MAX);
    }
    for (unsigned i = 0; i < config->auth_service_count; i++) {
        if (strcmp(config->auth_services[i].name, name) == 0) {
            return error_set(err, "auth.services[%u] has the same name", i);
        }
    }
    return 0;
}

/* Two services with one token, or the admin's, could not be told apart. */
static int check_token(const struct config *config, const char *hex, struct error *err)
{
    struct token_hash hash, other;
    if (!hex || token_hash_parse(hex, &hash) != 0) {
        return error_set(err, "expected the SHA-256 of a token in 64 hex digits; `tailwater token hash` makes it");
    }
    for (unsigned i = 0; i < config->auth_service_count; i++) {
        const struct config_service *service = &config->auth_services[i];
        for (unsigned j = 0; j < service->token_count; j++) {
            if (token_hash_parse(service->tokens_sha256[j], &other) == 0 && token_hash_is_same(&hash, &other)) {
                return error_set(err, "auth.services[%u] has the same token", i);
            }
        }
    }
    const char *admin = config->auth_admin_token_sha256;
    if (admin && token_hash_parse(admin, &other) == 0 && token_hash_is_same(&hash, &other)) {
        return error_set(err, "the admin has the same token");
    }
    return 0;
}

static int add_token(const struct place *place, const json_t *value, struct config_service *service,
                     struct error *err)
{
    const char *hex = json_string_value(value);
    if (check_token(place->loader->config, hex, err) != 0) {
        return fail(place, err);
    }
    service->tokens_sha256[service->token_count++] = memory_text(hex);
    return 0;
}

static int read_tokens(const struct place *entry, const json_t *value, struct config_service *service,
                       struct error *err)
{
    enum { TOKENS_MAX = 2 };
    struct place place = inside(entry, "token_sha256");
    service->tokens_sha256 = memory_zero(TOKENS_MAX, sizeof *service->tokens_sha256);
    if (!json_is_array(value)) {
        return add_token(&place, value, service, err);
    }
    if (json_array_size(value) == 0 || json_array_size(value) > TOKENS_MAX) {
        error_set(err, "expected one, or two while a token is replaced");
        return fail(&place, err);
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        struct place at = entry_of(&place, i);
        if (add_token(&at, json_array_get(value, i), service, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* What it publishes for, where it is not its name. */
static int read_label(const struct place *entry, const json_t *value, struct config_service *service,
                      struct error *err)
{
    const char *label = json_string_value(value);
    if (!value) {
        return 0;
    }
    if (!label || !identity_name_fits(label)) {
        struct place place = inside(entry, "service");
        error_set(err, "expected the label that its mappings have, or the name of a collection");
        return fail(&place, err);
    }
    service->service = memory_text(label);
    return 0;
}

static int read_publish(const struct place *entry, const json_t *list, struct config_service *service,
                        struct error *err)
{
    struct place place = inside(entry, "publish");
    if (read_patterns(&place, list, pattern_problem, &service->publish, &service->publish_count, err) != 0) {
        return -1;
    }
    if (service->publish_count == 0) {
        error_set(err, "without a pattern it may publish nothing");
        return fail(&place, err);
    }
    return 0;
}

static int read_service(const struct place *place, json_t *entry, struct config *config, struct error *err)
{
    static const char *const keys[] = {"name", "service", "token_sha256", "publish"};
    if (!json_is_object(entry)) {
        error_set(err, "expected { name: …, token_sha256: …, publish: [patterns] }");
        return fail(place, err);
    }
    if (config_check_keys(place->loader, place->path, entry, keys, sizeof keys / sizeof keys[0], err) != 0) {
        return -1;
    }
    const char *name = json_string_value(json_object_get(entry, "name"));
    if (check_name(config, name, err) != 0) {
        struct place at = inside(place, "name");
        return fail(&at, err);
    }
    struct config_service *service = &config->auth_services[config->auth_service_count++];
    service->name = memory_text(name);
    if (read_label(place, json_object_get(entry, "service"), service, err) != 0 ||
        read_tokens(place, json_object_get(entry, "token_sha256"), service, err) != 0) {
        return -1;
    }
    return read_publish(place, json_object_get(entry, "publish"), service, err);
}

static int read_services(struct config_loader *loader, struct error *err)
{
    const json_t *list = find(loader, "auth", "services", NULL);
    struct place place = {.loader = loader, .path = "auth.services"};
    if (!list) {
        return 0;
    }
    if (!json_is_array(list) || json_array_size(list) > SERVICES_MAX) {
        error_set(err, "expected a list of at most %d entries", SERVICES_MAX);
        return fail(&place, err);
    }
    loader->config->auth_services = memory_zero(json_array_size(list), sizeof *loader->config->auth_services);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct place at = entry_of(&place, i);
        if (read_service(&at, json_array_get(list, i), loader->config, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int config_read_auth_lists(struct config_loader *loader, struct error *err)
{
    return read_users(loader, err) != 0 ? -1 : read_services(loader, err);
}
