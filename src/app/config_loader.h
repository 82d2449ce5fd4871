/*
 * config_loader - what the files that load the configuration share; for config*.c only.
 *
 * Thread: main.
 */
#ifndef TAILWATER_APP_CONFIG_LOADER_H
#define TAILWATER_APP_CONFIG_LOADER_H

#include "config.h"
#include "options.h"
#include "yaml_tree.h"

#include <jansson.h>

struct config_loader {
    struct config *config; /* being filled */
    const char *file;      /* NULL: none */
    struct yaml_tree *tree; /* of the file, or NULL */
};

/* Put "file:line: " in front of the sentence, by the path of what is wrong; returns -1. */
int config_error_at(const struct config_loader *loader, const char *path, struct error *err);

/* Put where the option was set ("tailwater.yaml:7: ", "PORT: ") in front of the sentence; returns -1. */
int config_error_of(const struct config *config, const char *option_name, struct error *err);

/* Is this a list or map that stands in the file only, and is read by a step of its own? */
bool config_is_list(const char *name);

/* Remember where an option was set. */
void config_set_place(struct config *config, const struct option *option, const char *place);

/* A sentence for the operator that is no error. */
void config_warn(struct config *config, const char *sentence);

/* Refuse a member of an object that is not among the count names; path leads to the object. */
int config_check_keys(const struct config_loader *loader, const char *path, json_t *object,
                      const char *const *names, size_t count, struct error *err);

/* Read a file that holds nothing but a value; a line break at its end is left out. Returns 0, or -1 with *err. */
int config_read_value_file(const char *path, struct buffer *out, struct error *err);

/* The steps of config_load(), in order. */
int config_read_file(struct config_loader *loader, struct error *err);
int config_read_environment(struct config_loader *loader, struct error *err);
int config_read_flags(struct config_loader *loader, const char *const *flags, struct error *err);
int config_read_auth(struct config_loader *loader, struct error *err);       /* config_auth.c: lists and checks */
int config_read_auth_lists(struct config_loader *loader, struct error *err); /* config_auth_lists.c: part of it */
int config_check_listener(struct config *config, struct error *err);
int config_check_ops_listener(struct config *config, struct error *err); /* after the listener */
int config_check_tls(struct config *config, struct error *err);
int config_read_sources(struct config_loader *loader, struct error *err);
int config_read_aliases(struct config_loader *loader, struct error *err);
int config_check_origins(struct config *config, struct error *err);
int config_make_access(struct config *config, struct error *err); /* config_access.c: reads key files */

#endif
