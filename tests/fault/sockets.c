/* SPDX-License-Identifier: MIT */
/* Every system call and allocation failing once under kernel sockets, on both engines. */
#include "stream_scenario.h"

static int run_udp(void) {
    int failed = 0, a, b;
    struct sockaddr_in to, from;
    dmtr_qtoken_t push;
    dmtr_qresult_t qr;
    TRY(bound(&a, SOCK_DGRAM, &to));
    TRY(bound(&b, SOCK_DGRAM, &from));
    for (int i = 0; i < MESSAGES; i++) {
        int at = 7 * i;
        TRY(push_pattern(b, at, &push, &to));
        TRY(wait_done(push, &qr));
        TRY(pop_pattern(a, &at));
        assert_int_equal(at, 7 * i + BYTES);
    }
out:
    return failed;
}

static void sweep_engines(const char *name, int (*run)(void)) {
    static char *const engines[] = {"posix.engine=io_uring", "posix.engine=epoll"};
    for (int i = 0; i < 2; i++) {
        struct scenario s = {name, 5, {"test", "--dmtr-set", "log.sink=none", "--dmtr-set", engines[i]}, run};
        print_message("# %s\n", engines[i]);
        if (dmtr_init(5, s.argv)) {
            print_message("# this kernel does not have it\n");
            continue;
        }
        assert_ok(dmtr_fini());
        scenario_all_errors(&s);
    }
}

static void tcp(void **state) {
    (void)state;
    framed = 0;
    sweep_engines("tcp", run_tcp);
}

static void tcp_framed(void **state) {
    (void)state;
    framed = 1;
    sweep_engines("tcp framed", run_tcp);
}

static void tcp_given_away(void **state) {
    (void)state;
    given_away = true;
    for (framed = 0; framed < 2; framed++) {
        size_t before = blocks_bytes();
        sweep_engines(framed ? "tcp framed, given away" : "tcp, given away", run_tcp);
        assert_int_equal(blocks_bytes(), before);
    }
    given_away = false;
}

static void udp(void **state) {
    (void)state;
    sweep_engines("udp", run_udp);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp),
        cmocka_unit_test(tcp_framed),
        cmocka_unit_test(tcp_given_away),
        cmocka_unit_test(udp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
