/*
 * access_reload - the rules of who may do what, made anew while the server runs: when the key set's file changes, and
 * on SIGHUP from the whole configuration. What cannot be read changes nothing. Thread: main.
 */
#ifndef TAILWATER_APP_ACCESS_RELOAD_H
#define TAILWATER_APP_ACCESS_RELOAD_H

#include "access.h"
#include "config.h"

struct access_reload;

/* config and holder must outlive it. */
struct access_reload *access_reload_new(const struct config *config, struct access_holder *holder);
void access_reload_free(struct access_reload *reload); /* NULL is fine */

/* Look at the key set's file; to be called about once a second. Returns true when there are new rules in the holder. */
bool access_reload_look(struct access_reload *reload);

/* The configuration that was accepted last; and is this one of the options that are taken from it while running? */
const struct config *access_reload_config(const struct access_reload *reload);
bool access_reload_takes(const char *option);

/* Read the configuration, secrets and keys again. Returns as access_reload_look(). */
bool access_reload_all(struct access_reload *reload);

#endif
