/* config_aliases - `aliases:` and allowed_origins of the configuration. */
#include "config_loader.h"

#include "tailwater/channel.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { ALIASES_MAX = 256, ALIAS_PATH_MAX = 512, WHERE_MAX = 64 };

/* --- aliases ---------------------------------------------------------------------------------- */

static bool is_taken(const char *path)
{
    static const char *const whole[] = {"/", "/health", "/livez", "/readyz", "/metrics", "/api/sse", "/logs/stream",
                                        "/api/publish"};
    static const char *const below[] = {"/api/logs/", "/admin/", "/test/"};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        if (strcmp(path, whole[i]) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof below / sizeof below[0]; i++) {
        if (strncmp(path, below[i], strlen(below[i])) == 0) {
            return true;
        }
    }
    return false;
}

static int check_path(const struct config *config, const char *path, struct error *err)
{
    size_t len = strlen(path);
    if (path[0] != '/' || len > ALIAS_PATH_MAX) {
        return error_set(err, "a path begins with / and has at most %d bytes", ALIAS_PATH_MAX);
    }
    for (const char *p = path; *p; p++) {
        if (!isgraph((unsigned char)*p) || strchr("?#\"<>\\^`{|}", *p)) {
            return error_set(err, "a path has neither query nor white space nor any of # \" < > \\ ^ ` { | }");
        }
    }
    if (is_taken(path)) {
        return error_set(err, "the path is one of tailwater's own");
    }
    for (unsigned i = 0; i < config->alias_count; i++) {
        if (strcmp(config->aliases[i].path, path) == 0) {
            return error_set(err, "aliases[%u] has the same path", i);
        }
    }
    return 0;
}

/* "{workspace_id}"? */
static bool is_placeholder(const char *segment, size_t len)
{
    return len > 2 && segment[0] == '{' && segment[len - 1] == '}' &&
           strspn(segment + 1, "abcdefghijklmnopqrstuvwxyz_") == len - 2;
}

/* With each placeholder taken for a value, the template must be a channel or pattern. */
static int check_template(const char *template, struct error *err)
{
    struct buffer sample = BUFFER_INIT;
    int rc = 0;
    for (const char *segment = template; rc == 0; segment++) {
        size_t len = strcspn(segment, ":");
        if (is_placeholder(segment, len)) {
            buffer_append_byte(&sample, 'x');
        } else if (memchr(segment, '{', len) || memchr(segment, '}', len)) {
            rc = error_set(err, "a placeholder is a whole segment of small letters and _, such as {workspace_id}");
        } else {
            buffer_append(&sample, segment, len);
        }
        segment += len;
        if (!*segment) {
            break;
        }
        buffer_append_byte(&sample, ':');
    }
    const char *problem = rc == 0 ? tailwater_channel_problem(buffer_text(&sample), sample.len, true) : NULL;
    if (problem) {
        rc = error_set(err, "not a channel: %s", problem);
    }
    buffer_fini(&sample);
    return rc;
}

static int fail_alias(const struct config_loader *loader, size_t index, const char *key, struct error *err)
{
    char where[WHERE_MAX];
    snprintf(where, sizeof where, "aliases[%zu]%s%s", index, key[0] ? "." : "", key);
    error_prefix(err, "%s", where);
    return config_error_at(loader, where, err);
}

static int read_alias(const struct config_loader *loader, size_t index, json_t *entry, struct error *err)
{
    static const char *const keys[] = {"path", "channel"};
    char where[WHERE_MAX];
    snprintf(where, sizeof where, "aliases[%zu]", index);
    if (config_check_keys(loader, where, entry, keys, 2, err) != 0) {
        return -1;
    }
    const char *path = json_string_value(json_object_get(entry, "path"));
    const char *channel = json_string_value(json_object_get(entry, "channel"));
    if (!path || !channel) {
        error_set(err, "expected { path: /…, channel: \"…\" }, both texts");
        return fail_alias(loader, index, "", err);
    }
    struct config *config = loader->config;
    if (check_path(config, path, err) != 0) {
        return fail_alias(loader, index, "path", err);
    }
    if (check_template(channel, err) != 0) {
        return fail_alias(loader, index, "channel", err);
    }
    config->aliases[config->alias_count++] = (struct config_alias){memory_text(path), memory_text(channel)};
    return 0;
}

int config_read_aliases(struct config_loader *loader, struct error *err)
{
    const json_t *list = loader->tree ? json_object_get(yaml_tree_root(loader->tree), "aliases") : NULL;
    if (!list || json_is_null(list)) {
        return 0;
    }
    if (!json_is_array(list) || json_array_size(list) > ALIASES_MAX) {
        error_set(err, "aliases: expected a list of at most %d entries", ALIASES_MAX);
        return config_error_at(loader, "aliases", err);
    }
    loader->config->aliases = memory_zero(json_array_size(list), sizeof *loader->config->aliases);
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (read_alias(loader, i, json_array_get(list, i), err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* --- origins ---------------------------------------------------------------------------------- */

/* Where host[:port] of "scheme://host[:port]" begins, or NULL. */
static const char *after_scheme(const char *origin)
{
    size_t len = strspn(origin, "abcdefghijklmnopqrstuvwxyz0123456789+.-");
    return len && isalpha((unsigned char)origin[0]) && strncmp(origin + len, "://", 3) == 0 ? origin + len + 3 : NULL;
}

/* The colon before the port, or the end; NULL when there is no host. */
static const char *host_end(const char *host)
{
    if (host[0] == '[') {
        size_t len = strspn(host + 1, "0123456789abcdef:.");
        return len && host[1 + len] == ']' ? host + len + 2 : NULL;
    }
    size_t len = strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789.-_");
    return len ? host + len : NULL;
}

static bool is_port(const char *text)
{
    size_t len = strlen(text);
    return len && len <= 5 && strspn(text, "0123456789") == len && atoi(text) >= 1 && atoi(text) <= 65535;
}

/* Browsers leave the scheme's own port out, and compare what they send byte by byte. */
static bool is_default_port(const char *origin, const char *colon)
{
    return (strncmp(origin, "http://", 7) == 0 && strcmp(colon, ":80") == 0) ||
           (strncmp(origin, "https://", 8) == 0 && strcmp(colon, ":443") == 0);
}

/* Bring an origin into the form that browsers send. */
static int normalize_origin(char *origin, struct error *err)
{
    for (char *p = origin; *p; p++) {
        *p = (char)tolower((unsigned char)*p);
    }
    if (strcmp(origin, "null") == 0) {
        return error_set(err, "\"null\" is every sandboxed frame and local file, and cannot be allowed");
    }
    const char *host = after_scheme(origin);
    const char *end = host ? host_end(host) : NULL;
    if (!end || (*end && (*end != ':' || !is_port(end + 1)))) {
        return error_set(err, "expected scheme://host or scheme://host:port, without path, such as "
                              "https://app.example.com");
    }
    if (is_default_port(origin, end)) {
        origin[end - origin] = '\0';
    }
    return 0;
}

static int fail_origin(const struct config *config, unsigned index, struct error *err)
{
    error_prefix(err, "allowed_origins: entry %u", index + 1);
    return config_error_of(config, "allowed_origins", err);
}

int config_check_origins(struct config *config, struct error *err)
{
    for (unsigned i = 0; i < config->allowed_origin_count; i++) {
        char *origin = config->allowed_origins[i];
        if (strcmp(origin, "*") == 0) {
            if (config->allowed_origin_count == 1) {
                continue;
            }
            error_set(err, "* allows all and must stand alone");
            return fail_origin(config, i, err);
        }
        if (normalize_origin(origin, err) != 0) {
            return fail_origin(config, i, err);
        }
    }
    return 0;
}
