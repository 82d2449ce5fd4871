/* identity - see identity.h. */
#include "identity.h"

#include "buffer.h"
#include "grants.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

struct identity *identity_new(enum identity_kind kind, const char *user, const char *workspace)
{
    struct identity *identity = memory_zero(1, sizeof *identity);
    atomic_init(&identity->refs, 1);
    identity->kind = kind;
    identity->user = user ? memory_text(user) : NULL;
    identity->workspace = workspace ? memory_text(workspace) : NULL;
    return identity;
}

bool identity_name_fits(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < len;) {
        uint32_t code;
        int n = utf8_decode(name + i, len - i, &code);
        if (n < 0 || code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029) {
            return false;
        }
        i += (size_t)n;
    }
    return len >= 1 && len <= GRANTS_USER_MAX;
}

struct identity *identity_ref(struct identity *identity)
{
    atomic_fetch_add_explicit(&identity->refs, 1, memory_order_relaxed);
    return identity;
}

void identity_unref(struct identity *identity)
{
    if (!identity || atomic_fetch_sub_explicit(&identity->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    free(identity->user);
    free(identity->workspace);
    memory_free_texts(identity->claimed, identity->claimed_count);
    free(identity);
}

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool identity_is_same(const struct identity *a, const struct identity *b)
{
    if (!a->user || !b->user) {
        return !a->user && !b->user && a->kind == b->kind;
    }
    return is_same_text(a->user, b->user) && is_same_text(a->workspace, b->workspace);
}

const char *identity_kind_name(enum identity_kind kind)
{
    static const char *const names[] = {"open", "anonymous", "token", "ticket", "proxy"};
    return names[kind];
}
