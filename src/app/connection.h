/*
 * connection - what a MongoDB connection string says, without its secrets. Pure: nothing is looked up or connected to.
 * Thread: any.
 */
#ifndef TAILWATER_APP_CONNECTION_H
#define TAILWATER_APP_CONNECTION_H

#include "error.h"

/*
 * Check a connection string. *database: its database, or NULL; *hosts: "host1:27017,host2:27017", or the name of an SRV
 * record; both to be freed by the caller. Returns 0, or -1 with a sentence that quotes nothing of the string where it
 * could hold a password (one that is not percent-encoded turns up in the strangest places).
 */
int connection_parse(const char *uri, char **database, char **hosts, struct error *err);

/* Is this a name that MongoDB takes for a database? NULL, or what is wrong. */
const char *connection_database_problem(const char *name);

#endif
