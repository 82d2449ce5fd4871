/* cli - see cli.h. */
#include "cli.h"

#include "buffer.h"
#include "connection.h"
#include "manual.h"
#include "nearest.h"
#include "options.h"

#include <stdlib.h>
#include <string.h>

/* Words of the command line; those that answer at once stand behind the commands. */
enum word { WORD_HELP = CLI_HEALTHCHECK + 1, WORD_VERSION };
static const char *const words[] = {"serve", "check", "demo", "print-config", "token", "healthcheck", "help", "version"};
enum { WORDS = sizeof words / sizeof words[0] };

/* What may follow `token`, by enum cli_token_action. */
static const char *const token_words[] = {"make", "check", "hash"};
enum { TOKEN_WORDS = sizeof token_words / sizeof token_words[0] };

enum {
    DEMO_RATE_MAX = 10000,
    DEMO_SECONDS_MAX = 31536000,
    NAME_BYTES = 64,
    TOKEN_EXPIRES_S = 3600,
    TOKEN_EXPIRES_MAX_S = 315360000,
};

/* The arguments while they are read. */
struct reader {
    char **next; /* NULL-terminated */
    struct cli *cli;
    int word; /* enum cli_command or enum word; -1: none given */
    bool help, version, help_options;
    bool demo_flags, make_flags;
};

/* --- single flags ----------------------------------------------------------------------------- */

/* The value behind "=" or, without one, the next argument. */
static int take_value(struct reader *r, const char *name, const char *inline_value, const char **out,
                      struct error *err)
{
    *out = inline_value ? inline_value : *r->next;
    if (!*out) {
        return error_set(err, "--%s needs a value", name);
    }
    if (!inline_value) {
        r->next++;
    }
    return 0;
}

static int parse_count(const char *name, const char *text, int64_t min, int64_t max, int64_t *out, struct error *err)
{
    size_t len = strlen(text);
    long long number = len && len < 10 && strspn(text, "0123456789") == len ? strtoll(text, NULL, 10) : -1;
    if (number < min || number > max) {
        return error_set(err, "--%s: expected a whole number, %lld to %lld", name, (long long)min, (long long)max);
    }
    *out = number;
    return 0;
}

static int parse_demo_database(const char *text, const char **out, struct error *err)
{
    const char *problem = connection_database_problem(text);
    *out = text;
    return problem ? error_set(err, "--database: the name %s", problem) : 0;
}

static int take_demo_flag(struct reader *r, const char *name, const char *inline_value, struct error *err)
{
    const char *value;
    r->demo_flags = true;
    if (take_value(r, name, inline_value, &value, err) != 0) {
        return -1;
    }
    if (strcmp(name, "rate") == 0) {
        return parse_count(name, value, 1, DEMO_RATE_MAX, &r->cli->demo_rate, err);
    }
    if (strcmp(name, "seconds") == 0) {
        return parse_count(name, value, 0, DEMO_SECONDS_MAX, &r->cli->demo_seconds, err);
    }
    return parse_demo_database(value, &r->cli->demo_database, err);
}

/* "90", "90s", "15m", "1h", "30d" */
static int parse_duration(const char *name, const char *text, int64_t *out, struct error *err)
{
    static const struct {
        const char *unit;
        int64_t seconds;
    } units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    size_t len = strspn(text, "0123456789");
    int64_t number = len && len < 10 ? strtoll(text, NULL, 10) : 0;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(text + len, units[i].unit) == 0 && number > 0 && number <= TOKEN_EXPIRES_MAX_S / units[i].seconds) {
            *out = number * units[i].seconds;
            return 0;
        }
    }
    return error_set(err, "--%s: expected a duration such as 90s, 15m, 1h or 30d, at most 3650d", name);
}

/* The field of a flag of `token make` that is text, or NULL. */
static const char **find_make_text(struct reader *r, const char *name)
{
    if (strcmp(name, "user") == 0) {
        return &r->cli->token.user;
    }
    if (strcmp(name, "workspace") == 0) {
        return &r->cli->token.workspace;
    }
    return strcmp(name, "channels") == 0 ? &r->cli->token.channels : NULL;
}

static int take_make_flag(struct reader *r, const char *name, const char *inline_value, struct error *err)
{
    const char **field = find_make_text(r, name), *value;
    r->make_flags = true;
    if (take_value(r, name, inline_value, &value, err) != 0) {
        return -1;
    }
    if (!field) {
        return parse_duration(name, value, &r->cli->token.expires_s, err);
    }
    *field = value;
    return 0;
}

/* The field of a flag that takes no value, or NULL. */
static bool *find_switch(struct reader *r, const char *name)
{
    if (strcmp(name, "help") == 0) {
        return &r->help;
    }
    if (strcmp(name, "version") == 0) {
        return &r->version;
    }
    if (strcmp(name, "new") == 0) {
        return &r->cli->token.fresh;
    }
    return strcmp(name, "offline") == 0 ? &r->cli->offline : NULL;
}

static int take_switch(bool *field, const char *name, const char *inline_value, struct error *err)
{
    *field = true;
    return inline_value ? error_set(err, "--%s takes no value", name) : 0;
}

static void add_flag(struct cli *cli, const struct option *option, const char *value)
{
    struct buffer flag = BUFFER_INIT;
    buffer_printf(&flag, "%s=%s", option->name, value);
    cli->flags = memory_resize(cli->flags, (cli->flag_count + 2) * sizeof *cli->flags);
    cli->flags[cli->flag_count++] = memory_text(buffer_text(&flag));
    cli->flags[cli->flag_count] = NULL;
    buffer_fini(&flag);
}

static int take_option(struct reader *r, const struct option *option, const char *inline_value, struct error *err)
{
    const char *value = inline_value;
    if (option->type == OPTION_TYPE_BOOL && !inline_value) {
        value = "true";
    } else if (take_value(r, option->name, inline_value, &value, err) != 0) {
        return -1;
    }
    add_flag(r->cli, option, value);
    return 0;
}

static int unknown_flag(const char *name, struct error *err)
{
    static const char *const others[] = {"config",   "offline", "help",      "version",  "rate",    "seconds",
                                         "database", "user",    "workspace", "channels", "expires", "new"};
    const char *meant = nearest_name(name, others, sizeof others / sizeof others[0]);
    meant = meant ? meant : options_nearest(name);
    if (meant) {
        return error_set(err, "unknown option --%s (did you mean --%s?)", name, meant);
    }
    return error_set(err, "unknown option --%s", name);
}

/* A name that is fit for being shown: letters, digits, '.', '_' and '-'. */
static bool is_shown(const char *name)
{
    return name[0] && strlen(name) < NAME_BYTES &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == '\0';
}

static bool is_demo_flag(const char *name)
{
    return strcmp(name, "rate") == 0 || strcmp(name, "seconds") == 0 || strcmp(name, "database") == 0;
}

static bool is_make_flag(struct reader *r, const char *name)
{
    return strcmp(name, "expires") == 0 || find_make_text(r, name);
}

/* The part before "=" with '_' for '-', so that --heartbeat-s works too. */
static int copy_name(const char *argument, char name[NAME_BYTES], const char **value, struct error *err)
{
    size_t len = strcspn(argument, "=");
    *value = argument[len] ? argument + len + 1 : NULL;
    if (len == 0 || len >= NAME_BYTES) {
        return error_set(err, "an option is written --name=value");
    }
    memcpy(name, argument, len);
    name[len] = '\0';
    if (!is_shown(name)) {
        return error_set(err, "an option is written --name=value");
    }
    for (char *p = name; *p; p++) {
        *p = *p == '-' ? '_' : *p;
    }
    return 0;
}

static int take_flag(struct reader *r, const char *argument, struct error *err)
{
    char name[NAME_BYTES];
    const char *value;
    if (copy_name(argument, name, &value, err) != 0) {
        return -1;
    }
    if (strcmp(name, "config") == 0) {
        return take_value(r, name, value, &r->cli->config_file, err);
    }
    bool *field = find_switch(r, name);
    if (field) {
        return take_switch(field, name, value, err);
    }
    if (is_demo_flag(name)) {
        return take_demo_flag(r, name, value, err);
    }
    if (is_make_flag(r, name)) {
        return take_make_flag(r, name, value, err);
    }
    const struct option *option = options_find(name);
    return option ? take_option(r, option, value, err) : unknown_flag(name, err);
}

/* --- words ------------------------------------------------------------------------------------ */

/* What stands behind `token`: an action, and behind `check` the token itself, of which no message says anything. */
static int take_token_word(struct reader *r, const char *word, struct error *err)
{
    struct cli_token *token = &r->cli->token;
    for (int i = 0; token->action == CLI_TOKEN_NONE && i < TOKEN_WORDS; i++) {
        if (strcmp(token_words[i], word) == 0) {
            token->action = (enum cli_token_action)(CLI_TOKEN_MAKE + i);
            return 0;
        }
    }
    if (token->action == CLI_TOKEN_CHECK && !token->text) {
        token->text = word;
        return 0;
    }
    return error_set(err, token->action == CLI_TOKEN_NONE ? "behind token stands make, check or hash"
                          : token->action == CLI_TOKEN_HASH
                              ? "token hash reads the token from standard input: arguments are seen by every process"
                              : "there is an argument too many behind token");
}

static int take_word(struct reader *r, const char *word, struct error *err)
{
    if (r->word == WORD_HELP) {
        r->help_options = r->help_options || strcmp(word, "options") == 0;
        return 0;
    }
    if (r->word == CLI_TOKEN) {
        return take_token_word(r, word, err);
    }
    for (int i = 0; r->word < 0 && i < WORDS; i++) {
        if (strcmp(words[i], word) == 0) {
            r->word = i;
            return 0;
        }
    }
    if (!is_shown(word)) {
        return error_set(err, "an argument is neither a command nor an option (a connection string goes into "
                              "MONGODB_URI)");
    }
    if (r->word >= 0) {
        return error_set(err, "unexpected argument \"%s\" behind \"%s\"", word, words[r->word]);
    }
    const char *meant = nearest_name(word, words, WORDS);
    return meant ? error_set(err, "unknown command \"%s\" (did you mean \"%s\"?)", word, meant)
                 : error_set(err, "unknown command \"%s\"; there are serve, check, demo, print-config, token, "
                                  "healthcheck, help and version",
                             word);
}

static int take_argument(struct reader *r, const char *argument, struct error *err)
{
    if (strcmp(argument, "-h") == 0) {
        r->help = true;
        return 0;
    }
    if (strcmp(argument, "-V") == 0) {
        r->version = true;
        return 0;
    }
    if (strncmp(argument, "--", 2) == 0) {
        return take_flag(r, argument + 2, err);
    }
    if (argument[0] == '-' && (argument[1] || r->word != CLI_TOKEN)) {
        return error_set(err, "options begin with two dashes: --name=value");
    }
    return take_word(r, argument, err);
}

/* --- whole ------------------------------------------------------------------------------------ */

static int check_token_fit(const struct reader *r, struct error *err)
{
    const struct cli_token *token = &r->cli->token;
    if (r->cli->command == CLI_TOKEN && token->action == CLI_TOKEN_NONE) {
        return error_set(err, "behind token stands make, check or hash");
    }
    if (r->make_flags && token->action != CLI_TOKEN_MAKE) {
        return error_set(err, "--user, --workspace, --channels and --expires belong to token make");
    }
    if (token->fresh && token->action != CLI_TOKEN_HASH) {
        return error_set(err, "--new belongs to token hash");
    }
    return token->action == CLI_TOKEN_MAKE && !token->user ? error_set(err, "token make needs --user") : 0;
}

static int check_fit(const struct reader *r, struct error *err)
{
    if (r->demo_flags && r->cli->command != CLI_DEMO) {
        return error_set(err, "--rate, --seconds and --database belong to the command demo");
    }
    if (r->cli->offline && r->cli->command != CLI_CHECK) {
        return error_set(err, "--offline belongs to the command check");
    }
    return check_token_fit(r, err);
}

/* Write what was asked for; false when nothing was. */
static bool answer(const struct reader *r, FILE *out)
{
    struct buffer text = BUFFER_INIT;
    if (r->help_options) {
        manual_append_options(&text);
    } else if (r->help || r->word == WORD_HELP) {
        manual_append_help(&text);
    } else if (r->version || r->word == WORD_VERSION) {
        manual_append_version(&text);
    }
    bool answered = text.len > 0;
    fwrite(buffer_text(&text), 1, text.len, out);
    buffer_fini(&text);
    return answered;
}

int cli_parse(int argc, char **argv, FILE *out, struct cli *cli, struct error *err)
{
    *cli = (struct cli){.command = CLI_SERVE, .demo_rate = 5, .token.expires_s = TOKEN_EXPIRES_S};
    struct reader r = {.next = argv + (argc > 0), .cli = cli, .word = -1};
    while (*r.next) {
        const char *argument = *r.next++;
        if (take_argument(&r, argument, err) != 0) {
            return -1;
        }
    }
    if (answer(&r, out)) {
        return CLI_ANSWERED;
    }
    cli->command = r.word < 0 ? CLI_SERVE : (enum cli_command)r.word;
    return check_fit(&r, err) != 0 ? -1 : CLI_RUN;
}

void cli_fini(struct cli *cli)
{
    for (unsigned i = 0; i < cli->flag_count; i++) {
        free((void *)(uintptr_t)cli->flags[i]);
    }
    free(cli->flags);
    cli->flags = NULL;
    cli->flag_count = 0;
}
