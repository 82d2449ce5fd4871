/* access_reload - see access_reload.h. */
#include "access_reload.h"

#include "config_auth.h"
#include "log.h"
#include "options.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* By which a file is told from what it was. All zero: it could not be looked at. */
struct file_facts {
    struct timespec changed;
    off_t size;
    ino_t inode;
};

struct access_reload {
    const struct config *config; /* the newest that was accepted */
    struct config *owned;        /* the same, when it is not the one of the start */
    struct access_holder *holder;
    struct file_facts jwks;
};

static struct file_facts look_at(const char *file)
{
    struct stat s;
    struct file_facts facts;
    memset(&facts, 0, sizeof facts);
    if (file && stat(file, &s) == 0) {
        facts.changed = s.st_mtim;
        facts.size = s.st_size;
        facts.inode = s.st_ino;
    }
    return facts;
}

static bool is_same(const struct file_facts *a, const struct file_facts *b)
{
    return a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec && a->size == b->size &&
           a->inode == b->inode;
}

struct access_reload *access_reload_new(const struct config *config, struct access_holder *holder)
{
    struct access_reload *reload = memory_zero(1, sizeof *reload);
    reload->config = config;
    reload->holder = holder;
    reload->jwks = look_at(config->auth_jwt_jwks_file);
    return reload;
}

void access_reload_free(struct access_reload *reload)
{
    if (reload) {
        config_free(reload->owned);
        free(reload);
    }
}

static void log_notes(const struct access_reload *reload, const struct access *access)
{
    for (unsigned i = 0; i < access_note_count(access); i++) {
        log_warn("auth", "%s: %s", reload->config->auth_jwt_jwks_file, access_note_at(access, i));
    }
}

bool access_reload_look(struct access_reload *reload)
{
    struct error err;
    struct file_facts now = look_at(reload->config->auth_jwt_jwks_file);
    if (is_same(&now, &reload->jwks)) {
        return false;
    }
    reload->jwks = now; /* before it is read: what changes meanwhile is seen next time */
    struct access *access = config_auth_access(reload->config, &err);
    if (!access) {
        log_warn("auth", "the keys have changed and cannot be used, the old ones stay: %s", err.text);
        return false;
    }
    log_notes(reload, access);
    access_holder_put(reload->holder, access);
    log_info("auth", "%s has changed: its keys are in use", reload->config->auth_jwt_jwks_file);
    return true;
}

/* To end open mode is possible while running; to begin it needs a start, where the listener is checked anew. */
static bool opens(const struct access_reload *reload, const struct config *config)
{
    return reload->config->has_auth && !config->has_auth;
}

const struct config *access_reload_config(const struct access_reload *reload)
{
    return reload->config;
}

/* Rules of who may do what are, and what they are made of. */
bool access_reload_takes(const char *option)
{
    return strncmp(option, "auth.", 5) == 0 && strcmp(option, "auth.grants_collection") != 0;
}

static bool has_changed(const struct option *option, const struct config *before, const struct config *now)
{
    struct buffer a = BUFFER_INIT, b = BUFFER_INIT;
    option_append_value(option, before, &a);
    option_append_value(option, now, &b);
    bool changed = strcmp(buffer_text(&a), buffer_text(&b)) != 0;
    buffer_fini(&a);
    buffer_fini(&b);
    return changed;
}

/* Whoever changes more than can be taken while running should not believe that it was. */
static void tell_rest(const struct config *before, const struct config *now)
{
    struct buffer names = BUFFER_INIT;
    for (size_t i = 0; i < options_count(); i++) {
        const struct option *option = options_at(i);
        if (!access_reload_takes(option->name) && has_changed(option, before, now)) {
            buffer_printf(&names, "%s%s", names.len ? ", " : "", option->name);
        }
    }
    if (names.len) {
        log_warn("config", "changed, but only taken at the next start: %s", buffer_text(&names));
    }
    buffer_fini(&names);
}

static bool accept_config(struct access_reload *reload, struct config *config)
{
    tell_rest(reload->config, config);
    for (unsigned i = 0; i < config->warning_count; i++) {
        log_warn("config", "%s", config->warnings[i]);
    }
    access_holder_put(reload->holder, access_ref(config->access));
    config_free(reload->owned);
    reload->owned = config;
    reload->config = config;
    log_info("auth", "tokens, keys and grants of the configuration were read again");
    return true;
}

bool access_reload_all(struct access_reload *reload)
{
    struct error err;
    struct config *config;
    struct file_facts jwks = look_at(reload->config->auth_jwt_jwks_file);
    if (config_reload(reload->config, &config, &err) != 0) {
        log_warn("auth", "the new configuration is refused, nothing was changed: %s", err.text);
        return false;
    }
    if (opens(reload, config)) {
        log_warn("auth",
                 "the new configuration has no auth and is refused, nothing was changed: open mode needs a start");
        config_free(config);
        return false;
    }
    bool is_same_file = config->auth_jwt_jwks_file && reload->config->auth_jwt_jwks_file &&
                        strcmp(config->auth_jwt_jwks_file, reload->config->auth_jwt_jwks_file) == 0;
    reload->jwks = is_same_file ? jwks : look_at(config->auth_jwt_jwks_file);
    return accept_config(reload, config);
}
