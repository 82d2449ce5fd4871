/* command_token - see command_token.h. */
#include "command_token.h"

#include "clock.h"
#include "config_auth.h"
#include "jwt_make.h"
#include "random.h"
#include "token_hash.h"

#include "tailwater/channel.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

enum { NEW_TOKEN_BYTES = 32, SHORT_TOKEN = 20 };

static int fail(FILE *err_out, const struct error *err)
{
    fprintf(err_out, "tailwater: %s\n", err->text);
    return CLI_EXIT_FAILED;
}

/* All of in, without the line break at its end. Returns 0, or -1 when it is empty, too long or not printable. */
static int read_token(FILE *in, struct buffer *out, struct error *err)
{
    size_t n;
    while (out->len <= ACCESS_CREDENTIAL_MAX && (n = fread(buffer_reserve(out, 4096), 1, 4096, in)) > 0) {
        out->len += n;
    }
    while (out->len && (out->data[out->len - 1] == '\n' || out->data[out->len - 1] == '\r')) {
        out->len--;
    }
    if (out->len == 0 || out->len > ACCESS_CREDENTIAL_MAX) {
        return error_set(err, "token: expected one of 1 to %d bytes on standard input", ACCESS_CREDENTIAL_MAX);
    }
    for (size_t i = 0; i < out->len; i++) {
        if (out->data[i] <= ' ' || out->data[i] > '~') {
            return error_set(err, "token: white space, control characters and bytes beyond ASCII cannot be sent in a "
                                  "header");
        }
    }
    return 0;
}

/* --- make ------------------------------------------------------------------------------------------ */

/* Split at commas. */
static int read_channels(const char *text, char ***out, unsigned *count, struct error *err)
{
    while (text && *text) {
        size_t len = strcspn(text, ",");
        const char *problem = tailwater_channel_problem(text, len, true);
        if (problem) {
            return error_set(err, "--channels: entry %u is not a channel or pattern: %s", *count + 1, problem);
        }
        *out = memory_resize(*out, (*count + 1) * sizeof **out);
        (*out)[(*count)++] = memory_copy(text, len);
        text += len + (text[len] == ',');
    }
    return *count <= IDENTITY_CLAIMED_MAX ? 0 : error_set(err, "--channels: at most %d", IDENTITY_CLAIMED_MAX);
}

static int no_secret(const struct config *config, struct error *err)
{
    return error_set(err, config->auth_jwt_jwks_file
                              ? "auth.jwt.secret is not configured: the keys of auth.jwt.jwks_file only check tokens, so "
                                "let your login service make one, or configure a secret for development"
                              : "auth.jwt.secret is not configured: it is what tokens are signed with");
}

static char *make_with(const struct config *config, const struct cli_token *command, const char *secret,
                       struct error *err)
{
    struct jwt_draft draft = {
        .user = command->user,
        .workspace = command->workspace,
        .issuer = config->auth_jwt_issuer,
        .audience = config->auth_jwt_audience,
        .grants_claim = config->auth_jwt_grants_claim,
        .now_s = clock_wall_ms() / 1000,
    };
    draft.expires_s = draft.now_s + command->expires_s;
    char **channels = NULL, *token = NULL;
    if (read_channels(command->channels, &channels, &draft.pattern_count, err) == 0) {
        draft.patterns = (const char *const *)channels;
        token = jwt_make(secret, &draft, err);
    }
    memory_free_texts(channels, draft.pattern_count);
    return token;
}

static int check_names(const struct cli_token *command, struct error *err)
{
    if (!identity_name_fits(command->user)) {
        return error_set(err, "--user: expected 1 to 256 bytes of UTF-8 without control characters");
    }
    return !command->workspace || identity_name_fits(command->workspace)
               ? 0
               : error_set(err, "--workspace: expected 1 to 256 bytes of UTF-8 without control characters");
}

static int make(const struct config *config, const struct cli_token *command, FILE *out, FILE *err_out)
{
    struct error err;
    struct buffer secret = BUFFER_INIT;
    char *token = NULL;
    int found = check_names(command, &err) == 0 ? config_auth_jwt_secret(config, &secret, &err) : -1;
    if (found > 0) {
        no_secret(config, &err);
    } else if (found == 0) {
        token = make_with(config, command, buffer_text(&secret), &err);
        OPENSSL_cleanse(secret.data, secret.cap);
    }
    buffer_fini(&secret);
    if (!token) {
        return fail(err_out, &err);
    }
    fprintf(out, "%s\n", token);
    free(token);
    return CLI_EXIT_DONE;
}

/* --- check ----------------------------------------------------------------------------------------- */

static void print_expiry(const struct identity *identity, int64_t now_ms, FILE *out)
{
    char iso[CLOCK_ISO_MAX];
    if (identity->expires_ms == 0) {
        fprintf(out, "expires: never\n");
        return;
    }
    clock_format_iso(identity->expires_ms, iso);
    fprintf(out, "expires: %s (in %lld s)\n", iso, (long long)((identity->expires_ms - now_ms) / 1000));
}

static void print_identity(const struct config *config, const struct identity *identity, int64_t now_ms, FILE *out)
{
    char **patterns;
    unsigned count = access_patterns(config->access, identity, &patterns);
    fprintf(out, "user: %s\n", identity->user);
    fprintf(out, "workspace: %s\n", identity->workspace ? identity->workspace : "(none)");
    print_expiry(identity, now_ms, out);
    fprintf(out, "may read:%s\n", count ? "" : " nothing");
    for (unsigned i = 0; i < count; i++) {
        fprintf(out, "  %s\n", patterns[i]);
    }
    if (config->auth_grants_collection) {
        fprintf(out, "and what %s says of this user\n", config->auth_grants_collection);
    }
    memory_free_texts(patterns, count);
}

static int examine(const struct config *config, const char *token, FILE *out, struct error *err)
{
    struct buffer bearer = BUFFER_INIT;
    struct identity *identity = NULL;
    buffer_printf(&bearer, "Bearer %s", token);
    struct access_request request = {.authorization = buffer_text(&bearer), .now_ms = clock_wall_ms()};
    int rc = access_is_open(config->access)
                 ? error_set(err, "no auth is configured: everyone may read, and tokens are not looked at")
                 : access_identify(config->access, &request, &identity, err) == ACCESS_GRANTED ? 0 : -1;
    if (rc == 0) {
        print_identity(config, identity, request.now_ms, out);
    }
    identity_unref(identity);
    buffer_fini(&bearer);
    return rc;
}

static int check(const struct config *config, const struct cli_token *command, FILE *in, FILE *out, FILE *err_out)
{
    struct error err;
    struct buffer token = BUFFER_INIT;
    int rc = 0;
    if (command->text && strcmp(command->text, "-") != 0) {
        buffer_append_text(&token, command->text);
    } else {
        rc = read_token(in, &token, &err);
    }
    rc = rc == 0 ? examine(config, buffer_text(&token), out, &err) : rc;
    buffer_fini(&token);
    return rc == 0 ? CLI_EXIT_DONE : fail(err_out, &err);
}

/* --- hash ------------------------------------------------------------------------------------------ */

static void print_hash(const char *token, size_t len, FILE *out)
{
    char digits[TOKEN_HASH_TEXT];
    struct token_hash hash = token_hash_of(token, len);
    token_hash_format(&hash, digits);
    fprintf(out, "token_sha256: %s\n", digits);
}

static int hash_new(FILE *out)
{
    char token[2 * NEW_TOKEN_BYTES + 1];
    random_hex(token, NEW_TOKEN_BYTES);
    fprintf(out, "token: %s\n", token);
    print_hash(token, strlen(token), out);
    return CLI_EXIT_DONE;
}

static int hash(FILE *in, FILE *out, FILE *err_out)
{
    struct error err;
    struct buffer token = BUFFER_INIT;
    int rc = read_token(in, &token, &err);
    if (rc == 0) {
        print_hash(token.data, token.len, out);
    }
    if (rc == 0 && token.len < SHORT_TOKEN) {
        fprintf(err_out, "tailwater: a token so short can be guessed from its hash; --new makes a good one\n");
    }
    buffer_fini(&token);
    return rc == 0 ? CLI_EXIT_DONE : fail(err_out, &err);
}

int command_token_run(const struct config *config, const struct cli_token *command, FILE *in, FILE *out, FILE *err_out)
{
    switch (command->action) {
    case CLI_TOKEN_MAKE:
        return make(config, command, out, err_out);
    case CLI_TOKEN_CHECK:
        return check(config, command, in, out, err_out);
    case CLI_TOKEN_HASH:
        return command->fresh ? hash_new(out) : hash(in, out, err_out);
    case CLI_TOKEN_NONE:
        break;
    }
    return CLI_EXIT_USAGE;
}
