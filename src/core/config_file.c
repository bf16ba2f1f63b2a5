/* SPDX-License-Identifier: MIT */
/*
 * Configuration files: one YAML mapping, nested (wait: {policy: spin}) or with dotted keys (wait.policy: spin). The
 * file is read as a stream of events, so no document is built, and an error names the line of anything but a mapping of
 * scalars.
 */
#include "base/sys.h"
#include "core/config.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#define FILE_MAX_BYTES 262144u
#define DEPTH_MAX      8
#define PATH_SHOWN     200 /* characters of the file's path in an error */

struct reader {
    struct config *config;
    const char *path;
    char *error;
    size_t line;
    char key[2 * CONFIG_KEY_MAX];
    size_t prefix_len[DEPTH_MAX + 1]; /* length of the key's prefix at each depth of mappings */
    unsigned depth;
    bool have_key;
    bool have_document;
    size_t seen_line[CONFIG_OPTIONS_MAX]; /* 0: not set yet */
};

#define refuse(rd, fmt, ...)                                                                                           \
    config_fail((rd)->error, -EINVAL, "%.*s:%zu: " fmt, PATH_SHOWN, (rd)->path, (rd)->line, ##__VA_ARGS__)

static int on_key(struct reader *rd, const char *name, size_t len) {
    size_t at = rd->prefix_len[rd->depth];
    if (len == 0 || strlen(name) != len) return refuse(rd, "a key must be a word");
    if (at + len >= sizeof rd->key) return refuse(rd, "key \"%.80s...\" is too long", name);
    memcpy(rd->key + at, name, len + 1);
    rd->have_key = true;
    return 0;
}

static int set_value(struct reader *rd, const char *value) {
    char where[PATH_SHOWN + 32];
    snprintf(where, sizeof where, "%.*s:%zu", PATH_SHOWN, rd->path, rd->line);
    return config_set(rd->config, rd->key, value, where, rd->error);
}

static int on_value(struct reader *rd, const char *value, size_t len, bool null) {
    int found = config_find(rd->config, rd->key);
    rd->have_key = false;
    if (strlen(value) != len) return refuse(rd, "the value of %s contains a zero byte", rd->key);
    if (null && config_is_group(rd->config, rd->key)) return 0; /* a group whose options are all commented out */
    if (found >= 0) {
        size_t *seen = &rd->seen_line[found];
        if (*seen) return refuse(rd, "duplicate key \"%s\", already set on line %zu", rd->key, *seen);
        *seen = rd->line;
    }
    return set_value(rd, value);
}

static int on_scalar(struct reader *rd, const yaml_event_t *ev) {
    const char *text = (const char *)ev->data.scalar.value;
    size_t len = ev->data.scalar.length;
    bool null = len == 0 && ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (ev->data.scalar.anchor || ev->data.scalar.tag) return refuse(rd, "anchors and tags are not supported");
    if (rd->depth == 0) return null ? 0 : refuse(rd, "expected \"key: value\"");
    return rd->have_key ? on_value(rd, text, len, null) : on_key(rd, text, len);
}

static int on_mapping(struct reader *rd, const yaml_event_t *ev) {
    size_t len = 0;
    if (ev->data.mapping_start.anchor || ev->data.mapping_start.tag)
        return refuse(rd, "anchors and tags are not supported");
    if (rd->depth > 0) {
        if (!rd->have_key) return refuse(rd, "a key must be a word");
        if (config_find(rd->config, rd->key) >= 0) return refuse(rd, "%s takes a value, not a mapping", rd->key);
        if (!config_is_group(rd->config, rd->key)) return set_value(rd, ""); /* names the nearest key */
        len = strlen(rd->key);
        if (rd->depth == DEPTH_MAX || len + 1 >= sizeof rd->key) return refuse(rd, "nested too deep");
        rd->key[len++] = '.';
    }
    rd->have_key = false;
    rd->prefix_len[++rd->depth] = len;
    return 0;
}

static int on_event(struct reader *rd, const yaml_event_t *ev) {
    switch (ev->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (rd->have_document) return refuse(rd, "more than one document");
        rd->have_document = true;
        return 0;
    case YAML_SCALAR_EVENT:
        return on_scalar(rd, ev);
    case YAML_MAPPING_START_EVENT:
        return on_mapping(rd, ev);
    case YAML_MAPPING_END_EVENT:
        rd->depth--;
        return 0;
    case YAML_SEQUENCE_START_EVENT:
        return refuse(rd, "a list is not expected here");
    case YAML_ALIAS_EVENT:
        return refuse(rd, "aliases are not supported");
    default:
        return 0;
    }
}

static int parse_error(struct reader *rd, const yaml_parser_t *parser) {
    if (parser->error == YAML_MEMORY_ERROR)
        return config_fail(rd->error, -ENOMEM, "%.*s: no memory", PATH_SHOWN, rd->path);
    if (parser->error == YAML_READER_ERROR)
        return config_fail(rd->error, -EINVAL, "%.*s: not text, at byte %zu: %s", PATH_SHOWN, rd->path,
                           parser->problem_offset, parser->problem);
    rd->line = parser->problem_mark.line + 1;
    return refuse(rd, "not valid YAML: %s", parser->problem ? parser->problem : "unknown error");
}

static int parse(struct reader *rd, const unsigned char *text, size_t len) {
    yaml_parser_t parser;
    bool end = false;
    int r = 0;
    if (!yaml_parser_initialize(&parser))
        return config_fail(rd->error, -ENOMEM, "%.*s: no memory", PATH_SHOWN, rd->path);
    yaml_parser_set_input_string(&parser, text, len);
    while (r == 0 && !end) {
        yaml_event_t ev;
        if (!yaml_parser_parse(&parser, &ev)) {
            r = parse_error(rd, &parser);
            break;
        }
        rd->line = ev.start_mark.line + 1;
        end = ev.type == YAML_STREAM_END_EVENT;
        r = on_event(rd, &ev);
        yaml_event_delete(&ev);
    }
    yaml_parser_delete(&parser);
    return r;
}

/* Bytes read, at most FILE_MAX_BYTES + 1, or a negative errno. */
static int read_all(const char *path, unsigned char *buf) {
    int fd = SYS(open, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    size_t len = 0;
    ssize_t n = 1;
    if (fd < 0) return fd;
    while (n != 0 && len <= FILE_MAX_BYTES) {
        n = SYS(read, fd, buf + len, FILE_MAX_BYTES + 1 - len);
        if (n == -EINTR) continue;
        if (n < 0) break;
        len += (size_t)n;
    }
    close(fd);
    return n < 0 ? (int)n : (int)len;
}

int config_load_file(struct config *c, const char *path, char error[CONFIG_ERROR_MAX]) {
    struct reader rd = {.config = c, .path = path, .error = error};
    unsigned char *text = sys_calloc(1, FILE_MAX_BYTES + 1);
    if (!text) return config_fail(error, -ENOMEM, "%.*s: no memory", PATH_SHOWN, path);
    int len = read_all(path, text), r;
    if (len < 0)
        r = config_fail(error, len, "%.*s: %s", PATH_SHOWN, path, strerror(-len));
    else if ((unsigned)len > FILE_MAX_BYTES)
        r = config_fail(error, -EINVAL, "%.*s: larger than %u bytes", PATH_SHOWN, path, FILE_MAX_BYTES);
    else
        r = parse(&rd, text, (size_t)len);
    sys_free(text);
    return r;
}
