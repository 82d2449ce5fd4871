/* access_patterns - what an identity may read without the grants collection (access.h). */
#include "access_inside.h"

#include "buffer.h"
#include "grant_template.h"

#include <stdlib.h>
#include <string.h>

/* Takes the text; NULL is none. */
static void add(struct access_texts *out, char *text)
{
    if (text) {
        out->texts = memory_resize(out->texts, (out->count + 1) * sizeof *out->texts);
        out->texts[out->count++] = text;
    }
}

static void add_plain(struct access_texts *out, char *const *texts, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        add(out, memory_text(texts[i]));
    }
}

static void add_filled(struct access_texts *out, const struct access_texts *templates,
                       const struct identity *identity)
{
    for (unsigned i = 0; i < templates->count; i++) {
        add(out, grant_template_fill(templates->texts[i], identity->user, identity->workspace));
    }
}

static int compare_name(const void *name, const void *user)
{
    const struct access_user *of = user;
    return strcmp(name, of->name);
}

static void add_of_user(struct access_texts *out, const struct access *access, const struct identity *identity)
{
    const struct access_user *user =
        bsearch(identity->user, access->users, access->user_count, sizeof *access->users, compare_name);
    if (user) {
        add_filled(out, &user->patterns, identity);
    }
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void drop_doubles(struct access_texts *texts)
{
    unsigned kept = 0;
    if (texts->count) {
        qsort(texts->texts, texts->count, sizeof *texts->texts, compare_texts);
    }
    for (unsigned i = 0; i < texts->count; i++) {
        if (kept && strcmp(texts->texts[kept - 1], texts->texts[i]) == 0) {
            free(texts->texts[i]);
        } else {
            texts->texts[kept++] = texts->texts[i];
        }
    }
    texts->count = kept;
}

unsigned access_patterns(const struct access *access, const struct identity *identity, char ***out)
{
    struct access_texts found = {NULL, 0};
    if (identity->kind == IDENTITY_OPEN) {
        if (access->open) {
            add(&found, memory_text("*"));
        }
    } else {
        /* What nobody in particular may read, somebody may as well. */
        add_plain(&found, access->anonymous.texts, access->anonymous.count);
    }
    if (identity->user) {
        add_plain(&found, identity->claimed, identity->claimed_count);
        add_filled(&found, &access->everyone, identity);
        add_of_user(&found, access, identity);
        drop_doubles(&found);
    }
    *out = found.texts;
    return found.count;
}
