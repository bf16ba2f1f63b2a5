/* SPDX-License-Identifier: MIT */
/*
 * The YAML file of CONFIG_PATH. All keys of Demikernel's files are checked; some of them have no effect here.
 */
#include "settings.h"

#include <dmtr/libos.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define FILE_MAX_BYTES     262144u
#define KEY_MAX            96
#define LINGER_MAX_SECONDS 65535
#define COUNT_MAX          INT64_MAX
#define LINGER_KEYS        "tcp_socket_options.linger."
#define PATH_SHOWN         200 /* bytes of the path in an error */
#define TEXT_SHOWN         80  /* bytes of a key or value in an error */

enum kind { KIND_WORD, KIND_BOOL, KIND_COUNT, KIND_LIST, KIND_MAP };

static const char *const kind_names[] = {
    [KIND_WORD] = "a word",          [KIND_BOOL] = "true or false",     [KIND_COUNT] = "a number in its range",
    [KIND_LIST] = "a list of words", [KIND_MAP] = "a mapping of words",
};

#define NO_EFFECT SIZE_MAX

static const struct option {
    const char *key;
    enum kind kind;
    int64_t max;   /* of a count */
    size_t offset; /* in struct file_settings, of an int or a text; NO_EFFECT: the value is not stored */
} options[] = {
    {"demikernel.local_ipv4_addr", KIND_WORD, 0, offsetof(struct file_settings, network.address)},
    {"demikernel.local_link_addr", KIND_WORD, 0, offsetof(struct file_settings, network.mac)},
    {"dpdk.eal_init", KIND_LIST, 0, offsetof(struct file_settings, network.eal)},
    {"inetstack_config.arp_cache_ttl", KIND_COUNT, COUNT_MAX, NO_EFFECT},
    {"inetstack_config.arp_request_retries", KIND_COUNT, COUNT_MAX, NO_EFFECT},
    {"inetstack_config.arp_request_timeout", KIND_COUNT, COUNT_MAX, NO_EFFECT},
    {"inetstack_config.arp_table", KIND_MAP, 0, offsetof(struct file_settings, network.neighbours)},
    {"inetstack_config.enable_jumbo_frames", KIND_BOOL, 0, NO_EFFECT},
    {"inetstack_config.mss", KIND_COUNT, COUNT_MAX, NO_EFFECT},
    {"inetstack_config.mtu", KIND_COUNT, UINT16_MAX, offsetof(struct file_settings, network.mtu)},
    {"inetstack_config.tcp_checksum_offload", KIND_BOOL, 0, NO_EFFECT},
    {"inetstack_config.udp_checksum_offload", KIND_BOOL, 0, NO_EFFECT},
    {"raw_socket.linux_interface_name", KIND_WORD, 0, offsetof(struct file_settings, network.interface)},
    {"raw_socket.rx_buffer_count", KIND_COUNT, UINT32_MAX, NO_EFFECT},
    {"raw_socket.rx_ring_size", KIND_COUNT, UINT32_MAX, NO_EFFECT},
    {"raw_socket.tx_buffer_count", KIND_COUNT, UINT32_MAX, NO_EFFECT},
    {"raw_socket.tx_ring_size", KIND_COUNT, UINT32_MAX, NO_EFFECT},
    {"raw_socket.xdp_always_poke_tx", KIND_BOOL, 0, NO_EFFECT},
    {"raw_socket.xdp_cohost_mode", KIND_BOOL, 0, NO_EFFECT},
    {"raw_socket.xdp_interface_index", KIND_COUNT, UINT32_MAX, NO_EFFECT},
    {"raw_socket.xdp_tcp_ports", KIND_LIST, 0, NO_EFFECT},
    {"raw_socket.xdp_udp_ports", KIND_LIST, 0, NO_EFFECT},
    {"raw_socket.xdp_vf_interface_index", KIND_COUNT, UINT32_MAX, NO_EFFECT},
    {"tcp_socket_options.keepalive.enabled", KIND_BOOL, 0, offsetof(struct file_settings, sockets.keepalive)},
    {"tcp_socket_options.keepalive.interval", KIND_COUNT, UINT32_MAX, NO_EFFECT},
    {"tcp_socket_options.keepalive.time_millis", KIND_COUNT, UINT32_MAX, NO_EFFECT},
    {"tcp_socket_options.linger.enabled", KIND_BOOL, 0, NO_EFFECT},
    {"tcp_socket_options.linger.time_seconds", KIND_COUNT, LINGER_MAX_SECONDS, NO_EFFECT},
    {"tcp_socket_options.nodelay", KIND_BOOL, 0, offsetof(struct file_settings, sockets.nodelay)},
};

#define OPTIONS (sizeof options / sizeof *options)

struct reader {
    struct file_settings *settings;
    const char *path;
    char *error;
    yaml_document_t document;
    bool seen[OPTIONS];
};

/* Writes the error as one line of printable characters, even if the file has others. */
static int fail(char error[SETTINGS_ERROR_MAX], int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int fail(char error[SETTINGS_ERROR_MAX], int code, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(error, SETTINGS_ERROR_MAX, fmt, ap);
    va_end(ap);
    for (char *p = error; *p; p++)
        if ((unsigned char)*p < ' ' || *p == '\x7f') *p = '?';
    return code;
}

static int refuse(const struct reader *rd, const yaml_node_t *node, const char *what, const char *key) {
    return fail(rd->error, EINVAL, "%.*s:%zu: %s \"%.*s\"", PATH_SHOWN, rd->path, node->start_mark.line + 1, what,
                TEXT_SHOWN, key);
}

/* The text of a scalar that is not empty, else NULL. */
static const char *word(const yaml_node_t *node) {
    if (node->type != YAML_SCALAR_NODE || node->data.scalar.length == 0) return NULL;
    const char *text = (const char *)node->data.scalar.value;
    return strlen(text) == node->data.scalar.length ? text : NULL;
}

static bool parse_bool(const char *text, int64_t *value) {
    *value = strcmp(text, "true") == 0;
    return *value || strcmp(text, "false") == 0;
}

static bool parse_count(const char *text, int64_t max, int64_t *value) {
    char *end;
    if (*text < '0' || *text > '9') return false;
    errno = 0;
    *value = strtoll(text, &end, 10);
    return !errno && !*end && *value <= max;
}

/* A growing text. len is at least SETTING_TEXT_MAX if it was truncated. NULL `at`: the text is not stored. */
struct text {
    char *at;
    size_t len;
};

static void text_add(struct text *t, const char *separator, const char *word) {
    int n = t->at && t->len < SETTING_TEXT_MAX
                ? snprintf(t->at + t->len, SETTING_TEXT_MAX - t->len, "%s%s", t->len ? separator : "", word)
                : 0;
    t->len += (size_t)n;
}

/* The first argument of the EAL is the program's name; an empty one is left out. */
static bool parse_list(struct reader *rd, const yaml_node_t *node, struct text *t) {
    if (node->type != YAML_SEQUENCE_NODE) return false;
    for (yaml_node_item_t *i = node->data.sequence.items.start; i < node->data.sequence.items.top; i++) {
        const yaml_node_t *item = yaml_document_get_node(&rd->document, *i);
        const char *text = word(item);
        bool first_empty = t->at && i == node->data.sequence.items.start && item->type == YAML_SCALAR_NODE &&
                           item->data.scalar.length == 0;
        if (!text && !first_empty) return false;
        if (text) text_add(t, " ", text);
    }
    for (char *p = t->at; p && *p; p++)
        if (*p == ',') *p = ';';
    return true;
}

/* MAC: ADDRESS */
static bool parse_map(struct reader *rd, const yaml_node_t *node, struct text *t) {
    if (node->type != YAML_MAPPING_NODE) return false;
    for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
        const char *key = word(yaml_document_get_node(&rd->document, p->key));
        const char *value = word(yaml_document_get_node(&rd->document, p->value));
        if (!key || !value) return false;
        text_add(t, ",", value);
        text_add(t, "=", key);
    }
    return true;
}

static bool parse_word(const char *text, struct text *t) {
    if (text) text_add(t, "", text);
    return text != NULL;
}

/* Whether node is a valid value for o; stores it if o has an effect. */
static bool parse_value(struct reader *rd, const struct option *o, const yaml_node_t *node, struct text *t) {
    const char *text = word(node);
    char *place = o->offset == NO_EFFECT ? NULL : (char *)rd->settings + o->offset;
    int64_t value;
    switch (o->kind) {
    case KIND_BOOL:
    case KIND_COUNT:
        if (!text || !(o->kind == KIND_BOOL ? parse_bool(text, &value) : parse_count(text, o->max, &value)))
            return false;
        if (place) *(int *)(void *)place = (int)value;
        return true;
    case KIND_WORD:
        t->at = place;
        return parse_word(text, t);
    case KIND_LIST:
        t->at = place;
        return parse_list(rd, node, t);
    case KIND_MAP:
        t->at = place;
        return parse_map(rd, node, t);
    }
    return false;
}

static int on_option(struct reader *rd, const struct option *o, const yaml_node_t *node) {
    struct text t = {NULL, 0};
    if (rd->seen[o - options]) return refuse(rd, node, "duplicate key", o->key);
    rd->seen[o - options] = true;
    if (strncmp(o->key, LINGER_KEYS, sizeof LINGER_KEYS - 1) == 0) rd->settings->linger = true;
    if (!parse_value(rd, o, node, &t)) {
        char what[64];
        snprintf(what, sizeof what, "expected %s for", kind_names[o->kind]);
        return refuse(rd, node, what, o->key);
    }
    return t.len < SETTING_TEXT_MAX ? 0 : refuse(rd, node, "value is too long for", o->key);
}

/* Whether some option's key begins with this key and a dot. */
static bool is_group(const char *key) {
    size_t len = strlen(key);
    for (size_t i = 0; i < OPTIONS; i++)
        if (strncmp(options[i].key, key, len) == 0 && options[i].key[len] == '.') return true;
    return false;
}

static int on_mapping(struct reader *rd, const char *prefix, const yaml_node_t *mapping);

static int on_key(struct reader *rd, const char *key, const yaml_node_t *name, const yaml_node_t *value) {
    for (size_t i = 0; i < OPTIONS; i++)
        if (strcmp(options[i].key, key) == 0) return on_option(rd, &options[i], value);
    if (!is_group(key)) return refuse(rd, name, "unknown key", key);
    if (value->type == YAML_MAPPING_NODE) return on_mapping(rd, key, value);
    bool empty = value->type == YAML_SCALAR_NODE && value->data.scalar.length == 0;
    return empty ? 0 : refuse(rd, value, "expected a mapping for", key);
}

/* Groups nest as deep as the keys have dots, so the recursion is bounded. */
static int on_mapping(struct reader *rd, const char *prefix, const yaml_node_t *mapping) {
    for (yaml_node_pair_t *p = mapping->data.mapping.pairs.start; p < mapping->data.mapping.pairs.top; p++) {
        const yaml_node_t *name = yaml_document_get_node(&rd->document, p->key);
        const char *text = word(name);
        char key[KEY_MAX];
        if (!text) return refuse(rd, name, "expected a word as key in", prefix);
        if (snprintf(key, sizeof key, "%s%s%s", prefix, *prefix ? "." : "", text) >= (int)sizeof key)
            return refuse(rd, name, "unknown key", text);
        int r = on_key(rd, key, name, yaml_document_get_node(&rd->document, p->value));
        if (r) return r;
    }
    return 0;
}

static int parse_failed(const struct reader *rd, const yaml_parser_t *parser) {
    if (parser->error == YAML_MEMORY_ERROR) return fail(rd->error, ENOMEM, "%.*s: no memory", PATH_SHOWN, rd->path);
    return fail(rd->error, EINVAL, "%.*s:%zu: not valid YAML: %s", PATH_SHOWN, rd->path, parser->problem_mark.line + 1,
                parser->problem ? parser->problem : "unknown error");
}

/* Parses the first document of the file; an empty one sets nothing. */
static int parse(struct reader *rd, const char *text, size_t len) {
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) return fail(rd->error, ENOMEM, "%.*s: no memory", PATH_SHOWN, rd->path);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    int r;
    if (!yaml_parser_load(&parser, &rd->document)) {
        r = parse_failed(rd, &parser);
    } else {
        const yaml_node_t *root = yaml_document_get_root_node(&rd->document);
        if (root && root->type != YAML_MAPPING_NODE)
            r = refuse(rd, root, "expected", "key: value");
        else
            r = root ? on_mapping(rd, "", root) : 0;
        yaml_document_delete(&rd->document);
    }
    yaml_parser_delete(&parser);
    return r;
}

int settings_load(struct file_settings *s, const char *path, char error[SETTINGS_ERROR_MAX]) {
    struct reader rd = {.settings = s, .path = path, .error = error};
    int r = 0;
    *s = (struct file_settings){.sockets = SETTINGS_NONE, .network = {.mtu = SETTING_UNSET}};
    if (!path) return 0;
    FILE *f = fopen(path, "re");
    if (!f) return fail(error, errno, "%.*s: %s", PATH_SHOWN, path, strerror(errno));
    char *text = malloc(FILE_MAX_BYTES + 1);
    size_t len = text ? fread(text, 1, FILE_MAX_BYTES + 1, f) : 0;
    if (!text)
        r = fail(error, ENOMEM, "%.*s: no memory", PATH_SHOWN, path);
    else if (ferror(f))
        r = fail(error, errno, "%.*s: %s", PATH_SHOWN, path, strerror(errno));
    else if (len > FILE_MAX_BYTES)
        r = fail(error, EINVAL, "%.*s: larger than %u bytes", PATH_SHOWN, path, FILE_MAX_BYTES);
    else
        r = parse(&rd, text, len);
    free(text);
    fclose(f);
    return r;
}

static int set_flag(int qd, int level, int name, int value) {
    return value == SETTING_UNSET ? 0 : dmtr_setsockopt(qd, level, name, &value, sizeof value);
}

int settings_apply(const struct settings *s, int qd) {
    int r = set_flag(qd, IPPROTO_TCP, TCP_NODELAY, s->nodelay);
    if (!r) r = set_flag(qd, SOL_SOCKET, SO_KEEPALIVE, s->keepalive);
    return r;
}
