/*
 * seeded_table - uthash for keys that strangers choose: hashed with the process's own key, so that they cannot choose
 * collisions. For the one .c file that adds to and finds in such a table, as its last include of ours: macros that come
 * behind it hash so, and inline functions of headers that keep other tables must not.
 */
#ifndef TAILWATER_BASE_SEEDED_TABLE_H
#define TAILWATER_BASE_SEEDED_TABLE_H

#include "hash.h"

#undef HASH_FUNCTION
#define HASH_FUNCTION(key, len, value) ((value) = (unsigned)hash_bytes(hash_process_key(), (key), (len)))
#include <uthash.h>

#endif
