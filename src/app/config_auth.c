/* config_auth - `auth:` of the configuration: is there any, and does it make sense (CONTRACT section 6)? */
#include "config_auth.h"

#include "address.h"
#include "config_loader.h"
#include "connection.h"
#include "grant_template.h"
#include "token_hash.h"

#include "tailwater/channel.h"

#include <stdio.h>
#include <string.h>

enum { WHERE_BYTES = 96, NAMESPACE_MAX = 255 };

/* Any key, wherever it is set, also an empty heading in the file: what is meant to protect never counts as nothing. */
static bool has_auth(const struct config_loader *loader)
{
    if (loader->tree && json_object_get(yaml_tree_root(loader->tree), "auth")) {
        return true;
    }
    for (size_t i = 0; i < options_count(); i++) {
        if (strncmp(options_at(i)->name, "auth.", 5) == 0 && loader->config->places[i]) {
            return true;
        }
    }
    return false;
}

/* --- lists of texts -------------------------------------------------------------------------------- */

/* By the entry's line where the list stands in the file. */
static int fail_entry(const struct config_loader *loader, const char *option, unsigned index, struct error *err)
{
    const char *place = loader->config->places[option_index(options_find(option))];
    size_t len = loader->file ? strlen(loader->file) : 0;
    char where[WHERE_BYTES];
    snprintf(where, sizeof where, "%s[%u]", option, index);
    error_prefix(err, "%s", where);
    if (len && place && strncmp(place, loader->file, len) == 0 && place[len] == ':') {
        return config_error_at(loader, where, err);
    }
    return config_error_of(loader->config, option, err);
}

static const char *anonymous_problem(const char *text)
{
    return strpbrk(text, "{}") ? "nobody in particular has a {user} or {workspace}"
                               : tailwater_channel_problem(text, strlen(text), true);
}

static int check_patterns(const struct config_loader *loader, const char *option, char *const *patterns,
                          unsigned count, const char *(*problem)(const char *), struct error *err)
{
    for (unsigned i = 0; i < count; i++) {
        const char *wrong = problem(patterns[i]);
        if (wrong) {
            error_set(err, "not a pattern: %s", wrong);
            return fail_entry(loader, option, i, err);
        }
    }
    return 0;
}

static int check_proxies(const struct config_loader *loader, struct error *err)
{
    for (unsigned i = 0; i < loader->config->auth_proxy_count; i++) {
        struct ip_range range;
        if (ip_range_parse(loader->config->auth_proxies[i], &range, err) != 0) {
            return fail_entry(loader, "auth.proxies", i, err);
        }
    }
    return 0;
}

/* --- single values --------------------------------------------------------------------------------- */

static int fail_option(const struct config *config, const char *option, struct error *err)
{
    error_prefix(err, "%s", option);
    return config_error_of(config, option, err);
}

static int check_secret(const struct config *config, const char *option, const char *secret, const char *file,
                        struct error *err)
{
    char file_option[WHERE_BYTES];
    snprintf(file_option, sizeof file_option, "%s_file", option);
    if (secret && file) {
        error_set(err, "%s is set as well; keep one of them", option);
        return fail_option(config, file_option, err);
    }
    if (secret && strlen(secret) < ACCESS_SECRET_MIN) {
        error_set(err, "it has %zu bytes; at least %d are needed (openssl rand -hex 32 makes one)", strlen(secret),
                  ACCESS_SECRET_MIN);
        return fail_option(config, option, err);
    }
    return 0;
}

static int check_cookie(const struct config *config, struct error *err)
{
    static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~";
    const char *name = config->auth_cookie;
    if (!name || name[strspn(name, token)] == '\0') {
        return 0;
    }
    error_set(err, "a cookie's name has letters, digits and none of the separators of HTTP");
    return fail_option(config, "auth.cookie", err);
}

static int check_collection(const struct config *config, struct error *err)
{
    const char *name = config->auth_grants_collection;
    size_t len = name ? strcspn(name, ".") : 0;
    if (!name) {
        return 0;
    }
    char database[NAMESPACE_MAX + 1];
    snprintf(database, sizeof database, "%.*s", (int)len, name);
    const char *collection = name + len + (name[len] == '.');
    if (!name[len] || !collection[0] || strlen(name) > NAMESPACE_MAX || strchr(collection, '$') ||
        strncmp(collection, "system.", 7) == 0 || connection_database_problem(database)) {
        error_set(err, "expected database.collection, such as platform.grants");
        return fail_option(config, "auth.grants_collection", err);
    }
    return 0;
}

static int check_admin(const struct config *config, struct error *err)
{
    struct token_hash hash;
    if (!config->auth_admin_token_sha256 || token_hash_parse(config->auth_admin_token_sha256, &hash) == 0) {
        return 0;
    }
    error_set(err, "expected the SHA-256 of a token in 64 hex digits; `tailwater token hash` makes it");
    return fail_option(config, "auth.admin_token_sha256", err);
}

/* --- whole ----------------------------------------------------------------------------------------- */

static int check_values(const struct config_loader *loader, struct error *err)
{
    const struct config *c = loader->config;
    if (check_secret(c, "auth.jwt.secret", c->auth_jwt_secret, c->auth_jwt_secret_file, err) != 0 ||
        check_secret(c, "auth.ticket_secret", c->auth_ticket_secret, c->auth_ticket_secret_file, err) != 0 ||
        check_cookie(c, err) != 0 || check_collection(c, err) != 0 || check_admin(c, err) != 0) {
        return -1;
    }
    return check_patterns(loader, "auth.anonymous", c->auth_anonymous, c->auth_anonymous_count, anonymous_problem,
                          err) != 0 ||
                   check_patterns(loader, "auth.grants.everyone", c->auth_grants_everyone,
                                  c->auth_grants_everyone_count, grant_template_problem, err) != 0
               ? -1
               : check_proxies(loader, err);
}

static int check_anyone(const struct config_loader *loader, struct error *err)
{
    const struct config *c = loader->config;
    if (c->auth_jwt_secret || c->auth_jwt_secret_file || c->auth_jwt_jwks_file || c->auth_proxy_count ||
        c->auth_anonymous_count || c->auth_service_count) {
        return 0;
    }
    error_set(err, "auth: nobody could ever read or publish; configure auth.jwt, auth.proxies, auth.anonymous or "
                   "auth.services");
    bool in_file = loader->tree && json_object_get(yaml_tree_root(loader->tree), "auth");
    return in_file ? config_error_at(loader, "auth", err) : -1;
}

/* Reading everything without a name is fine on loopback, and rarely meant elsewhere. */
static void warn_of_anonymous(struct config *config)
{
    struct address address;
    for (unsigned i = 0; i < config->auth_anonymous_count; i++) {
        if (strcmp(config->auth_anonymous[i], "*") == 0 && address_parse(config->listen, &address, NULL) == 0 &&
            !address.loopback) {
            config_warn(config, "auth.anonymous holds *: everyone who can reach the listener may read everything");
            return;
        }
    }
}

int config_read_auth(struct config_loader *loader, struct error *err)
{
    loader->config->has_auth = has_auth(loader);
    if (!loader->config->has_auth) {
        return 0;
    }
    if (config_read_auth_lists(loader, err) != 0 || check_values(loader, err) != 0 ||
        check_anyone(loader, err) != 0) {
        return -1;
    }
    warn_of_anonymous(loader->config);
    return 0;
}
