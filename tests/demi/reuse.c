/* SPDX-License-Identifier: MIT */
/* Demikernel's sockets share an address that they name: with what options, and what is said of it. */
#include "demi_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

static int option(int qd, int name) {
    int value = -1;
    socklen_t len = sizeof value;
    assert_ok(demi_getsockopt(qd, SOL_SOCKET, name, &value, &len));
    return value;
}

static int fresh(int type) {
    int qd = -1;
    assert_ok(demi_socket(&qd, AF_INET, type, 0));
    return qd;
}

static void named_ports_are_shared_and_chosen_ones_are_not(void **state) {
    (void)state;
    const int types[] = {SOCK_STREAM, SOCK_DGRAM};
    for (int i = 0; i < 2; i++) {
        struct sockaddr_in at;
        int chosen = bound(types[i], &at);
        assert_false(option(chosen, SO_REUSEADDR));
        assert_false(option(chosen, SO_REUSEPORT));
        int refused = fresh(types[i]);
        assert_int_equal(demi_bind(refused, (struct sockaddr *)&at, sizeof at), EADDRINUSE);
        assert_false(option(refused, SO_REUSEADDR)); /* as before */
        assert_false(option(refused, SO_REUSEPORT));
        assert_ok(demi_close(chosen));
        assert_ok(demi_bind(refused, (struct sockaddr *)&at, sizeof at));
        assert_true(option(refused, SO_REUSEADDR));
        assert_true(option(refused, SO_REUSEPORT));
        assert_ok(demi_close(refused));
    }
}

struct other {
    struct sockaddr_in at;
    int type, result;
    char said[512];
};

/* A runtime of its own on another thread binds the address, and says to a file what it has to say. */
static void *bind_elsewhere(void *arg) {
    struct other *o = arg;
    char *argv[] = {"test", "--dmtr-set", "log.level=info", "--dmtr-set", "posix.engine=epoll", NULL};
    int qd = -1;
    o->result = demi_init(&(const struct demi_args){.argc = 5, .argv = argv});
    if (o->result) return NULL;
    o->result = demi_socket(&qd, AF_INET, o->type, 0);
    if (!o->result) o->result = demi_bind(qd, (struct sockaddr *)&o->at, sizeof o->at);
    dmtr_fini();
    return NULL;
}

static void bind_on_another_thread(struct other *o) {
    pthread_t thread;
    FILE *f = tmpfile();
    assert_non_null(f);
    int saved = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(fileno(f), STDERR_FILENO);
    assert_ok(pthread_create(&thread, NULL, bind_elsewhere, o));
    assert_ok(pthread_join(thread, NULL));
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(f);
    memset(o->said, 0, sizeof o->said);
    size_t n = fread(o->said, 1, sizeof o->said - 1, f);
    (void)n;
    fclose(f);
}

static void threads_share_an_address_and_it_is_said(void **state) {
    (void)state;
    const int types[] = {SOCK_STREAM, SOCK_DGRAM};
    for (int i = 0; i < 2; i++) {
        struct other o = {.type = types[i]};
        char port[32];
        assert_ok(demi_close(bound(types[i], &o.at)));
        snprintf(port, sizeof port, "port %u", ntohs(o.at.sin_port));
        bind_on_another_thread(&o);
        assert_ok(o.result);
        assert_null(strstr(o.said, port)); /* there is no other */
        int qd = fresh(types[i]);
        assert_ok(demi_bind(qd, (struct sockaddr *)&o.at, sizeof o.at));
        if (types[i] == SOCK_STREAM) assert_ok(demi_listen(qd, 8));
        bind_on_another_thread(&o);
        assert_ok(o.result);
        assert_non_null(strstr(o.said, port));
        assert_non_null(strstr(o.said, "127.0.0.1"));
        assert_ok(demi_close(qd));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        demi_test(named_ports_are_shared_and_chosen_ones_are_not),
        demi_test(threads_share_an_address_and_it_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
