/* hardening - see hardening.h. */
#include "hardening.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* "mongodb://user:password@host": is there anything between the scheme and an '@'? */
static bool has_password(const char *uri)
{
    const char *start = uri ? strstr(uri, "://") : NULL;
    return start && memchr(start + 3, '@', strcspn(start + 3, "/?"));
}

bool hardening_has_secrets(const struct config *config)
{
    for (unsigned i = 0; i < config->source_count; i++) {
        if (has_password(config_source_uri(config, &config->sources[i]))) {
            return true;
        }
    }
    return config->auth_jwt_secret || config->auth_jwt_secret_file || config->auth_ticket_secret ||
           config->auth_ticket_secret_file || config->tls_key_file;
}

void hardening_apply(bool secrets)
{
    const struct rlimit none = {0, 0};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (secrets) {
        setrlimit(RLIMIT_CORE, &none);
    }
    if (secrets && HARDENING_ENDS_TRACING) {
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
}
