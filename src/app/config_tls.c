/* config_tls - the checks of tls.*: what a start would fail with is told when the configuration is read. */
#include "config_loader.h"

#include "tls.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The option that the sentence is about: it begins with its name. */
static int error_of_sentence(const struct config *config, struct error *err)
{
    bool is_key = strncmp(err->text, "tls.key_file", strlen("tls.key_file")) == 0;
    return config_error_of(config, is_key ? "tls.key_file" : "tls.certificate_file", err);
}

static void warn_of_open_key(struct config *config)
{
    struct stat facts;
    char sentence[512];
    if (stat(config->tls_key_file, &facts) == 0 && (facts.st_mode & S_IROTH)) {
        snprintf(sentence, sizeof sentence, "tls.key_file: everyone on this machine may read %s", config->tls_key_file);
        config_warn(config, sentence);
    }
}

int config_check_tls(struct config *config, struct error *err)
{
    const char *certificate = config->tls_certificate_file, *key = config->tls_key_file;
    if (!certificate && !key) {
        return 0;
    }
    if (!certificate || !key) {
        const char *given = certificate ? "tls.certificate_file" : "tls.key_file";
        error_set(err, "%s: TLS needs both tls.certificate_file and tls.key_file", given);
        return config_error_of(config, given, err);
    }
    struct tls *tls = tls_new(certificate, key, err);
    if (!tls) {
        return error_of_sentence(config, err);
    }
    if (tls_has_expired(tls)) {
        config_warn(config, "tls.certificate_file: the certificate has expired; clients will refuse it");
    }
    tls_free(tls);
    warn_of_open_key(config);
    return 0;
}
