/* connection - see connection.h. */
#include "connection.h"

#include "buffer.h"

#include <mongoc/mongoc.h>
#include <string.h>

static const char escape_hint[] = "not a valid MongoDB connection string "
                                  "(mongodb://user:password@host:27017/database); "
                                  "characters such as @ : / % in user and password must be percent-encoded";

/* The driver quotes values, so its words are passed on only when the string cannot hold a secret. */
static int invalid(const char *uri, const bson_error_t *reason, struct error *err)
{
    if (strchr(uri, '@') || strcasestr(uri, "password") || strcasestr(uri, "token") || strcasestr(uri, "secret")) {
        return error_set(err, "%s", escape_hint);
    }
    return error_set(err, "not a valid MongoDB connection string: %s", reason->message);
}

static void append_hosts(const mongoc_uri_t *parsed, struct buffer *out)
{
    const char *srv = mongoc_uri_get_srv_hostname(parsed);
    if (srv) {
        buffer_append_text(out, srv);
        return;
    }
    for (const mongoc_host_list_t *host = mongoc_uri_get_hosts(parsed); host; host = host->next) {
        buffer_printf(out, "%s%s", out->len ? "," : "", host->host_and_port);
    }
}

int connection_parse(const char *uri, char **database, char **hosts, struct error *err)
{
    bson_error_t reason = {0};
    mongoc_uri_t *parsed = mongoc_uri_new_with_error(uri, &reason);
    if (!parsed) {
        return invalid(uri, &reason, err);
    }
    struct buffer list = BUFFER_INIT;
    append_hosts(parsed, &list);
    const char *name = mongoc_uri_get_database(parsed);
    const char *listed = buffer_text(&list);
    int rc = 0;
    if (strchr(listed, '@') || (name && strchr(name, '@'))) {
        rc = error_set(err, "%s", escape_hint); /* a part of a password, which a label would show */
    } else if (name && connection_database_problem(name)) {
        rc = error_set(err, "the database in it %s", connection_database_problem(name));
    } else {
        *database = name ? memory_text(name) : NULL;
        *hosts = memory_text(listed);
    }
    buffer_fini(&list);
    mongoc_uri_destroy(parsed);
    return rc;
}

const char *connection_database_problem(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > 63) {
        return "must have 1 to 63 bytes";
    }
    for (const char *p = name; *p; p++) {
        if ((unsigned char)*p <= 0x20 || *p == 0x7f || strchr("/\\.\"$", *p)) {
            return "may not contain white space, control characters or any of / \\ . \" $";
        }
    }
    return NULL;
}
