/*
 * config_auth - from the configuration's `auth:` to the rules of who may do what (access.h). Thread: main.
 */
#ifndef TAILWATER_APP_CONFIG_AUTH_H
#define TAILWATER_APP_CONFIG_AUTH_H

#include "access.h"
#include "buffer.h"
#include "config.h"
#include "error.h"

/*
 * Read the files of secrets and keys that a loaded configuration names, as they are now, and make the rules. Returns
 * one reference, or NULL with a sentence that names option and file, never a secret.
 */
struct access *config_auth_access(const struct config *config, struct error *err);

/* The secret that tokens are signed with by HS256. Returns 0, 1 when none is configured, or -1 with *err. */
int config_auth_jwt_secret(const struct config *config, struct buffer *out, struct error *err);

#endif
