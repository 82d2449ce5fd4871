/* manual - see manual.h. */
#include "manual.h"

#include "options.h"

#include <event2/event.h>
#include <mongoc/mongoc.h>
#include <stdbool.h>
#include <string.h>
#include <yaml.h>

enum { HELP_WIDTH = 78, HELP_INDENT = 6 };

/* --- version ---------------------------------------------------------------------------------- */

void manual_append_version(struct buffer *out)
{
    buffer_printf(out, "tailwater %s (libmongoc %s, libevent %s, jansson %s, libyaml %s)\n", TAILWATER_VERSION,
                  mongoc_get_version(), event_get_version(), jansson_version_str(), yaml_get_version_string());
}

/* --- help ------------------------------------------------------------------------------------- */

static const char help_head[] =
    "tailwater tails MongoDB log collections through change streams and serves them\n"
    "as Server-Sent Events.\n"
    "\n"
    "usage: tailwater [command] [--config FILE] [--name=value ...]\n"
    "\n"
    "Commands\n"
    "  serve          run the server (the default)\n"
    "  check          validate the configuration and connect to MongoDB;\n"
    "                 --offline does not connect\n"
    "  demo           write plausible logs into MongoDB: --rate=5 documents a\n"
    "                 second, --seconds=0 (until stopped), --database=NAME\n"
    "  print-config   show all options and where each was set, without secrets\n"
    "  token make     print a development token, signed with auth.jwt.secret:\n"
    "                 --user=ann, --workspace=w1, --channels=a,b, --expires=1h\n"
    "  token check    verify a token (behind it, or on standard input) and print\n"
    "                 who it is and what it may read\n"
    "  token hash     print the SHA-256 of a service's or the admin's token from\n"
    "                 standard input; --new makes a token\n"
    "  healthcheck    ask the listener of this configuration for /health; exits 0\n"
    "                 when it is healthy or degraded, else 1\n"
    "  help           this text; help options prints the manual as Markdown\n"
    "  version        program and libraries\n"
    "\n"
    "Every option below can be set in the file (YAML, sections nested), in the\n"
    "environment (TAILWATER_JOURNAL_BYTES; ..._FILE reads it from a file) and as a\n"
    "flag. Flags win over the environment, that over the file, that over defaults.\n";

static const char help_tail[] = "\n"
                                "Exit codes: 0 done, 1 failed, 2 wrong command line, 78 wrong configuration.\n"
                                "\n"
                                "Examples\n"
                                "  MONGODB_URI=mongodb://127.0.0.1:27017/logs tailwater\n"
                                "  tailwater check --config tailwater.yaml\n"
                                "  tailwater serve --config tailwater.yaml --log.level=debug\n"
                                "  tailwater demo --rate=20\n";

/* Append text broken at spaces, every line indented. */
static void append_wrapped(const char *text, struct buffer *out)
{
    size_t column = 0;
    while (*text) {
        size_t word = strcspn(text, " ");
        if (column == 0 || column + 1 + word > HELP_WIDTH) {
            buffer_printf(out, "%s%*s", column ? "\n" : "", HELP_INDENT, "");
            column = HELP_INDENT;
        } else {
            buffer_append_byte(out, ' ');
            column++;
        }
        buffer_append(out, text, word);
        column += word;
        text += word + (text[word] == ' ');
    }
    buffer_append_byte(out, '\n');
}

static void append_option_help(const struct option *option, struct buffer *out)
{
    struct buffer allowed = BUFFER_INIT, initial = BUFFER_INIT, text = BUFFER_INIT;
    option_append_allowed(option, &allowed);
    option_append_default(option, &initial);
    buffer_printf(out, "  --%s", option->name);
    buffer_printf(out, "%s%s\n", initial.len ? "=" : "", buffer_text(&initial));
    buffer_append_text(&text, option->help);
    if (allowed.len && option->type != OPTION_TYPE_BOOL) {
        buffer_printf(&text, " [%s]", buffer_text(&allowed));
    }
    if (option->environment) {
        buffer_printf(&text, " ($%s)", option->environment);
    }
    append_wrapped(buffer_text(&text), out);
    buffer_fini(&allowed);
    buffer_fini(&initial);
    buffer_fini(&text);
}

static bool begins_section(size_t index)
{
    return index == 0 || strcmp(options_at(index)->section, options_at(index - 1)->section) != 0;
}

void manual_append_help(struct buffer *out)
{
    buffer_append_text(out, help_head);
    for (size_t i = 0; i < options_count(); i++) {
        if (begins_section(i)) {
            buffer_printf(out, "\n%s\n", options_at(i)->section);
        }
        append_option_help(options_at(i), out);
    }
    buffer_append_text(out, help_tail);
}

/* --- manual ----------------------------------------------------------------------------------- */

static const char manual_head[] =
    "# Configuration\n"
    "\n"
    "<!-- Made by `tailwater help options` from src/app/options.def and src/app/manual.c; a test compares them. -->\n"
    "\n"
    "tailwater needs to know one thing: where MongoDB is.\n"
    "\n"
    "    MONGODB_URI=mongodb://127.0.0.1:27017/logs tailwater\n"
    "\n"
    "Everything else has a default. Options come from, each overriding the one before:\n"
    "\n"
    "1. the defaults below;\n"
    "2. one YAML file, `--config FILE` or `TAILWATER_CONFIG` (JSON is valid YAML), where a dot in a name is a level:\n"
    "   `journal.bytes` is `journal: { bytes: 64MiB }`;\n"
    "3. the environment: `TAILWATER_JOURNAL_BYTES`, and the older names given below. `TAILWATER_JOURNAL_BYTES_FILE`\n"
    "   (or `MONGODB_URI_FILE`) reads the value from a file. Where both names are set, `TAILWATER_…` wins; an empty\n"
    "   variable counts as not set. `REDIS_URL` is accepted and ignored: MongoDB is the bus;\n"
    "4. flags: `--journal.bytes=128MiB`.\n"
    "\n"
    "An unknown key, variable or flag is an error that names the nearest known one. `tailwater check` validates\n"
    "everything and connects (`--offline`: does not connect); `tailwater print-config` shows what is in effect and\n"
    "where it was set. A wrong configuration ends the program with exit code 78, a wrong command line with 2.\n"
    "\n"
    "Sizes are bytes, or a number with `KiB`, `MiB`, `GiB` (also `k`, `m`, `g`). Durations are plain numbers in the\n"
    "unit that the name ends with: `_s` seconds, `_ms` milliseconds.\n";

static const char manual_lists[] =
    "\n"
    "## Sources\n"
    "\n"
    "Without `sources:` there is one, named `logs`, with tag `a`: the database of the connection string, or `logs`\n"
    "when it names none, and all its collections by the default mapping\n"
    "`logs:{$collection}:{workspace_id}:{workflow_id|function_id|resource_id}`.\n"
    "\n"
    "    mongodb:\n"
    "      uri: mongodb://127.0.0.1:27017/?replicaSet=rs0\n"
    "    sources:\n"
    "      - name: logs            # letters, digits, - and _; at most 32; may be left out when there is one source\n"
    "        tag: a                # one letter, part of the ids: a, b, c, d in order when left out; never change it\n"
    "        uri: mongodb://…      # only for another deployment; else mongodb.uri\n"
    "        database: datashop    # default: that of the connection string, else logs\n"
    "        mappings:             # default: the mapping above\n"
    "          - collections: [etl_logs]\n"
    "            channel: \"logs:etl:{workspace_id}:{workflow_id}\"\n"
    "            labels: { service: etl }\n"
    "\n"
    "A source is one change stream, so one usually is enough: it may hold many mappings. At most four.\n"
    "\n"
    "## Aliases\n"
    "\n"
    "Paths that existing clients ask for. A placeholder is a whole segment and takes the query parameter of its name.\n"
    "\n"
    "    aliases:\n"
    "      - path: /api/dapadmin/l5-etl/sse/logs/stream\n"
    "        channel: \"logs:etl:{workspace_id}:{workflow_id}\"\n"
    "\n"
    "## Users and services\n"
    "\n"
    "Without any `auth` key, in the file, the environment or the flags, there is no authentication: tailwater then\n"
    "listens on loopback addresses only, where everyone may read and nobody may publish, unless `insecure: true`.\n"
    "\n"
    "    auth:\n"
    "      jwt: { secret_file: /run/secrets/jwt }   # or jwks_file\n"
    "      ticket_secret_file: /run/secrets/ticket  # the same on all instances\n"
    "      grants:\n"
    "        users: { ann: [\"logs:etl:w1:*\"] }     # {user} and {workspace} as below\n"
    "        everyone: [\"alerts:{user}\", \"logs:*:{workspace}:*\"]\n"
    "      services:\n"
    "        - name: l5-etl-service\n"
    "          service: etl                # label or collection that it publishes for; default: its name\n"
    "          token_sha256: \"…\"           # or a list of two, while a token is replaced\n"
    "          publish: [\"logs:*\", \"metrics:*\"]\n"
    "\n"
    "In grants `{user}` and `{workspace}` are whole segments. They take what the reader's token or proxy says,\n"
    "percent-encoded: a user called `*` reads `alerts:%2A`. Where there is no such value the pattern grants nothing.\n"
    "`tailwater token hash` makes tokens and their `token_sha256`; `tailwater token make` and `check` make and examine\n"
    "the tokens of readers.\n"
    "\n"
    "The file of `auth.jwt.jwks_file` is read again when it changes. SIGHUP reads everything below `auth` again, with\n"
    "the files that it names. What cannot be read changes nothing: the old rules stay, and the log says why.\n"
    "\n"
    "## What the file may hold\n"
    "\n"
    "One YAML document of at most 1 MiB and 64 levels. Each key once; no anchors, aliases, merge keys or tags.\n"
    "Unquoted `true`, `false`, `null` and numbers are such, by the core schema of YAML 1.2; everything else is text,\n"
    "also `no` and `on` (an option that is true or false takes `yes`, `no`, `on` and `off` all the same).\n"
    "\n"
    "## Kubernetes\n"
    "\n"
    "For a Service named `tailwater` Kubernetes puts variables such as `TAILWATER_PORT=tcp://10.0.0.1:3002` and\n"
    "`TAILWATER_SERVICE_HOST` into every container. They are recognised and ignored.\n";

/* '|' would end a cell. */
static void append_cell(const char *text, struct buffer *out)
{
    for (; *text; text++) {
        buffer_append_text(out, *text == '|' ? "\\" : "");
        buffer_append_byte(out, *text);
    }
}

static void append_code(const char *text, struct buffer *out)
{
    if (text[0]) {
        buffer_append_byte(out, '`');
        append_cell(text, out);
        buffer_append_byte(out, '`');
    }
}

static void append_row(const struct option *option, struct buffer *out)
{
    struct buffer allowed = BUFFER_INIT, initial = BUFFER_INIT;
    char environment[OPTION_ENVIRONMENT_MAX];
    option_append_allowed(option, &allowed);
    option_append_default(option, &initial);
    option_environment(option, environment);
    buffer_append_text(out, "| ");
    append_code(option->name, out);
    buffer_append_text(out, " | ");
    append_code(buffer_text(&initial), out);
    buffer_append_text(out, " | ");
    append_cell(buffer_text(&allowed), out);
    buffer_append_text(out, " | ");
    append_code(environment, out);
    if (option->environment) {
        buffer_printf(out, ", `%s`", option->environment);
    }
    buffer_append_text(out, " | ");
    append_cell(option->help, out);
    buffer_append_text(out, " |\n");
    buffer_fini(&allowed);
    buffer_fini(&initial);
}

void manual_append_options(struct buffer *out)
{
    buffer_append_text(out, manual_head);
    for (size_t i = 0; i < options_count(); i++) {
        if (begins_section(i)) {
            buffer_printf(out,
                          "\n## %s\n\n| option | default | allowed | environment | meaning |\n| --- | --- | --- | "
                          "--- | "
                          "--- |\n",
                          options_at(i)->section);
        }
        append_row(options_at(i), out);
    }
    buffer_append_text(out, manual_lists);
}
