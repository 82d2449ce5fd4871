/* access - see access.h. Here: making it, services and admin. Who asks: access_identify.c; what: access_patterns.c */
#include "access_inside.h"

#include "buffer.h"
#include "credential.h"
#include "file.h"

#include "tailwater/channel.h"

#include <stdlib.h>
#include <string.h>

enum { JWKS_BYTES_MAX = 1048576 };

/* --- making ---------------------------------------------------------------------------------------- */

static char *copy_text(const char *text)
{
    return text ? memory_text(text) : NULL;
}

static struct access_texts copy_texts(const char *const *texts, unsigned count)
{
    struct access_texts copy = {memory_zero(count, sizeof *copy.texts), count};
    for (unsigned i = 0; i < count; i++) {
        copy.texts[i] = memory_text(texts[i]);
    }
    return copy;
}

static void free_texts(struct access_texts *texts)
{
    memory_free_texts(texts->texts, texts->count);
}

static int compare_users(const void *a, const void *b)
{
    const struct access_user *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static void copy_users(struct access *access, const struct access_options *options)
{
    access->users = memory_zero(options->user_count, sizeof *access->users);
    for (unsigned i = 0; i < options->user_count; i++) {
        const struct access_rule *rule = &options->users[i];
        access->users[access->user_count++] =
            (struct access_user){memory_text(rule->name), copy_texts(rule->patterns, rule->count)};
    }
    qsort(access->users, access->user_count, sizeof *access->users, compare_users);
}

static void copy_options(struct access *access, const struct access_options *options)
{
    access->open = options->open;
    access->anonymous = copy_texts(options->anonymous, options->anonymous_count);
    access->everyone = copy_texts(options->everyone, options->everyone_count);
    copy_users(access, options);
    access->rules = (struct jwt_rules){
        .issuer = copy_text(options->issuer),
        .audience = copy_text(options->audience),
        .grants_claim = memory_text(options->grants_claim ? options->grants_claim : "channels"),
        .skew_s = options->skew_s,
    };
    access->cookie = copy_text(options->cookie);
    access->proxies = memory_copy(options->proxies, options->proxy_count * sizeof *access->proxies);
    access->proxy_count = options->proxy_count;
}

static int read_jwks(struct access *access, const char *path, struct error *err)
{
    struct buffer text = BUFFER_INIT;
    if (file_read(path, JWKS_BYTES_MAX, &text, err) != 0) {
        buffer_fini(&text);
        return error_prefix(err, "auth.jwt.jwks_file");
    }
    int rc = jwt_keys_add_set(&access->keys, buffer_text(&text), text.len, err);
    buffer_fini(&text);
    return rc == 0 ? 0 : error_prefix(err, "auth.jwt.jwks_file: %s", path);
}

static int make_keys(struct access *access, const struct access_options *options, struct error *err)
{
    if (options->jwt_secret && jwt_keys_add_secret(&access->keys, options->jwt_secret, err) != 0) {
        return error_prefix(err, "auth.jwt.secret");
    }
    if (options->jwks_file && read_jwks(access, options->jwks_file, err) != 0) {
        return -1;
    }
    if (options->ticket_secret) {
        access->tickets = ticket_key_new(options->ticket_secret, err);
        return access->tickets ? 0 : error_prefix(err, "auth.ticket_secret");
    }
    return 0;
}

static int make_services(struct access *access, const struct access_options *options, struct error *err)
{
    if (services_init(&access->services, options->services, options->service_count, err) != 0) {
        return -1;
    }
    if (!options->admin_token_sha256) {
        return 0;
    }
    access->has_admin = true;
    return token_hash_parse(options->admin_token_sha256, &access->admin) == 0
               ? 0
               : error_set(err, "auth.admin_token_sha256: expected 64 hex digits");
}

struct access *access_new(const struct access_options *options, struct error *err)
{
    struct access *access = memory_zero(1, sizeof *access);
    atomic_init(&access->refs, 1);
    copy_options(access, options);
    if (make_keys(access, options, err) != 0 || make_services(access, options, err) != 0) {
        access_unref(access);
        return NULL;
    }
    return access;
}

struct access *access_ref(struct access *access)
{
    atomic_fetch_add_explicit(&access->refs, 1, memory_order_relaxed);
    return access;
}

void access_unref(struct access *access)
{
    if (!access || atomic_fetch_sub_explicit(&access->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (unsigned i = 0; i < access->user_count; i++) {
        free(access->users[i].name);
        free_texts(&access->users[i].patterns);
    }
    free(access->users);
    free_texts(&access->anonymous);
    free_texts(&access->everyone);
    free(access->rules.issuer);
    free(access->rules.audience);
    free(access->rules.grants_claim);
    free(access->cookie);
    free(access->proxies);
    jwt_keys_fini(&access->keys);
    ticket_key_free(access->tickets);
    services_fini(&access->services);
    free(access);
}

bool access_is_open(const struct access *access)
{
    return access->open;
}

unsigned access_note_count(const struct access *access)
{
    return access->keys.note_count;
}

const char *access_note_at(const struct access *access, unsigned index)
{
    return access->keys.notes[index];
}

/* --- services and admin ---------------------------------------------------------------------------- */

/* The token of "Bearer …", not too long to look at; NULL = none. */
static const char *bearer(const char *authorization, size_t *len)
{
    const char *token = authorization ? credential_bearer(authorization, len) : NULL;
    return token && *len <= ACCESS_CREDENTIAL_MAX ? token : NULL;
}

const struct access_service *access_find_service(const struct access *access, const char *authorization)
{
    size_t len;
    const char *token = bearer(authorization, &len);
    return token ? services_find(&access->services, token, len) : NULL;
}

bool access_may_publish(const struct access_service *service, const char *channel, size_t len)
{
    for (unsigned i = 0; i < service->publish_count; i++) {
        if (tailwater_pattern_match(service->publish[i], strlen(service->publish[i]), channel, len)) {
            return true;
        }
    }
    return false;
}

unsigned access_service_count(const struct access *access)
{
    return access->services.count;
}

const struct access_service *access_service_at(const struct access *access, unsigned index)
{
    return &access->services.list[index];
}

bool access_has_admin(const struct access *access)
{
    return access->has_admin;
}

bool access_is_admin(const struct access *access, const char *authorization)
{
    size_t len;
    const char *token = bearer(authorization, &len);
    if (!token || !access->has_admin) {
        return false;
    }
    struct token_hash hash = token_hash_of(token, len);
    return token_hash_is_same(&hash, &access->admin);
}
