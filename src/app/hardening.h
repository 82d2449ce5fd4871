/*
 * hardening - what the serving process gives up before it listens: new privileges, and, where it holds secrets, leaving
 * them in a core dump or to another process of its user.
 *
 * The rest (read-only root, no capabilities, a filter of system calls) is the business of whoever starts the process:
 * docs/security.md. Thread: main, before others start.
 */
#ifndef TAILWATER_APP_HARDENING_H
#define TAILWATER_APP_HARDENING_H

#include "config.h"

#include <stdbool.h>

/* A sanitizer's leak check traces its own process: there tracing stays possible. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HARDENING_ENDS_TRACING 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HARDENING_ENDS_TRACING 0
#endif
#endif
#ifndef HARDENING_ENDS_TRACING
#define HARDENING_ENDS_TRACING 1
#endif

/* Does the configuration hold anything that others must not read: a key, a ticket's secret, a password? */
bool hardening_has_secrets(const struct config *config);

/*
 * For ever: no new privileges. With secrets also no core dump, and nobody but root may trace the process or read its
 * memory and environment. What the kernel refuses is left as it is.
 */
void hardening_apply(bool secrets);

#endif
