/* SPDX-License-Identifier: MIT */
/* Configuration: every source, every type, every way of getting it wrong. */
#include "core/config.h"
#include "libos/memory/options.h"
#include "libos/registry.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char error[CONFIG_ERROR_MAX];
static char path[] = "/tmp/dmtr-config-XXXXXX";

static int load_bytes(struct config *c, const char *text, size_t len) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    fclose(f);
    config_init(c, libos_option_groups);
    error[0] = '\0';
    return config_load_file(c, path, error);
}

static int load_text(struct config *c, const char *text) {
    return load_bytes(c, text, strlen(text));
}

/* The error is one printable line that begins with the file and names what is expected. */
static void assert_error(const char *line, const char *text) {
    char begin[64];
    snprintf(begin, sizeof begin, "%s%s", path, line);
    if (strncmp(error, begin, strlen(begin)) != 0 || !strstr(error, text))
        fail_msg("error is \"%s\", expected %s ... %s", error, begin, text);
    for (const char *p = error; *p; p++)
        assert_true((unsigned char)*p >= ' ');
}

static void defaults_hold_without_any_source(void **state) {
    (void)state;
    struct config c;
    assert_int_equal(config_load(&c, libos_option_groups, 0, NULL, error), 0);
    assert_int_equal(c.wait_policy, WAIT_ADAPTIVE);
    assert_int_equal(c.wait_spin_us, 50);
    assert_string_equal(c.libos, "posix");
    assert_true(c.stats_share);
}

static void every_default_is_within_its_own_bounds(void **state) {
    (void)state;
    const struct config_option *o;
    for (uint32_t i = 0; (o = config_option_at(libos_option_groups, i, NULL)); i++) {
        if (o->type != CONFIG_TYPE_UINT) continue;
        assert_uint_in_range(o->def, o->min, o->max);
    }
}

static void nested_and_dotted_keys_mean_the_same(void **state) {
    (void)state;
    struct config c;
    assert_int_equal(load_text(&c, "wait:\n  policy: spin\n  spin_us: 7\n"), 0);
    assert_int_equal(c.wait_policy, WAIT_SPIN);
    assert_int_equal(c.wait_spin_us, 7);
    assert_int_equal(load_text(&c, "wait.policy: block\nwait: {spin_us: 8}\nlibos: \"x\"\n"), 0);
    assert_int_equal(c.wait_policy, WAIT_BLOCK);
    assert_int_equal(c.wait_spin_us, 8);
    assert_string_equal(c.libos, "x");
}

static void a_file_without_content_is_fine(void **state) {
    (void)state;
    static const char *const texts[] = {"", "# nothing\n", "---\n", "{}\n", "wait:\n# policy: spin\n"};
    struct config c;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(load_text(&c, texts[i]), 0);
}

static void numbers_take_suffixes_where_they_are_bytes(void **state) {
    (void)state;
    static const struct {
        const char *value;
        uint64_t bytes; /* 0: refused */
    } cases[] = {{"512", 512},
                 {"1K", 1024},
                 {"1k", 1024},
                 {"2KiB", 2048},
                 {"1M", 1048576},
                 {"1G", 1u << 30},
                 {"1T", 1ull << 40},
                 {"2T", 0},
                 {"1KB", 0},
                 {"K", 0},
                 {"-1", 0},
                 {"0x10", 0},
                 {"1 K", 0},
                 {"99999999999999999999", 0},
                 {"18446744073709551615K", 0},
                 {"18014398509481985K", 0}, /* 2^64 more than 1K */
                 {"", 0},
                 {"1.5K", 0}};
    struct config c;
    config_init(&c, libos_option_groups);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int r = config_set(&c, "queue.push_limit_bytes", cases[i].value, "here", error);
        assert_int_equal(r, cases[i].bytes ? 0 : -EINVAL);
        if (cases[i].bytes) assert_int_equal(c.push_limit_bytes, cases[i].bytes);
    }
    assert_int_equal(config_set(&c, "wait.spin_us", "1K", "here", error), -EINVAL);
}

static void booleans_and_strings_are_checked(void **state) {
    (void)state;
    struct config c;
    char longest[CONFIG_STRING_MAX + 1];
    config_init(&c, libos_option_groups);
    assert_int_equal(config_set(&c, "stats.share", "off", "here", error), 0);
    assert_false(c.stats_share);
    assert_int_equal(config_set(&c, "stats.share", "yes", "here", error), 0);
    assert_true(c.stats_share);
    assert_int_equal(config_set(&c, "stats.share", "2", "here", error), -EINVAL);
    assert_non_null(strstr(error, "true or false"));
    memset(longest, 'a', sizeof longest);
    longest[CONFIG_STRING_MAX] = '\0';
    assert_int_equal(config_set(&c, "libos", longest, "here", error), -EINVAL);
    longest[CONFIG_STRING_MAX - 1] = '\0';
    assert_int_equal(config_set(&c, "libos", longest, "here", error), 0);
    assert_int_equal(config_set(&c, "libos", "", "here", error), -EINVAL);
}

static void wrong_files_are_refused_with_line_and_remedy(void **state) {
    (void)state;
    static const struct {
        const char *text, *line, *expect;
    } cases[] = {
        {"# x\nwait.polcy: spin\n", ":2", "unknown key \"wait.polcy\"; did you mean \"wait.policy\"?"},
        {"wait:\n  polcy: spin\n", ":2", "did you mean \"wait.policy\"?"},
        {"policy: spin\n", ":1", "did you mean \"wait.policy\"?"},
        {"stats: true\n", ":1", "did you mean \"stats.share\"?"},
        {"bogus: {a: {b: 1}}\n", ":1", "unknown key \"bogus\""},
        {"wait.policy: quick\n", ":1", "wait.policy cannot be \"quick\"; it takes spin, adaptive or block"},
        {"wait.spin_us: 2000000\n", ":1", "it takes 0 to 1000000 us"},
        {"wait.spin_us: \"a\\x01\\nb\"\n", ":1", "cannot be \"a??b\""},
        {"wait.policy: spin\nwait:\n  policy: block\n", ":3", "duplicate key \"wait.policy\", already set on line 1"},
        {"wait.policy: [spin]\n", ":1", "a list is not expected"},
        {"- wait\n", ":1", "a list is not expected"},
        {"wait.policy: {spin: 1}\n", ":1", "wait.policy takes a value"},
        {"{wait: 1}: 2\n", ":1", "a key must be a word"},
        {"just words\n", ":1", "expected \"key: value\""},
        {"wait.policy: &a spin\n", ":1", "anchors and tags"},
        {"wait: &a {policy: spin}\n", ":1", "anchors and tags"},
        {"wait.policy: !!str spin\n", ":1", "anchors and tags"},
        {"libos: a\n? *a\n: b\n", ":2", ""},
        {"wait.policy: *nobody\n", ":1", "aliases are not supported"},
        {"wait.policy: spin\n---\nwait.policy: block\n", ":2", "more than one document"},
        {"wait.policy: \"spin\n", ":", "not valid YAML"},
        {"wait: {policy: spin\n", ":", "not valid YAML"},
        {"\twait: 1\n", ":1", "not valid YAML"},
        {"libos:\n", ":1", "libos cannot be \"\""},
        {"\"\": 1\n", ":1", "a key must be a word"},
        {"\"a\\0b\": 1\n", ":1", "a key must be a word"},
        {"libos: \"a\\0b\"\n", ":1", "zero byte"},
    };
    struct config c;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(load_text(&c, cases[i].text), -EINVAL);
        assert_error(cases[i].line, cases[i].expect);
    }
}

static void hostile_files_are_refused_within_bounds(void **state) {
    (void)state;
    enum { SIZE = 300000 };
    char *text = malloc(SIZE);
    struct config c;
    assert_non_null(text);
    memset(text, '#', SIZE);
    assert_int_equal(load_bytes(&c, text, SIZE), -EINVAL);
    assert_error(":", "larger than");
    for (size_t i = 0; i < 2; i++) {
        memset(text, "{["[i], SIZE);
        assert_int_equal(load_bytes(&c, text, 200000), -EINVAL);
    }
    memset(text, 'k', SIZE);
    assert_int_equal(load_bytes(&c, text, 200000), -EINVAL);
    memcpy(text + 500, ": 1\n", 4);
    assert_int_equal(load_bytes(&c, text, 504), -EINVAL);
    assert_error(":1", "is too long");
    for (uint64_t seed = 1, i = 0; i < 200; i++) { /* binary garbage, with and without YAML's own characters */
        for (size_t j = 0; j < 300; j++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            text[j] = i % 2 ? (char)(seed >> 56) : "{}[]:,-?&*!|>'\"%@\n\t #ab."[(seed >> 40) % 25];
        }
        assert_true(load_bytes(&c, text, 300) <= 0);
    }
    free(text);
}

static void unreadable_files_are_reported(void **state) {
    (void)state;
    struct config c;
    config_init(&c, libos_option_groups);
    assert_int_equal(config_load_file(&c, "/nonexistent/dmtr.yaml", error), -ENOENT);
    assert_non_null(strstr(error, "/nonexistent/dmtr.yaml: No such file"));
    assert_int_equal(config_load_file(&c, "/tmp", error), -EISDIR);
    assert_int_equal(config_load_file(&c, "/dev/zero", error), -EINVAL);
}

static void arguments_are_taken_in_both_spellings(void **state) {
    (void)state;
    char *argv[] = {
        "prog", "-x",         "--dmtr-set", "wait.spin_us=1", "--dmtr-set=wait.policy=spin", "--dmtr-settle",
        "--",   "--dmtr-set", NULL};
    struct config c;
    assert_int_equal(config_load(&c, libos_option_groups, 8, argv, error), 0);
    assert_int_equal(c.wait_spin_us, 1);
    assert_int_equal(c.wait_policy, WAIT_SPIN);
}

static void wrong_arguments_are_refused(void **state) {
    (void)state;
    static const struct {
        char *argv[4];
        int argc;
        const char *expect;
    } cases[] = {
        {{"prog", "--dmtr-set"}, 2, "--dmtr-set: a value must follow"},
        {{"prog", "--dmtr-config"}, 2, "--dmtr-config: a value must follow"},
        {{"prog", "--dmtr-config", NULL}, 3, "--dmtr-config: a value must follow"},
        {{"prog", "--dmtr-set", "wait.policy"}, 3, "is not KEY=VALUE"},
        {{"prog", "--dmtr-set", "=spin"}, 3, "is not KEY=VALUE"},
        {{"prog", "--dmtr-set=wiat.policy=spin"}, 2, "did you mean \"wait.policy\"?"},
        {{"prog", "--dmtr-set=wait.policy="}, 2, "spin, adaptive or block"},
    };
    struct config c;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(config_load(&c, libos_option_groups, cases[i].argc, cases[i].argv, error), -EINVAL);
        if (!strstr(error, cases[i].expect)) fail_msg("case %zu: %s", i, error);
    }
}

static void keys_longer_than_any_are_unknown(void **state) {
    (void)state;
    char argument[5000];
    char *argv[] = {"prog", "--dmtr-set", argument, NULL};
    struct config c;
    memset(argument, 'k', sizeof argument);
    memcpy(argument + sizeof argument - 3, "=1", 3);
    assert_int_equal(config_load(&c, libos_option_groups, 3, argv, error), -EINVAL);
    assert_non_null(strstr(error, "unknown key"));
}

static void later_sources_win(void **state) {
    (void)state;
    char *argv[] = {"prog", "--dmtr-config", path, "--dmtr-set", "core.linger_ms=3", NULL};
    struct config c;
    load_text(&c, "wait.spin_us: 1\nmemory.max_elements: 1\ncore.linger_ms: 1\n");
    setenv("DMTR_MEMORY_MAX_ELEMENTS", "2", 1);
    setenv("DMTR_CORE_LINGER_MS", "2", 1);
    assert_int_equal(config_load(&c, libos_option_groups, 5, argv, error), 0);
    assert_int_equal(c.wait_spin_us, 1);
    const struct memory_options *memory = config_values(&c, &memory_options_group);
    assert_int_equal(memory->max_elements, 2);
    assert_int_equal(c.linger_ms, 3);
    unsetenv("DMTR_MEMORY_MAX_ELEMENTS");
    unsetenv("DMTR_CORE_LINGER_MS");
}

static void the_file_may_come_from_the_environment(void **state) {
    (void)state;
    char *argv[] = {"prog", "--dmtr-config", "/dev/null", NULL};
    struct config c;
    load_text(&c, "wait.spin_us: 9\n");
    setenv("DMTR_CONFIG", path, 1);
    assert_int_equal(config_load(&c, libos_option_groups, 0, NULL, error), 0);
    assert_int_equal(c.wait_spin_us, 9);
    assert_int_equal(config_load(&c, libos_option_groups, 3, argv, error), 0);
    assert_int_equal(c.wait_spin_us, 50);
    setenv("DMTR_CONFIG", "/nonexistent", 1);
    assert_int_equal(config_load(&c, libos_option_groups, 0, NULL, error), -ENOENT);
    unsetenv("DMTR_CONFIG");
}

static void misspelt_variables_are_refused_and_strangers_left_alone(void **state) {
    (void)state;
    static const struct {
        const char *name, *value;
        int result;
        const char *expect;
    } cases[] = {
        {"DMTR_WAIT_POLCY", "spin", -EINVAL, "did you mean DMTR_WAIT_POLICY?"},
        {"DMTR_WAT_POLCY", "spin", -EINVAL, "did you mean DMTR_WAIT_POLICY?"},
        {"DMTR_CONFG", "x", -EINVAL, "did you mean DMTR_CONFIG?"},
        {"DMTR_WAIT_POLICY", "fast", -EINVAL, "DMTR_WAIT_POLICY: wait.policy cannot be \"fast\""},
        {"DMTR_HEAP_MAX_BYTES", "1G", 0, ""},
        {"DMTR_OF_SOMEBODY_ELSE", "1", 0, ""},
    };
    struct config c;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv(cases[i].name, cases[i].value, 1);
        assert_int_equal(config_load(&c, libos_option_groups, 0, NULL, error), cases[i].result);
        if (!strstr(error, cases[i].expect)) fail_msg("case %zu: %s", i, error);
        unsetenv(cases[i].name);
    }
}

static void every_format_prints_every_key(void **state) {
    (void)state;
    for (int format = DOC_PLAIN; format <= DOC_MARKDOWN; format++) {
        char *text = NULL;
        size_t len = 0;
        FILE *f = open_memstream(&text, &len);
        assert_non_null(f);
        assert_int_equal(config_print(f, libos_option_groups, (enum doc_format)format), 0);
        fclose(f);
        const struct config_option *o;
        for (uint32_t i = 0; (o = config_option_at(libos_option_groups, i, NULL)); i++) {
            assert_non_null(strstr(text, o->key));
            assert_non_null(strstr(text, o->text));
        }
        free(text);
    }
}

static void printing_to_a_full_device_is_reported(void **state) {
    (void)state;
    FILE *f = fopen("/dev/full", "w");
    if (!f) skip();
    setvbuf(f, NULL, _IONBF, 0);
    assert_int_equal(config_print(f, libos_option_groups, DOC_PLAIN), -EIO);
    fclose(f);
}

static int make_file(void **state) {
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_hold_without_any_source),
        cmocka_unit_test(every_default_is_within_its_own_bounds),
        cmocka_unit_test(nested_and_dotted_keys_mean_the_same),
        cmocka_unit_test(a_file_without_content_is_fine),
        cmocka_unit_test(numbers_take_suffixes_where_they_are_bytes),
        cmocka_unit_test(booleans_and_strings_are_checked),
        cmocka_unit_test(wrong_files_are_refused_with_line_and_remedy),
        cmocka_unit_test(hostile_files_are_refused_within_bounds),
        cmocka_unit_test(unreadable_files_are_reported),
        cmocka_unit_test(arguments_are_taken_in_both_spellings),
        cmocka_unit_test(wrong_arguments_are_refused),
        cmocka_unit_test(keys_longer_than_any_are_unknown),
        cmocka_unit_test(later_sources_win),
        cmocka_unit_test(the_file_may_come_from_the_environment),
        cmocka_unit_test(misspelt_variables_are_refused_and_strangers_left_alone),
        cmocka_unit_test(every_format_prints_every_key),
        cmocka_unit_test(printing_to_a_full_device_is_reported),
    };
    return cmocka_run_group_tests_name("config", tests, make_file, remove_file);
}
