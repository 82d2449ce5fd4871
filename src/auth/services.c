/* services - see services.h. */
#include "services.h"

#include "buffer.h"

#include <stdlib.h>

static int add_tokens(struct services *services, unsigned index, const struct access_service_options *options,
                      struct error *err)
{
    services->tokens = memory_resize(services->tokens, (services->token_count + options->token_count) *
                                                           sizeof *services->tokens);
    for (unsigned i = 0; i < options->token_count; i++) {
        struct service_token token = {.service = index};
        if (token_hash_parse(options->tokens_sha256[i], &token.hash) != 0) {
            return error_set(err, "auth.services: token_sha256 of %s is not 64 hex digits", options->name);
        }
        services->tokens[services->token_count++] = token;
    }
    return 0;
}

int services_init(struct services *services, const struct access_service_options *options, unsigned count,
                  struct error *err)
{
    *services = (struct services){.list = memory_zero(count, sizeof *services->list)};
    for (unsigned i = 0; i < count; i++) {
        struct access_service *service = &services->list[services->count++];
        service->name = memory_text(options[i].name);
        service->service = memory_text(options[i].service ? options[i].service : options[i].name);
        service->publish = memory_zero(options[i].publish_count, sizeof *service->publish);
        for (; service->publish_count < options[i].publish_count; service->publish_count++) {
            service->publish[service->publish_count] = memory_text(options[i].publish[service->publish_count]);
        }
        if (add_tokens(services, i, &options[i], err) != 0) {
            return -1;
        }
    }
    return 0;
}

void services_fini(struct services *services)
{
    for (unsigned i = 0; i < services->count; i++) {
        free(services->list[i].name);
        free(services->list[i].service);
        memory_free_texts(services->list[i].publish, services->list[i].publish_count);
    }
    free(services->list);
    free(services->tokens);
    *services = (struct services){0};
}

const struct access_service *services_find(const struct services *services, const char *token, size_t len)
{
    struct token_hash hash = token_hash_of(token, len);
    const struct access_service *found = NULL;
    for (unsigned i = 0; i < services->token_count; i++) {
        const struct access_service *service = &services->list[services->tokens[i].service];
        found = token_hash_is_same(&hash, &services->tokens[i].hash) ? service : found;
    }
    return found;
}
