/* SPDX-License-Identifier: MIT */
/* Addresses are locked on their interface: who is refused, who shares, and when a lock ends. */
#include "netdev/address_lock.h"

#include "netdev_test.h"

#include <arpa/inet.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static uint32_t addresses[2]; /* addresses that no other process locks meanwhile */
static char why[256];

static int acquire(struct address_lock **lock, uint32_t count, const uint32_t *ip4, uint32_t queue, uint32_t queues) {
    struct netdev_args args = {
        .ip4 = ip4, .ip4_count = count, .queue = queue, .queues = queues, .why = why, .why_bytes = sizeof why};
    why[0] = '\0';
    return address_lock_acquire(lock, &args, "test", "lo");
}

static struct address_lock *acquired(uint32_t count, const uint32_t *ip4) {
    struct address_lock *lock = NULL;
    assert_int_equal(acquire(&lock, count, ip4, 0, 0), 0);
    assert_non_null(lock);
    return lock;
}

static void expect_refused(uint32_t count, const uint32_t *ip4, const char *says) {
    struct address_lock *lock = NULL;
    assert_int_equal(acquire(&lock, count, ip4, 0, 0), -EADDRINUSE);
    assert_null(lock);
    if (!strstr(why, says)) fail_msg("\"%s\" expected: %s", says, why);
}

static void second_device_of_this_process_is_refused(void **state) {
    (void)state;
    struct address_lock *lock = acquired(1, addresses), *other;
    char self[32];
    snprintf(self, sizeof self, "(%d)", (int)getpid());
    expect_refused(1, addresses, self);
    expect_refused(1, addresses, "inet.queues");
    expect_refused(2, addresses, "on lo");
    other = acquired(1, addresses + 1); /* the refused device has not kept it */
    address_lock_release(other);
    address_lock_release(lock);
    address_lock_release(acquired(1, addresses));
}

static void queues_of_a_device_share(void **state) {
    (void)state;
    struct address_lock *first = NULL, *second = NULL, *third = NULL;
    assert_int_equal(acquire(&first, 1, addresses, 0, 2), 0);
    assert_int_equal(acquire(&second, 1, addresses, 1, 2), 0);
    assert_int_equal(acquire(&third, 1, addresses, 1, 2), -EADDRINUSE); /* the same queue */
    assert_int_equal(acquire(&third, 1, addresses, 2, 3), -EADDRINUSE); /* another device */
    address_lock_release(first);
    expect_refused(1, addresses, "this process");
    address_lock_release(second);
    assert_int_equal(acquire(&first, 1, addresses, 0, 3), 0);
    assert_int_equal(acquire(&second, 1, addresses, 1, 2), -EADDRINUSE); /* another device, of fewer queues */
    address_lock_release(first);
    address_lock_release(acquired(1, addresses));
}

static void missing_interface_has_no_lock(void **state) {
    (void)state;
    struct address_lock *lock = NULL;
    struct netdev_args args = {.ip4 = addresses, .ip4_count = 1};
    assert_int_equal(address_lock_acquire(&lock, &args, "test", "nosuch0"), 0);
    assert_null(lock);
    address_lock_release(lock);
}

/* Starts a process that holds the lock until it is killed. */
static pid_t holder(void) {
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct address_lock *lock = NULL;
        byte = acquire(&lock, 1, addresses, 0, 0) == 0;
        if (write(ready[1], &byte, 1) == 1) pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 1);
    close(ready[0]);
    close(ready[1]);
    return child;
}

static void refusal_names_the_holding_process_whose_lock_ends_with_it(void **state) {
    (void)state;
    char who[48];
    pid_t child = holder();
    snprintf(who, sizeof who, "process %d of user %u", (int)child, (unsigned)getuid());
    expect_refused(1, addresses, who);
    address_lock_release(acquired(1, addresses + 1)); /* two addresses on one interface are fine */
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    address_lock_release(acquired(1, addresses));
}

static void lock_holds_in_its_network_namespace(void **state) {
    (void)state;
    struct address_lock *lock = acquired(1, addresses);
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct address_lock *mine = NULL;
        /* Also creates a user namespace if needed, because not every user may create a network namespace alone. */
        if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) _exit(2);
        _exit(acquire(&mine, 1, addresses, 0, 0) != 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    address_lock_release(lock);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2) skip();
    assert_int_equal(status, 0);
}

/*
 * Another socket has the name but does not answer: it does not listen, or its queue is full. We are refused, and never
 * block.
 */
static void unresponsive_name_holders_only_cause_a_refusal(void **state) {
    (void)state;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int len = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "dmtr/address/1/%08x", ntohl(addresses[0]));
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
    int squatter = socket(AF_UNIX, SOCK_STREAM, 0), caller = 0, tries = 0;
    assert_int_equal(bind(squatter, (struct sockaddr *)&name, size), 0);
    expect_refused(1, addresses, "another process");
    assert_int_equal(listen(squatter, 1), 0);
    expect_refused(1, addresses, "this process");
    while (caller == 0 && tries++ < 10) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        caller = connect(fd, (struct sockaddr *)&name, size);
        close(fd);
    }
    assert_int_equal(caller, -1); /* the queue is full */
    expect_refused(1, addresses, "another process");
    close(squatter);
    address_lock_release(acquired(1, addresses));
}

int main(void) {
    for (int i = 0; i < 2; i++)
        addresses[i] = htonl(0x7f000000u | ((uint32_t)getpid() & 0x7fffff) << 1 | (uint32_t)i);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(second_device_of_this_process_is_refused),
        cmocka_unit_test(queues_of_a_device_share),
        cmocka_unit_test(missing_interface_has_no_lock),
        cmocka_unit_test(refusal_names_the_holding_process_whose_lock_ends_with_it),
        cmocka_unit_test(lock_holds_in_its_network_namespace),
        cmocka_unit_test(unresponsive_name_holders_only_cause_a_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
