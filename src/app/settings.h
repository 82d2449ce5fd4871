/*
 * settings - from the configuration to what the loops see of it: settings, and what is limited for all loops together.
 * Main thread.
 */
#ifndef TAILWATER_APP_SETTINGS_H
#define TAILWATER_APP_SETTINGS_H

#include "config.h"
#include "context.h"

/* Lists that the settings point to. */
struct settings_lists {
    struct http_alias *aliases;
    const char **origins;
};

/* Fill the context's settings and make its tallies. The configuration must outlive them. */
void settings_make(const struct config *config, unsigned loops, struct http_context *context,
                   struct settings_lists *lists);

/* Free what was made. */
void settings_free(struct http_context *context, struct settings_lists *lists);

#endif
