/* SPDX-License-Identifier: MIT */
/* LIBOS and CONFIG_PATH: what is taken from them, and what is said about errors in them. */
#include "demi_test.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <unistd.h>

static char path[64]; /* of the configuration file */

/* Standard error of demi_init, and what it returned. */
static const char *init_says(const struct demi_args *args, int *r) {
    static char text[2048];
    FILE *f = tmpfile();
    assert_non_null(f);
    int saved = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(fileno(f), STDERR_FILENO);
    *r = demi_init(args);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    if (*r == 0) assert_ok(dmtr_fini());
    return text;
}

/* The same of one that must return r. */
static const char *said(int r, const struct demi_args *args) {
    int actual;
    const char *text = init_says(args, &actual);
    if (actual != r) fail_msg("demi_init: %s, expected %s; it said: %s", strerror(actual), strerror(r), text);
    return text;
}

static void configure(const char *yaml, size_t len) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(yaml, 1, len, f), len);
    assert_ok(fclose(f));
    setenv("CONFIG_PATH", path, 1);
}

static int clean(void **state) {
    (void)state;
    unsetenv("LIBOS");
    unsetenv("CONFIG_PATH");
    unsetenv("DMTR_INET_DEVICE");
    unsetenv("DMTR_INET_DEVICE_OPTIONS");
    unsetenv("DMTR_INET_ADDRESS");
    unsetenv("DMTR_LOG_LEVEL");
    unlink(path);
    return 0;
}

static void kernel_sockets_go_by_their_old_names(void **state) {
    (void)state;
    const char *const names[] = {"catnap", "CATNAP", "Catnap", "posix", ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        setenv("LIBOS", names[i], 1);
        assert_string_equal(said(0, NULL), "");
    }
}

static void backend_that_is_not_built_is_named(void **state) {
    (void)state;
    const char *const names[][2] = {
        {"catmem", "shared memory"},     {"catloop", "shared memory"}, {"catmint", "RDMA"},
        {"CATTREE", "log over a block"}, {"dogfish", "not known"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        setenv("LIBOS", names[i][0], 1);
        const char *text = said(EINVAL, NULL);
        assert_non_null(strstr(text, "LIBOS"));
        assert_non_null(strstr(text, names[i][0]));
        assert_non_null(strstr(text, names[i][1]));
        assert_non_null(strstr(text, "catnap, catnip, catpowder, posix, inet or lwip"));
    }
}

/* Demikernel's scripts/config/default.yaml, filled in. */
static const char upstream_yaml[] =
    "demikernel:\n  local_ipv4_addr: 10.77.5.1\n  local_link_addr: \"02:00:00:00:05:01\"\n"
    "raw_socket:\n  linux_interface_name: \"nosuch0\"\n  xdp_interface_index: 0\n"
    "dpdk:\n  eal_init: [\"\", \"-c\", \"0x1\", \"-n\", \"4\", \"--no-huge\", \"-m\", \"64\", "
    "\"--no-shconf\", \"--no-pci\", \"--vdev=net_null0,size=60\",\"--iova-mode=va\"]\n"
    "tcp_socket_options:\n  keepalive:\n    enabled: false\n    time_millis: 0\n    interval: 0\n"
    "  linger:\n    enabled: true\n    time_seconds: 0\n  nodelay: true\n"
    "inetstack_config:\n  mtu: 1400\n  mss: 1350\n  arp_table:\n    \"02:00:00:00:05:02\": \"10.77.5.2\"\n";

static void upstream_names_select_a_device_with_what_the_file_says(void **state) {
    (void)state;
    configure(upstream_yaml, sizeof upstream_yaml - 1);
    assert_string_equal(said(0, NULL), "");
    setenv("LIBOS", "catpowder", 1);
    const char *text = said(ENODEV, NULL);
    assert_non_null(strstr(text, "device packet"));
    assert_non_null(strstr(text, "nosuch0"));
    setenv("LIBOS", "Catnip", 1);
    setenv("DMTR_LOG_LEVEL", "info", 1);
    int r;
    text = init_says(NULL, &r); /* a port of DPDK's; or what this build lacks */
    assert_non_null(strstr(text, r ? "device dpdk" : "dpdk: started"));
}

/* The device is another here, because shm needs no privileges; the environment has the last word. */
static void file_configures_the_stack(void **state) {
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET}, to = {.sin_family = AF_INET, .sin_port = htons(9)};
    char device[64];
    demi_qtoken_t qt;
    int qd;
    snprintf(device, sizeof device, "path=/tmp/dmtr-environment.%d,listen=yes", (int)getpid());
    setenv("DMTR_INET_DEVICE", "shm", 1);
    setenv("DMTR_INET_DEVICE_OPTIONS", device, 1);
    configure(upstream_yaml, sizeof upstream_yaml - 1);
    setenv("LIBOS", "catnip", 1);
    assert_ok(demi_init(NULL));
    assert_ok(demi_socket(&qd, AF_INET, SOCK_DGRAM, 0));
    inet_pton(AF_INET, "10.77.5.1", &at.sin_addr);
    assert_ok(demi_bind(qd, (struct sockaddr *)&at, sizeof at));
    inet_pton(AF_INET, "172.16.1.1", &to.sin_addr); /* all the world is on the link */
    assert_ok(demi_connect(&qt, qd, (struct sockaddr *)&to, sizeof to));
    assert_int_equal(wait_for(qt).qr_opcode, DEMI_OPC_CONNECT);
    assert_ok(dmtr_fini());
    setenv("DMTR_INET_ADDRESS", "10.77.6.1/24", 1);
    assert_ok(demi_init(NULL));
    assert_ok(demi_socket(&qd, AF_INET, SOCK_DGRAM, 0));
    assert_int_equal(demi_bind(qd, (struct sockaddr *)&at, sizeof at), EADDRNOTAVAIL);
    assert_ok(dmtr_fini());
}

static void lingering_of_the_file_is_left_out_and_said(void **state) {
    (void)state;
    struct linger value;
    socklen_t len = sizeof value;
    int qd;
    configure(upstream_yaml, sizeof upstream_yaml - 1);
    setenv("DMTR_LOG_LEVEL", "info", 1);
    const char *text = said(0, NULL), *line = strstr(text, "linger");
    assert_non_null(line);
    assert_null(strstr(line + 1, "linger.")); /* one line */
    assert_ok(demi_init(NULL));
    assert_ok(demi_socket(&qd, AF_INET, SOCK_STREAM, 0));
    assert_ok(demi_getsockopt(qd, SOL_SOCKET, SO_LINGER, &value, &len));
    assert_false(value.l_onoff);
    value = (struct linger){1, 3};
    assert_ok(demi_setsockopt(qd, SOL_SOCKET, SO_LINGER, &value, sizeof value));
    value = (struct linger){0, 0};
    assert_ok(demi_getsockopt(qd, SOL_SOCKET, SO_LINGER, &value, &len));
    assert_true(value.l_onoff && value.l_linger == 3);
    assert_ok(dmtr_fini());
}

static void close_delivers_in_spite_of_the_file(void **state) {
    (void)state;
    enum { BYTES = 1 << 16, PUSHES = 16 };
    int client, server;
    configure(upstream_yaml, sizeof upstream_yaml - 1);
    assert_ok(demi_init(NULL));
    connected(&client, &server);
    for (int i = 0; i < PUSHES; i++)
        push_begin(client, BYTES - 1, 'x');
    assert_ok(demi_close(client));
    pop_exactly(server, (size_t)(BYTES - 1) * PUSHES, 'x');
    demi_qresult_t qr = wait_for(pop_begin(server));
    assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
    assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, 0);
    assert_ok(demi_sgafree(&qr.qr_value.sga));
    assert_ok(dmtr_fini());
}

static void overlong_name_is_refused(void **state) {
    (void)state;
    char name[4096];
    memset(name, 'c', sizeof name);
    name[sizeof name - 1] = '\0';
    setenv("LIBOS", name, 1);
    assert_non_null(strstr(said(EINVAL, NULL), "LIBOS"));
}

static void options_of_the_program_win_over_the_environment(void **state) {
    (void)state;
    char *argv[] = {"program", "--dmtr-set", "libos=posix", "other", NULL};
    const struct demi_args args = {.argc = 4, .argv = argv};
    setenv("LIBOS", "catnip", 1);
    assert_string_equal(said(0, &args), "");
}

static void wrong_option_of_the_program_is_refused(void **state) {
    (void)state;
    char *argv[] = {"program", "--dmtr-set", "no.such=1", NULL};
    const struct demi_args args = {.argc = 3, .argv = argv};
    setenv("LIBOS", "catnap", 1);
    assert_non_null(strstr(said(EINVAL, &args), "no.such"));
}

static int int_option(int qd, int level, int name) {
    int value = -1;
    socklen_t len = sizeof value;
    assert_ok(demi_getsockopt(qd, level, name, &value, &len));
    return value;
}

static struct linger linger_of(int qd) {
    struct linger value = {-1, -1};
    socklen_t len = sizeof value;
    assert_ok(demi_getsockopt(qd, SOL_SOCKET, SO_LINGER, &value, &len));
    return value;
}

static void tcp_options_reach_every_tcp_socket(void **state) {
    (void)state;
    static const char yaml[] = "tcp_socket_options:\n"
                               "  keepalive: {enabled: true, time_millis: 0, interval: 0}\n"
                               "  linger:\n    enabled: true\n    time_seconds: 9\n"
                               "  nodelay: true\n";
    struct sockaddr_in addr;
    demi_qtoken_t connect, accept;
    int qds[3], udp;
    configure(yaml, sizeof yaml - 1);
    assert_ok(demi_init(NULL));
    qds[0] = listening(&addr);
    assert_ok(demi_accept(&accept, qds[0]));
    assert_ok(demi_socket(&qds[1], AF_INET, SOCK_STREAM, 0));
    assert_ok(demi_connect(&connect, qds[1], (struct sockaddr *)&addr, sizeof addr));
    wait_for(connect);
    qds[2] = wait_for(accept).qr_value.ares.qd;
    for (int i = 0; i < 3; i++) {
        assert_true(int_option(qds[i], IPPROTO_TCP, TCP_NODELAY));
        assert_true(int_option(qds[i], SOL_SOCKET, SO_KEEPALIVE));
        assert_false(linger_of(qds[i]).l_onoff);
    }
    assert_ok(demi_socket(&udp, AF_INET, SOCK_DGRAM, 0));
    assert_false(linger_of(udp).l_onoff);
    assert_ok(dmtr_fini());
}

static void disabled_options_are_switched_off(void **state) {
    (void)state;
    static const char yaml[] = "tcp_socket_options: {keepalive: {enabled: false}, linger: {enabled: false}, "
                               "nodelay: false}\n";
    int qd;
    configure(yaml, sizeof yaml - 1);
    assert_ok(demi_init(NULL));
    assert_ok(demi_socket(&qd, AF_INET, SOCK_STREAM, 0));
    assert_false(int_option(qd, IPPROTO_TCP, TCP_NODELAY));
    assert_false(int_option(qd, SOL_SOCKET, SO_KEEPALIVE));
    assert_false(linger_of(qd).l_onoff);
    assert_ok(dmtr_fini());
}

static void keys_of_other_backends_are_accepted(void **state) {
    (void)state;
    static const char yaml[] =
        "demikernel:\n  local_ipv4_addr: 10.0.0.1\n  local_link_addr: \"ff:ff:ff:ff:ff:ff\"\n"
        "raw_socket:\n  linux_interface_name: \"eth0\"\n  xdp_interface_index: 0\n  xdp_cohost_mode: false\n"
        "  xdp_tcp_ports: [80, 443]\n  tx_ring_size: 128\n"
        "dpdk:\n  eal_init: [\"-c\", \"0xff\", \"--proc-type=auto\"]\n"
        "inetstack_config:\n  mtu: 1500\n  mss: 1450\n  arp_table:\n    \"ff:ff:ff:ff:ff:ff\": \"10.0.0.2\"\n"
        "  tcp_checksum_offload: false\ntcp_socket_options:\n";
    configure(yaml, sizeof yaml - 1);
    assert_string_equal(said(0, NULL), "");
    configure("", 0);
    assert_string_equal(said(0, NULL), "");
}

static void errors_name_file_line_and_key(void **state) {
    (void)state;
    static const struct {
        const char *yaml, *text;
    } cases[] = {
        {"demikernel:\n  local_ipv4_address: 1.2.3.4\n", ":2: unknown key \"demikernel.local_ipv4_address\""},
        {"catnip: {my_ipv4_addr: 1.2.3.4}\n", ":1: unknown key \"catnip\""},
        {"a_key_longer_than_any_that_there_is_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: 1\n",
         ":1: unknown key \"a_key_longer"},
        {"tcp_socket_options:\n  nodelay: maybe\n", ":2: expected true or false for"},
        {"tcp_socket_options:\n  nodelay:\n", "expected true or false for \"tcp_socket_options.nodelay\""},
        {"tcp_socket_options:\n\n  linger:\n    time_seconds: -1\n", ":4: expected a number in its range for"},
        {"tcp_socket_options: {linger: {time_seconds: 65536}}\n", "tcp_socket_options.linger.time_seconds"},
        {"tcp_socket_options: {linger: {time_seconds: 99999999999999999999}}\n", "a number in its range"},
        {"tcp_socket_options: {linger: {time_seconds: 1s}}\n", "a number in its range"},
        {"tcp_socket_options: {linger: 5}\n", ":1: expected a mapping for \"tcp_socket_options.linger\""},
        {"tcp_socket_options: [nodelay]\n", ":1: expected a mapping for \"tcp_socket_options\""},
        {"tcp_socket_options:\n  nodelay: true\n  nodelay: true\n", ":3: duplicate key"},
        {"tcp_socket_options:\n  nodelay: {a: b}\n", "tcp_socket_options.nodelay"},
        {"demikernel: {local_ipv4_addr: [1]}\n", "expected a word for \"demikernel.local_ipv4_addr\""},
        {"dpdk:\n  eal_init: [\"-c\", \"\"]\n", ":2: expected a list of words for"},
        {"raw_socket: {xdp_tcp_ports: [\"\"]}\n", ":1: expected a list of words for"},
        {"dpdk:\n  eal_init: --proc-type\n", ":2: expected a list of words for \"dpdk.eal_init\""},
        {"dpdk:\n  eal_init: [[]]\n", ":2: expected a list of words for"},
        {"inetstack_config: {arp_table: [a]}\n", "expected a mapping of words for"},
        {"inetstack_config: {arp_table: {a: [b]}}\n", "expected a mapping of words for"},
        {"[a]: b\n", ":1: expected a word as key"},
        {"- a\n", ":1: expected \"key: value\""},
        {"just text\n", ":1: expected \"key: value\""},
        {"a: b: c\n", ":1: not valid YAML"},
        {"tcp_socket_options:\n\tnodelay: true\n", ":2: not valid YAML"},
        {"a: *b\n", "not valid YAML"},
        {"\"line\\nbreak\": 1\n", "unknown key \"line?break\""},
        {"\"zero\\0byte\": 1\n", "expected a word as key"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        configure(cases[i].yaml, strlen(cases[i].yaml));
        const char *text = said(EINVAL, NULL);
        if (!strstr(text, path) || !strstr(text, cases[i].text))
            fail_msg("\"%s\" expected for:\n%s\nbut it said: %s", cases[i].text, cases[i].yaml, text);
    }
}

static void binary_garbage_is_refused(void **state) {
    (void)state;
    char bytes[512];
    for (unsigned seed = 1; seed <= 200; seed++) {
        unsigned x = seed;
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (char)((x = x * 1103515245 + 12345) >> 16);
        configure(bytes, sizeof bytes);
        assert_non_null(strstr(said(EINVAL, NULL), path));
    }
}

static void unreadable_files_are_told(void **state) {
    (void)state;
    setenv("CONFIG_PATH", "/nonexistent/config.yaml", 1);
    assert_non_null(strstr(said(ENOENT, NULL), "/nonexistent/config.yaml"));
    setenv("CONFIG_PATH", "/", 1);
    said(EISDIR, NULL);
    setenv("CONFIG_PATH", "/dev/zero", 1);
    assert_non_null(strstr(said(EINVAL, NULL), "larger than"));
}

#define cleaned(fn) cmocka_unit_test_setup_teardown(fn, clean, clean)

int main(void) {
    snprintf(path, sizeof path, "/tmp/demi-environment-%d.yaml", (int)getpid());
    const struct CMUnitTest tests[] = {
        cleaned(kernel_sockets_go_by_their_old_names),
        cleaned(backend_that_is_not_built_is_named),
        cleaned(upstream_names_select_a_device_with_what_the_file_says),
        cleaned(file_configures_the_stack),
        cleaned(lingering_of_the_file_is_left_out_and_said),
        cleaned(close_delivers_in_spite_of_the_file),
        cleaned(overlong_name_is_refused),
        cleaned(options_of_the_program_win_over_the_environment),
        cleaned(wrong_option_of_the_program_is_refused),
        cleaned(tcp_options_reach_every_tcp_socket),
        cleaned(disabled_options_are_switched_off),
        cleaned(keys_of_other_backends_are_accepted),
        cleaned(errors_name_file_line_and_key),
        cleaned(binary_garbage_is_refused),
        cleaned(unreadable_files_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
