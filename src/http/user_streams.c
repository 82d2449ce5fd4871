/* user_streams - see user_streams.h. */
#include "user_streams.h"

#include "buffer.h"
#include "seeded_table.h"

#include <stdlib.h>
#include <string.h>

struct user_streams *user_streams_find(struct loop *loop, const char *user)
{
    struct user_streams *found;
    HASH_FIND(hh, loop->users, user, strlen(user), found);
    return found;
}

static struct user_streams *make(struct loop *loop, const char *user)
{
    size_t len = strlen(user);
    struct user_streams *made = memory_zero(1, sizeof *made + len + 1);
    memcpy(made->user, user, len);
    HASH_ADD_KEYPTR(hh, loop->users, made->user, len, made);
    return made;
}

void user_streams_enter(struct stream *s)
{
    const char *user = s->identity->user;
    if (user) {
        struct user_streams *found = user_streams_find(s->loop, user);
        s->of_user = found ? found : make(s->loop, user);
        DL_APPEND2(s->of_user->streams, s, user_prev, user_next);
    }
}

void user_streams_leave(struct stream *s)
{
    struct user_streams *of_user = s->of_user;
    if (!of_user) {
        return;
    }
    DL_DELETE2(of_user->streams, s, user_prev, user_next);
    s->of_user = NULL;
    if (!of_user->streams) {
        HASH_DELETE(hh, s->loop->users, of_user);
        free(of_user);
    }
}
