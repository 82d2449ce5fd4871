/* config_access - see config_auth.h: secrets, key files, and the rules that all of `auth:` makes. */
#include "config_auth.h"

#include "config_loader.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* --- secrets --------------------------------------------------------------------------------------- */

static void forget(struct buffer *secret)
{
    if (secret->data) {
        OPENSSL_cleanse(secret->data, secret->cap);
    }
    buffer_fini(secret);
}

/* The secret itself, or the content of its file. Returns 0, 1 when there is none, or -1. */
static int read_secret(const char *option, const char *secret, const char *file, struct buffer *out,
                       struct error *err)
{
    if (!secret && !file) {
        return 1;
    }
    if (secret) {
        buffer_append_text(out, secret);
        return 0;
    }
    if (config_read_value_file(file, out, err) != 0) {
        return error_prefix(err, "%s_file", option);
    }
    if (out->len < ACCESS_SECRET_MIN) {
        return error_set(err, "%s_file: %s holds %zu bytes; at least %d are needed", option, file, out->len,
                         ACCESS_SECRET_MIN);
    }
    return 0;
}

int config_auth_jwt_secret(const struct config *config, struct buffer *out, struct error *err)
{
    return read_secret("auth.jwt.secret", config->auth_jwt_secret, config->auth_jwt_secret_file, out, err);
}

/* --- rules ----------------------------------------------------------------------------------------- */

/* Arrays that borrow from the configuration for the call of access_new(). */
struct rules {
    struct access_rule *users;
    struct access_service_options *services;
    struct ip_range *proxies;
    struct buffer jwt_secret, ticket_secret;
};

static const char *const *borrow(char *const *texts)
{
    return (const char *const *)texts;
}

static int borrow_lists(const struct config *c, struct rules *rules, struct error *err)
{
    rules->users = memory_zero(c->auth_user_count, sizeof *rules->users);
    for (unsigned i = 0; i < c->auth_user_count; i++) {
        const struct config_user *user = &c->auth_users[i];
        rules->users[i] = (struct access_rule){user->name, borrow(user->patterns), user->pattern_count};
    }
    rules->services = memory_zero(c->auth_service_count, sizeof *rules->services);
    for (unsigned i = 0; i < c->auth_service_count; i++) {
        const struct config_service *service = &c->auth_services[i];
        rules->services[i] = (struct access_service_options){
            .name = service->name,
            .service = service->service,
            .tokens_sha256 = borrow(service->tokens_sha256),
            .token_count = service->token_count,
            .publish = borrow(service->publish),
            .publish_count = service->publish_count,
        };
    }
    rules->proxies = memory_zero(c->auth_proxy_count, sizeof *rules->proxies);
    for (unsigned i = 0; i < c->auth_proxy_count; i++) {
        if (ip_range_parse(c->auth_proxies[i], &rules->proxies[i], err) != 0) {
            return error_prefix(err, "auth.proxies");
        }
    }
    return 0;
}

static struct access *make(const struct config *c, struct rules *rules, struct error *err)
{
    int jwt = config_auth_jwt_secret(c, &rules->jwt_secret, err);
    int ticket = jwt < 0 ? -1
                         : read_secret("auth.ticket_secret", c->auth_ticket_secret, c->auth_ticket_secret_file,
                                       &rules->ticket_secret, err);
    if (ticket < 0 || borrow_lists(c, rules, err) != 0) {
        return NULL;
    }
    struct access_options options = {
        .open = !c->has_auth,
        .anonymous = borrow(c->auth_anonymous),
        .anonymous_count = c->auth_anonymous_count,
        .jwt_secret = jwt == 0 ? buffer_text(&rules->jwt_secret) : NULL,
        .jwks_file = c->auth_jwt_jwks_file,
        .issuer = c->auth_jwt_issuer,
        .audience = c->auth_jwt_audience,
        .grants_claim = c->auth_jwt_grants_claim,
        .skew_s = c->auth_jwt_skew_s,
        .ticket_secret = ticket == 0 ? buffer_text(&rules->ticket_secret) : NULL,
        .cookie = c->auth_cookie,
        .proxies = rules->proxies,
        .proxy_count = c->auth_proxy_count,
        .users = rules->users,
        .user_count = c->auth_user_count,
        .everyone = borrow(c->auth_grants_everyone),
        .everyone_count = c->auth_grants_everyone_count,
        .services = rules->services,
        .service_count = c->auth_service_count,
        .admin_token_sha256 = c->auth_admin_token_sha256,
    };
    return access_new(&options, err);
}

struct access *config_auth_access(const struct config *config, struct error *err)
{
    struct rules rules = {0};
    struct access *access = make(config, &rules, err);
    forget(&rules.jwt_secret);
    forget(&rules.ticket_secret);
    free(rules.users);
    free(rules.services);
    free(rules.proxies);
    return access;
}

/* --- at loading ------------------------------------------------------------------------------------ */

static void warn_of_file(struct config *config, const char *option, const char *file)
{
    struct stat facts;
    if (!file || stat(file, &facts) != 0 || !(facts.st_mode & S_IROTH)) {
        return;
    }
    struct buffer sentence = BUFFER_INIT;
    buffer_printf(&sentence, "%s: every user of this machine may read %s (chmod o-r)", option, file);
    config_warn(config, buffer_text(&sentence));
    buffer_fini(&sentence);
}

/* The option that the sentence of config_auth_access() begins with. */
static int fail_access(const struct config *config, struct error *err)
{
    static const char *const files[] = {"auth.jwt.secret_file", "auth.ticket_secret_file", "auth.jwt.jwks_file"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (strncmp(err->text, files[i], strlen(files[i])) == 0) {
            return config_error_of(config, files[i], err);
        }
    }
    return -1;
}

int config_make_access(struct config *config, struct error *err)
{
    struct error why;
    config->access = config_auth_access(config, &why);
    if (!config->access) {
        fail_access(config, &why);
        return error_set(err, "%s", why.text);
    }
    warn_of_file(config, "auth.jwt.secret_file", config->auth_jwt_secret_file);
    warn_of_file(config, "auth.ticket_secret_file", config->auth_ticket_secret_file);
    for (unsigned i = 0; i < access_note_count(config->access); i++) {
        struct buffer sentence = BUFFER_INIT;
        buffer_printf(&sentence, "%s: %s", config->auth_jwt_jwks_file, access_note_at(config->access, i));
        config_warn(config, buffer_text(&sentence));
        buffer_fini(&sentence);
    }
    return 0;
}
