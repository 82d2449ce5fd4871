/* event_name - see event_name.h. */
#include "event_name.h"

#include <string.h>

bool event_name_is_plain(const char *name, size_t len)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    for (size_t i = 0; i < len; i++) {
        if (!memchr(letters, name[i], sizeof letters - 1)) {
            return false;
        }
    }
    return len > 0 && len <= EVENT_NAME_MAX;
}

bool event_name_is_reserved(const char *name, size_t len)
{
    static const char *const reserved[] = {"ready",  "caught-up", "gap",     "skipped", "source", "revoked",
                                           "goaway", "heartbeat", "refused", "error",   "open",   "message"};
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (strlen(reserved[i]) == len && memcmp(reserved[i], name, len) == 0) {
            return true;
        }
    }
    return false;
}

const char *event_name_problem(const char *name, size_t len)
{
    if (!event_name_is_plain(name, len)) {
        return "an event's name has 1 to 64 of A-Z a-z 0-9 . _ -";
    }
    return event_name_is_reserved(name, len) ? "this is one of tailwater's own event names" : NULL;
}
