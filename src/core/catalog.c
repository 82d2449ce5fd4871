/* catalog - see catalog.h. */
#include "catalog.h"

#include "buffer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct name {
    UT_hash_handle hh;
    bool last_optional; /* of a shape */
    char text[];
};

struct catalog {
    pthread_mutex_t lock;
    struct name *shapes;
    struct name *services;
};

struct catalog *catalog_new(void)
{
    struct catalog *c = memory_zero(1, sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

static void names_free(struct name **table)
{
    struct name *n, *next;
    HASH_ITER(hh, *table, n, next)
    {
        HASH_DEL(*table, n);
        free(n);
    }
}

void catalog_free(struct catalog *c)
{
    if (!c) {
        return;
    }
    names_free(&c->shapes);
    names_free(&c->services);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static void names_add(struct name **table, const char *text, bool last_optional)
{
    struct name *n;
    HASH_FIND_STR(*table, text, n);
    if (n) {
        n->last_optional = n->last_optional || last_optional;
        return;
    }
    size_t len = strlen(text);
    n = memory_zero(1, sizeof *n + len + 1);
    memcpy(n->text, text, len);
    n->last_optional = last_optional;
    HASH_ADD_STR(*table, text, n);
}

void catalog_add_shape(struct catalog *c, const char *shape, bool last_optional)
{
    pthread_mutex_lock(&c->lock);
    names_add(&c->shapes, shape, last_optional);
    pthread_mutex_unlock(&c->lock);
}

void catalog_add_service(struct catalog *c, const char *name)
{
    pthread_mutex_lock(&c->lock);
    names_add(&c->services, name, false);
    pthread_mutex_unlock(&c->lock);
}

bool catalog_has_service(struct catalog *c, const char *segment, size_t len)
{
    struct name *n;
    pthread_mutex_lock(&c->lock);
    HASH_FIND(hh, c->services, segment, len, n);
    pthread_mutex_unlock(&c->lock);
    return n != NULL;
}

/* Cut the next segment off *text; *text becomes NULL behind the last one. */
static size_t cut_segment(const char **text, size_t *len, const char **segment)
{
    const char *colon = memchr(*text, ':', *len);
    size_t n = colon ? (size_t)(colon - *text) : *len;
    *segment = *text;
    *text = colon ? colon + 1 : NULL;
    *len -= colon ? n + 1 : n;
    return n;
}

/* Does the pattern match any channel of exactly this shape, where every "*" of the shape is one segment? */
static bool shape_matches(const char *shape, size_t shape_len, const char *pattern, size_t len)
{
    const char *s, *p;
    while (shape && pattern) {
        size_t s_len = cut_segment(&shape, &shape_len, &s);
        size_t p_len = cut_segment(&pattern, &len, &p);
        bool p_star = p_len == 1 && *p == '*';
        if (p_star && !pattern) {
            return true; /* the rest of the shape, at least this segment */
        }
        bool s_star = s_len == 1 && *s == '*';
        if (!p_star && !s_star && (s_len != p_len || memcmp(s, p, p_len) != 0)) {
            return false;
        }
    }
    return !shape && !pattern;
}

bool catalog_can_produce(struct catalog *c, const char *pattern, size_t len)
{
    bool found = false;
    pthread_mutex_lock(&c->lock);
    for (struct name *n = c->shapes; n && !found; n = n->hh.next) {
        size_t shape_len = strlen(n->text);
        found = shape_matches(n->text, shape_len, pattern, len);
        const char *last = strrchr(n->text, ':');
        if (!found && n->last_optional && last) {
            found = shape_matches(n->text, (size_t)(last - n->text), pattern, len);
        }
    }
    pthread_mutex_unlock(&c->lock);
    return found;
}
