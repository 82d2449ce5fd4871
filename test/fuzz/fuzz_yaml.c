/*
 * fuzz_yaml - a configuration file of any bytes: a configuration or a sentence with its line, nothing else. What is
 * accepted can be printed, and what is printed is YAML.
 */
#include "config.h"
#include "yaml_tree.h"

#include "must.h"

#include <sys/mman.h>
#include <unistd.h>

enum { INPUT_MAX = 16384 }; /* a file; YAML_TREE_BYTES_MAX is tested as such */

/* Sentences for operators: one line, no control characters. */
static void check_sentence(const struct error *err)
{
    must(err->text[0] != '\0', "a refusal without a word");
    must(strchr(err->text, '\n') == NULL, "a sentence of several lines");
}

static void check_tree(const char *text, size_t len)
{
    struct error err = {.text = ""};
    struct yaml_tree *tree = NULL;
    if (yaml_tree_parse(text, len, "fuzz.yaml", &tree, &err) != 0) {
        must(tree == NULL, "a tree beside a refusal");
        must(strncmp(err.text, "fuzz.yaml", 9) == 0, "a refusal that does not name the file");
        return;
    }
    yaml_tree_line(tree, "sources[0].mappings[1].match.level");
    must(yaml_tree_line(tree, "") >= 1, "no line");
    json_t *root = yaml_tree_root(tree);
    char *written = root ? json_dumps(root, JSON_ENCODE_ANY) : NULL;
    must(!root || written, "a tree that is no JSON");
    free(written);
    yaml_tree_free(tree);
}

static void check_config(const char *text, size_t len)
{
    char path[32];
    struct error err = {.text = ""};
    struct config *config = NULL;
    int fd = memfd_create("config", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, text, len) == (ssize_t)len, "the file");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (config_load(path, NULL, &config, &err) == 0) {
        struct buffer printed = BUFFER_INIT;
        config_append_yaml(config, &printed);
        check_tree(printed.data, printed.len);
        buffer_fini(&printed);
        config_free(config);
    } else {
        must(config == NULL, "a configuration beside a refusal");
        check_sentence(&err);
    }
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
    if (len > INPUT_MAX) {
        return 0;
    }
    char *text = must_copy(input, len);
    check_tree(text, len);
    check_config(text, len);
    free(text);
    return 0;
}
