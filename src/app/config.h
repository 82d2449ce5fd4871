/*
 * config - everything an operator can set, validated (CONTRACT section 7).
 *
 * Defaults < one YAML file < environment < flags. Scalars come from the one table in options.def (parser, environment,
 * --help and the manual follow from it); the lists below (sources, aliases, origins) are read by config.c.
 * Immutable once loaded; main thread loads it, every thread may read it.
 */
#ifndef TAILWATER_APP_CONFIG_H
#define TAILWATER_APP_CONFIG_H

#include "access.h"
#include "buffer.h"
#include "error.h"
#include "mapping.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { CONFIG_SOURCES_MAX = 4 };

struct config_source {
    char *name;
    char tag;       /* 'a'..'z' */
    char *uri;      /* own deployment, or NULL: mongodb.uri */
    char *database; /* default database of its mappings */
    struct mapping_set *mappings;
    char *label; /* "host1,host2/db" for logs; without credentials */
};

/* A path whose query parameters fill a channel: /x?workspace_id=w -> "logs:etl:{workspace_id}". */
struct config_alias {
    char *path;
    char *channel;
};

/* What auth.grants.users grants to one user: patterns that may hold {user} and {workspace}. */
struct config_user {
    char *name;
    char **patterns;
    unsigned pattern_count;
};

/* An entry of auth.services. */
struct config_service {
    char *name, *service; /* service: what it publishes for; NULL = its name */
    char **tokens_sha256;
    unsigned token_count;
    char **publish; /* patterns */
    unsigned publish_count;
};

struct config {
    /* scalars, one row each in options.def, in its order */
    char *listen;            /* "127.0.0.1:3002", "[::1]:3002" */
    int64_t port;            /* overrides the port of listen when not 0 (PORT) */
    char *ops_listen;        /* the same for probes and metrics; NULL = none */
    bool insecure;           /* a non-loopback listener without authentication */
    int64_t loops;           /* event loops (threads); 0 = one a core */
    char *tls_certificate_file, *tls_key_file;
    char **auth_anonymous;        /* patterns */
    unsigned auth_anonymous_count;
    char *auth_jwt_secret, *auth_jwt_secret_file, *auth_jwt_jwks_file;
    char *auth_jwt_issuer, *auth_jwt_audience, *auth_jwt_grants_claim;
    int64_t auth_jwt_skew_s;      /* [s] */
    char *auth_cookie;
    char *auth_ticket_secret, *auth_ticket_secret_file;
    char **auth_proxies;          /* addresses and ranges */
    unsigned auth_proxy_count;
    char **auth_grants_everyone;  /* patterns with {user} and {workspace} */
    unsigned auth_grants_everyone_count;
    char *auth_grants_collection; /* "database.collection" */
    int64_t grants_max_age_s;     /* [s] */
    char *auth_admin_token_sha256;
    char *publish_collection;
    int64_t publish_ttl_s;        /* [s] */
    bool test_endpoints;
    char *mongodb_uri;
    int64_t mongodb_max_await_ms; /* [ms] how long a getMore waits at the tail; bounds the stop */
    int64_t mongodb_jobs;    /* threads for look-ups */
    int64_t oplog_window_min_s; /* [s] an oplog that reaches back less gives a notice */
    char *mode;              /* "change_stream" | "auto" */
    int64_t poll_interval_ms; /* between two looks */
    int64_t poll_overlap_s;  /* [s] how late a document may appear */
    char *json;              /* "plain" | "relaxed" */
    int64_t max_event_bytes; /* of an event's data line */
    int64_t journal_bytes;   /* per source */
    int64_t journal_age_s;   /* [s] */
    int64_t journal_warm_s;  /* [s] how far in the past a source starts */
    int64_t catchup_max;     /* catch-up change streams a source */
    int64_t catchup_window_bytes;
    int64_t heartbeat_s;     /* [s] of silence */
    int64_t retry_ms;        /* [ms] browsers wait before they reconnect; jittered */
    char *end_of_stream;     /* "cut" | "clean" */
    int64_t limits_connections;   /* streams in all */
    int64_t limits_channels;      /* per connection, at most 256 */
    int64_t limits_queue_bytes;   /* unsent bytes per connection before it is pulled from */
    int64_t limits_stall_s;       /* [s] a reader may take nothing */
    int64_t limits_header_bytes;
    int64_t limits_body_bytes;
    int64_t limits_head_s;        /* [s] for a whole request head */
    int64_t limits_body_s;        /* [s] for a whole request body */
    int64_t limits_user_connections, limits_address_connections; /* streams of a user, connections of an address */
    int64_t limits_connects_per_s; /* new streams */
    int64_t limits_user_catchups;  /* streams of a user that catch up */
    int64_t limits_publish_per_s;  /* documents of a service */
    int64_t limits_queued_bytes;   /* unsent, of all connections */
    int64_t limits_grants_bytes;   /* of the grants collection */
    int64_t limits_rows_bytes;    /* for documents read from collections */
    int64_t limits_jobs;          /* waiting look-ups */
    int64_t drain_delay_s;        /* [s] */
    char *log_level;         /* trace|debug|info|warn|error */
    char *log_format;        /* auto|json|text */
    int64_t scan_max;        /* documents that a page of history may read */
    int64_t replay_max;      /* documents that a replay sends; 0 = none */

    /* lists */
    struct config_source sources[CONFIG_SOURCES_MAX];
    unsigned source_count;
    struct config_alias *aliases;
    unsigned alias_count;
    char **allowed_origins; /* exact origins, or the single entry "*" */
    unsigned allowed_origin_count;
    struct config_user *auth_users;
    unsigned auth_user_count;
    struct config_service *auth_services;
    unsigned auth_service_count;

    bool has_auth;         /* any key of auth is set, wherever */
    struct access *access; /* what all of auth makes; one reference */
    char listen_host[128]; /* from listen and port; without brackets */
    int listen_port;       /* 0: the system chooses */
    bool listens_on_loopback;
    char ops_host[128]; /* from ops_listen, as listen_host; "" = there is none */
    int ops_port;
    bool open_mode; /* no auth, and a loopback listener: everyone on this machine may read */

    char **warnings; /* sentences to log once, after log_configure() */
    unsigned warning_count;
    char *file; /* as given to config_load(), also when TAILWATER_CONFIG named it; NULL = none */
    char **flags;  /* as given, NULL-terminated */
    char **places; /* by the table's index: where an option was set ("tailwater.yaml:7", "PORT"); NULL = default */
};

/*
 * Load and validate. file may be NULL: then TAILWATER_CONFIG names it, or there is none. flags is a NULL-terminated
 * list of "name=value" with the option's dotted name (from --name=value); NULL = none. Reads the environment.
 * Returns 0, or -1 with a sentence that names file, line and the nearest known key; *out is then NULL.
 */
int config_load(const char *file, const char *const *flags, struct config **out, struct error *err);
void config_free(struct config *config); /* NULL is fine */

/* The same without sources and aliases, for commands that need no MongoDB. */
int config_load_auth(const char *file, const char *const *flags, struct config **out, struct error *err);

/* Load again from the same file, flags and the environment of the process. Nothing changes in config. */
int config_reload(const struct config *config, struct config **out, struct error *err);

/* Is the listener a loopback address, and does it give everything (open mode, auth.anonymous) or take logs
 * (test_endpoints) without a token? Then a web page must not reach it through a name of its own (DNS rebinding). A proxy in
 * front has names of its own. */
bool config_is_open_to_machine(const struct config *config);

/* The connection string of a source: its own or mongodb.uri. A secret. */
const char *config_source_uri(const struct config *config, const struct config_source *source);

/* Append or write all options as YAML with a comment that tells where each was set; secrets are masked. */
void config_append_yaml(const struct config *config, struct buffer *out);
/*
 * Append all options as a JSON object, each with where it was set; secrets are masked. now: what was read last; where
 * is_taken() says no, an option takes effect only at a start, and what stands in `started` still holds.
 */
void config_append_json(const struct config *started, const struct config *now, bool (*is_taken)(const char *option),
                        struct buffer *out);
void config_print(const struct config *config, FILE *out);

#endif
