/* credential - see credential.h. */
#include "credential.h"

#include <string.h>
#include <strings.h>

const char *credential_bearer(const char *authorization, size_t *len)
{
    static const char scheme[] = "Bearer ";
    if (strncasecmp(authorization, scheme, sizeof scheme - 1) != 0) {
        return NULL;
    }
    const char *token = authorization + sizeof scheme - 1;
    *len = strlen(token);
    for (const char *p = token; *p; p++) {
        if (*p <= ' ' || *p > '~') {
            return NULL;
        }
    }
    return *len ? token : NULL;
}

enum credential_cookie credential_cookie(const char *cookies, const char *name, const char **value, size_t *len)
{
    size_t name_len = strlen(name);
    enum credential_cookie found = CREDENTIAL_NO_COOKIE;
    while (*cookies) {
        cookies += strspn(cookies, " \t");
        size_t pair_len = strcspn(cookies, ";");
        if (pair_len > name_len && cookies[name_len] == '=' && memcmp(cookies, name, name_len) == 0) {
            found = found == CREDENTIAL_NO_COOKIE ? CREDENTIAL_COOKIE : CREDENTIAL_COOKIES;
            *value = cookies + name_len + 1;
            *len = pair_len - name_len - 1;
        }
        cookies += pair_len + (cookies[pair_len] == ';');
    }
    return found;
}
