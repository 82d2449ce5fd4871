/*
 * descriptors - what the limit of open files leaves for clients.
 */
#ifndef TAILWATER_APP_DESCRIPTORS_H
#define TAILWATER_APP_DESCRIPTORS_H

#include "config.h"

/* Raise the soft limit of open files to the hard one; returns for how many connections of clients it suffices, besides
 * what so many loops, MongoDB and logs need. Main thread. */
uint64_t descriptors_for_clients(const struct config *config, unsigned loops);

#endif
