/*
 * options - the table of all scalar options (options.def) and what follows from it: defaults, parsing and checking of
 * values from YAML and from text, names in the environment, words for --help and the manual.
 *
 * Thread: main, before others start.  Texts set in struct config are owned by it and released by options_free().
 */
#ifndef TAILWATER_APP_OPTIONS_H
#define TAILWATER_APP_OPTIONS_H

#include "buffer.h"
#include "error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;

enum option_type { OPTION_TYPE_TEXT, OPTION_TYPE_BOOL, OPTION_TYPE_INT, OPTION_TYPE_CHOICE, OPTION_TYPE_LIST };

struct option {
    const char *name;         /* dotted: "journal.bytes" is `bytes` in section `journal` of the file */
    enum option_type type;
    bool secret;              /* no message, help or listing may show its value */
    const char *text;         /* default of texts and choices; NULL = none */
    int64_t number;           /* default of numbers and booleans */
    int64_t min, max;         /* of numbers, both allowed */
    const char *unit;         /* "bytes", "ms", "s" or "" */
    const char *choices;      /* "a|b" */
    const char *environment;  /* besides TAILWATER_…; or NULL */
    const char *section;      /* heading in help and manual */
    const char *help;         /* a sentence */
    size_t offset, count_offset; /* in struct config */
};

/* The table. */
size_t options_count(void);
const struct option *options_at(size_t index);

/* The row with this dotted name, or NULL. */
const struct option *options_find(const char *name);

/* Its place in the table. */
size_t option_index(const struct option *option);

/* Is there an option called "prefix.something"? */
bool options_has_section(const char *prefix);

/* The dotted name that name was probably meant to be, or NULL. */
const char *options_nearest(const char *name);

/* "TAILWATER_JOURNAL_BYTES" */
enum { OPTION_ENVIRONMENT_MAX = 64 };
void option_environment(const struct option *option, char out[OPTION_ENVIRONMENT_MAX]);

/* Fill a zeroed config with the defaults; release what the options of a config own. */
void options_defaults(struct config *config);
void options_free(struct config *config);

/* Check a value and set it. The sentence of a failure names the option and what was expected, never a secret. */
int option_set_text(const struct option *option, struct config *config, const char *text, struct error *err);
int option_set_json(const struct option *option, struct config *config, const json_t *value, struct error *err);

/* The texts of an option that is a list; belong to config. */
char *const *option_list(const struct option *option, const struct config *config, unsigned *count);

/* Append the present value ("64MiB", "a,b"; "(secret)"), the default ("64MiB"; empty: none), and what is allowed
 * ("64KiB to 16GiB", "cut or clean", "true or false"; empty: any text). */
void option_append_value(const struct option *option, const struct config *config, struct buffer *out);
void option_append_default(const struct option *option, struct buffer *out);
void option_append_allowed(const struct option *option, struct buffer *out);

#endif
