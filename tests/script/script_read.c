/* SPDX-License-Identifier: MIT */
/* Reads a script: one statement a line. */
#include "script.h"

#include "names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *word, *arguments;
} verbs[VERB_COUNT] = {
#define X(symbol, word, arguments) {word, arguments},
    SCRIPT_VERBS(X)
#undef X
};

static const struct {
    const char *name;
    size_t offset;
} settings[] = {
#define X(name, otherwise) {#name, offsetof(struct settings, name)},
    SCRIPT_SETTINGS(X)
#undef X
};

static bool read_setting(struct words *w, struct settings *s) {
    const char *name = words_next(w, "the setting"), *value = name ? words_next(w, "the value") : NULL;
    uint32_t number;
    if (!value || !words_number(w, value, &number)) return false;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (strcmp(settings[i].name, name) == 0) {
            memcpy((char *)s + settings[i].offset, &number, sizeof number);
            return true;
        }
    return words_fail(w, "there is no setting \"%s\"", name);
}

static bool read_text(struct words *w, const char *what, char to[NAME_BYTES]) {
    const char *word = words_next(w, what);
    if (!word) return false;
    if (strlen(word) >= NAME_BYTES) return words_fail(w, "%s is longer than %u", what, NAME_BYTES - 1);
    memcpy(to, word, strlen(word) + 1);
    return true;
}

static bool read_number(struct words *w, const char *what, uint32_t *to) {
    const char *word = words_next(w, what);
    return word && words_number(w, word, to);
}

static bool read_address(struct words *w, uint32_t *to) {
    const char *word = words_next(w, "the address");
    return word && words_address(w, word, to);
}

static bool read_state(struct words *w, uint32_t *to) {
    const char *word = words_next(w, "the state");
    const struct name_state *state = word ? name_state_find(word) : NULL;
    if (!word) return false;
    if (!state) return words_fail(w, "there is no state \"%s\"", word);
    *to = state->state;
    return true;
}

static bool read_argument(struct words *w, char kind, struct call *c) {
    switch (kind) {
    case 'n':
        return read_text(w, "the socket", c->name);
    case 'w':
        return read_text(w, "the name", c->word);
    case 'N':
        return read_number(w, "the number", &c->number);
    case 's':
        return read_state(w, &c->number);
    case 'P':
        return read_number(w, "the port", &c->port);
    case 'Q':
        return read_number(w, "the last port", &c->from_port);
    case 'a':
        return words_take(w, "as") ? read_text(w, "the new socket", c->other) : words_fail(w, "\"as\" is missing");
    case 'b':
        return !words_take(w, "backlog") || read_number(w, "the backlog", &c->backlog);
    case 'f':
        return !words_take(w, "from") || read_number(w, "the port", &c->from_port);
    case 't':
        return !words_take(w, "to") || read_address(w, &c->ip);
    case 'm':
        c->more = words_take(w, "more");
        return true;
    default:
        c->peek = words_take(w, "peek");
        return true;
    }
}

/* What a call is expected to return where the line does not say. */
static int64_t usual_result(const struct call *c) {
    switch (c->verb) {
    case VERB_CONNECT:
        return -EINPROGRESS;
    case VERB_SEND:
    case VERB_SENDTO:
    case VERB_RECV:
    case VERB_RECVFROM:
    case VERB_COUNTER:
    case VERB_INFO:
    case VERB_STATE:
        return c->number;
    default:
        return 0;
    }
}

static bool read_result(struct words *w, struct call *c) {
    uint32_t number;
    const char *word;
    c->expected = usual_result(c);
    if (!words_take(w, "=")) return true;
    if (!(word = words_next(w, "the result"))) return false;
    int error = name_errno(word);
    if (!error && !words_number(w, word, &number)) return words_fail(w, "\"%s\" is neither number nor error", word);
    c->expected = error ? -error : (int64_t)number;
    return true;
}

static bool read_call(struct words *w, struct call *c) {
    const char *word = words_next(w, "what to do");
    if (!word) return false;
    *c = (struct call){.ip = PEER_IP, .backlog = 128};
    while (c->verb < VERB_COUNT && strcmp(verbs[c->verb].word, word) != 0)
        c->verb++;
    if (c->verb == VERB_COUNT) return words_fail(w, "\"%s\" is nothing that can be done", word);
    for (const char *kind = verbs[c->verb].arguments; *kind; kind++)
        if (!read_argument(w, *kind, c)) return false;
    return read_result(w, c);
}

/* "+TIME", "+TIME..TIME" or "+*". */
static bool read_time(struct words *w, struct statement *st) {
    char first[32];
    const char *word = words_peek(w), *to;
    if (!word || word[0] != '+') return true;
    w->at++;
    if (strcmp(++word, "*") == 0) {
        st->any_time = true;
        return true;
    }
    to = strstr(word, "..");
    snprintf(first, sizeof first, "%.*s", to ? (int)(to - word) : (int)strlen(word), word);
    if (!words_time(w, first, &st->from_ns)) return false;
    st->to_ns = st->from_ns;
    if (to && !words_time(w, to + 2, &st->to_ns)) return false;
    return st->to_ns >= st->from_ns || words_fail(w, "a time ends before it begins");
}

static bool read_quiet(struct words *w, struct statement *st) {
    const char *word = words_next(w, "the time");
    if (!word || !words_time(w, word, &st->from_ns)) return false;
    return true;
}

static bool read_statement(struct words *w, struct script *s, struct statement *st) {
    bool ok = read_time(w, st), ranged = st->any_time || st->from_ns != st->to_ns;
    if (!ok) return false;
    if (words_take(w, "<")) {
        st->kind = SAYS_IN;
        ok = packet_parse(w, &st->packet);
    } else if (words_take(w, ">")) {
        st->kind = SAYS_OUT;
        ok = packet_parse(w, &st->packet);
    } else if (words_take(w, "set")) {
        st->kind = SAYS_SET;
        ok = read_setting(w, &s->settings);
    } else if (words_take(w, "quiet")) {
        st->kind = SAYS_QUIET;
        ok = read_quiet(w, st);
    } else {
        st->kind = words_take(w, "begin") ? SAYS_BEGIN : SAYS_CALL;
        ok = read_call(w, &st->call);
    }
    if (!ok) return false;
    if (words_peek(w)) return words_fail(w, "\"%s\" is too much", words_peek(w));
    return !ranged || st->kind == SAYS_OUT || words_fail(w, "only what is sent can have a range of times");
}

static bool read_line(struct words *w, struct script *s, const char *line, struct statement ***end) {
    if (!words_split(w, line)) return false;
    if (w->count == 0) return true;
    struct statement *st = calloc(1, sizeof *st);
    if (!st) return words_fail(w, "no memory");
    st->line = w->line;
    memcpy(st->text, line, strcspn(line, "\n"));
    **end = st;
    *end = &st->next;
    return read_statement(w, s, st);
}

bool script_read(struct script *s, const char *file, char *error, size_t bytes) {
    static struct words w;
    struct statement **end = &s->first;
    char line[LINE_MAX_BYTES];
    bool ok = true;
    FILE *in = fopen(file, "r");
    *s = (struct script){
        .file = file,
        .settings =
            {
#define X(name, otherwise) .name = otherwise,
                SCRIPT_SETTINGS(X)
#undef X
            },
    };
    if (!in) {
        snprintf(error, bytes, "%s: %s", file, strerror(errno));
        return false;
    }
    w = (struct words){.file = file};
    while (ok && fgets(line, sizeof line, in)) {
        w.line++;
        ok = strchr(line, '\n') || feof(in) ? read_line(&w, s, line, &end)
                                            : words_fail(&w, "the line is longer than %u bytes", LINE_MAX_BYTES - 2);
    }
    fclose(in);
    if (!ok) snprintf(error, bytes, "%s", w.error);
    return ok;
}

void script_free(struct script *s) {
    for (struct statement *st = s->first, *next; st; st = next) {
        next = st->next;
        free(st);
    }
    s->first = NULL;
}
