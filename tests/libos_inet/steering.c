/* SPDX-License-Identifier: MIT */
/* Steering of flows to the runtimes of a device (libos/inet/steering.h). */
#include "libos/inet/steering.h"

#include "../base/test.h"
#include "inet/wire/ip4.h"

#include <errno.h>
#include <pthread.h>

#define MEMBERS 4u
#define HERE    3u /* the member that has the packet */
#define ROUNDS  5000u
#define ADDRESS 0x0100000au

static struct steering *group_new(void) {
    struct steering *s = calloc(1, sizeof *s);
    assert_non_null(s);
    assert_int_equal(steering_init(s, MEMBERS), 0);
    for (uint32_t i = 0; i < MEMBERS; i++)
        steering_join(s, i);
    return s;
}

static void group_delete(struct steering *s) {
    assert_int_equal(flow_count(s->flows), 0);
    steering_fini(s);
    free(s);
}

/* Returns the nth TCP flow of port 80 whose home is `home`. */
static struct flow_key flow_at(const struct steering *s, uint32_t home, uint32_t n) {
    struct flow_key k = {ADDRESS, 0x0200000a, 80, 1024, IP_TCP};
    for (;; k.remote_port++)
        if (steering_home(s, &k) == home && n-- == 0) return k;
}

static void expect_steered(const struct steering *s, const struct flow_key *k, uint32_t member, bool entered) {
    struct steered to = steering_steer(s, HERE, k);
    assert_int_equal(to.member, member);
    assert_int_equal(to.entered, entered);
}

static void open_flow(struct steering *s, uint32_t member, const struct flow_key *k, bool asked, int result) {
    steering_port(s, member, k->local_port, true);
    assert_int_equal(steering_open(s, member, k, asked), result);
    if (result) steering_port(s, member, k->local_port, false);
}

static void end_flow(struct steering *s, uint32_t member, const struct flow_key *k) {
    steering_end(s, member, k);
    steering_port(s, member, k->local_port, false);
}

static void a_flow_is_steered_to_its_home_or_to_the_owner_in_its_entry(void **state) {
    (void)state;
    struct steering *s = group_new();
    struct flow_key home = flow_at(s, 1, 0), away = flow_at(s, 2, 0);
    expect_steered(s, &home, HERE, false); /* no member has the flow: the member with the packet refuses it */
    open_flow(s, 1, &home, false, 0);
    assert_int_equal(flow_count(s->flows), 0);
    expect_steered(s, &home, 1, false);
    open_flow(s, 1, &away, false, 0);
    assert_int_equal(flow_count(s->flows), 1);
    expect_steered(s, &away, 1, true);
    end_flow(s, 1, &away);
    expect_steered(s, &away, HERE, false);
    end_flow(s, 1, &home);
    expect_steered(s, &home, HERE, false);
    group_delete(s);
}

static void a_new_flow_is_steered_to_a_receiver_of_its_port(void **state) {
    (void)state;
    struct steering *s = group_new();
    static const uint8_t protocols[] = {IP_TCP, IP_UDP};
    for (uint32_t i = 0; i < 2; i++) {
        uint8_t protocol = protocols[i];
        struct flow_key k = flow_at(s, 2, 0);
        k.protocol = protocol;
        assert_int_equal(steering_receive(s, 0, protocol, 0, 80, true), 0);
        if (protocol == IP_TCP) steering_port(s, 0, 80, true);
        expect_steered(s, &k, 0, false);
        /* A receiver on the address takes precedence over a wildcard. */
        assert_int_equal(steering_receive(s, 1, protocol, ADDRESS, 80, true), 0);
        if (protocol == IP_TCP) steering_port(s, 1, 80, true);
        expect_steered(s, &k, 1, false);
        k.local++;
        expect_steered(s, &k, 0, false);
        k.local--;
        assert_int_equal(steering_receive(s, 1, protocol, ADDRESS, 80, false), 0);
        /* The home of the flow takes precedence over other receivers. */
        assert_int_equal(steering_receive(s, 2, protocol, 0, 80, true), 0);
        expect_steered(s, &k, 2, false);
        steering_leave(s, 2);
        expect_steered(s, &k, 0, false);
        steering_join(s, 2);
        assert_int_equal(steering_receive(s, 2, protocol, 0, 80, false), 0);
        assert_int_equal(steering_receive(s, 0, protocol, 0, 80, false), 0);
        if (protocol == IP_TCP) {
            steering_port(s, 0, 80, false);
            steering_port(s, 1, 80, false);
        }
        expect_steered(s, &k, HERE, false);
    }
    group_delete(s);
}

static void flows_with_another_home_are_spread_over_the_receivers(void **state) {
    (void)state;
    struct steering *s = group_new();
    uint32_t got[MEMBERS] = {0};
    steering_receive(s, 0, IP_UDP, 0, 80, true);
    steering_receive(s, 1, IP_UDP, 0, 80, true);
    for (uint32_t n = 0; n < 400; n++) {
        struct flow_key k = flow_at(s, 2 + n % 2, n / 2);
        k.protocol = IP_UDP;
        got[steering_steer(s, HERE, &k).member]++;
    }
    assert_int_equal(got[0] + got[1], 400);
    assert_true(got[0] > 50 && got[1] > 50);
    group_delete(s);
}

static void the_home_is_tried_before_a_listener_on_another_member(void **state) {
    (void)state;
    struct steering *s = group_new();
    struct flow_key had = flow_at(s, 1, 0), fresh = flow_at(s, 1, 1);
    open_flow(s, 1, &had, false, 0);
    steering_port(s, 0, 80, true);
    steering_receive(s, 0, IP_TCP, 0, 80, true);
    expect_steered(s, &had, 1, false);
    expect_steered(s, &fresh, 1, false);
    assert_int_equal(steering_steer_on(s, 1, &fresh).member, 0);
    open_flow(s, 0, &fresh, false, -EADDRINUSE);
    open_flow(s, 0, &fresh, true, 0);
    expect_steered(s, &fresh, 0, true);
    assert_int_equal(steering_steer_entered(s, 1, &fresh).member, 0);
    assert_int_equal(steering_steer_entered(s, 1, &had).member, 1);
    assert_false(steering_steer_entered(s, 1, &had).entered);
    end_flow(s, 0, &fresh);
    end_flow(s, 1, &had);
    steering_receive(s, 0, IP_TCP, 0, 80, false);
    steering_port(s, 0, 80, false);
    group_delete(s);
}

static void a_flow_has_one_owner(void **state) {
    (void)state;
    struct steering *s = group_new();
    struct flow_key k = flow_at(s, 1, 0), udp = k;
    udp.protocol = IP_UDP;
    open_flow(s, 0, &k, false, 0);
    open_flow(s, 2, &k, false, -EADDRINUSE);
    open_flow(s, 2, &k, true, -EADDRINUSE);
    open_flow(s, 1, &k, false, -EADDRINUSE);
    end_flow(s, 0, &k);
    open_flow(s, 1, &k, false, 0);
    end_flow(s, 1, &k);
    for (uint32_t i = 0; i < MEMBERS; i++) { /* a UDP flow needs an entry on every member, its home included */
        assert_int_equal(steering_open(s, i, &udp, false), 0);
        assert_int_equal(steering_open(s, (i + 1) % MEMBERS, &udp, false), -EADDRINUSE);
        expect_steered(s, &udp, i, true);
        steering_end(s, i, &udp);
    }
    group_delete(s);
}

/* Makes the calls of stream_transfer.c. */
static void migrate_flow(struct steering *s, const struct flow_key *k, uint32_t from, uint32_t to) {
    assert_int_equal(steering_hold(s, from, k), 0);
    expect_steered(s, k, from, true);
    steering_pass(s, from, k, to);
    steering_port(s, from, k->local_port, false);
    expect_steered(s, k, to, true);
    steering_port(s, to, k->local_port, true);
    steering_attached(s, to, k);
    expect_steered(s, k, to, to != steering_home(s, k));
}

static void a_flow_migrates_and_returns(void **state) {
    (void)state;
    struct steering *s = group_new();
    struct flow_key k = flow_at(s, 1, 0);
    open_flow(s, 1, &k, false, 0);
    assert_int_equal(steering_hold(s, 1, &k), 0);
    steering_release(s, 1, &k);
    expect_steered(s, &k, 1, false);
    for (uint32_t i = 0; i < 3; i++) {
        migrate_flow(s, &k, 1, 0);
        steering_hold(s, 0, &k);
        steering_release(s, 0, &k); /* the owner is not the home: the entry stays */
        expect_steered(s, &k, 0, true);
        migrate_flow(s, &k, 0, 2);
        migrate_flow(s, &k, 2, 1);
        assert_int_equal(flow_count(s->flows), 0);
    }
    migrate_flow(s, &k, 1, 2);
    end_flow(s, 2, &k);
    open_flow(s, 1, &k, false, 0);
    assert_int_equal(steering_hold(s, 1, &k), 0);
    steering_pass(s, 1, &k, 2);
    steering_port(s, 1, 80, false);
    steering_lost(s, 2, &k);
    expect_steered(s, &k, HERE, false);
    group_delete(s);
}

static void receive_addresses_are_limited(void **state) {
    (void)state;
    struct steering *s = group_new();
    for (uint32_t i = 1; i <= STEERING_ADDRS_MAX; i++)
        assert_int_equal(steering_receive(s, 0, IP_UDP, i, 80, true), 0);
    assert_int_equal(steering_receive(s, 0, IP_UDP, STEERING_ADDRS_MAX + 1, 80, true), -ENOBUFS);
    assert_int_equal(steering_receive(s, 1, IP_UDP, STEERING_ADDRS_MAX, 80, true), 0);
    assert_int_equal(steering_receive(s, 1, IP_UDP, 0, 80, true), 0);
    struct flow_key k = {STEERING_ADDRS_MAX, 2, 80, 99, IP_UDP};
    steering_receive(s, 0, IP_UDP, STEERING_ADDRS_MAX, 80, false);
    expect_steered(s, &k, 1, false);
    group_delete(s);
}

static void a_full_flow_table_is_an_error(void **state) {
    (void)state;
    static const uint64_t secret[FLOW_KEY_WORDS] = {1, 2, 3, 4, 5};
    struct steering *s = group_new();
    struct flow_key home = flow_at(s, 1, 0), away = flow_at(s, 2, 0);
    flow_table_free(s->flows);
    assert_int_equal(flow_table_new(&s->flows, 0, secret), 0);
    open_flow(s, 1, &away, false, -ENOBUFS);
    open_flow(s, 1, &home, false, 0);
    assert_int_equal(steering_hold(s, 1, &home), -ENOBUFS);
    expect_steered(s, &home, 1, false);
    end_flow(s, 1, &home);
    group_delete(s);
}

/* The home and another member open the same flow at the same time. */
struct opener {
    struct steering *s;
    pthread_barrier_t *barrier;
    uint32_t member;
    int results[ROUNDS];
};

static void *open_all(void *arg) {
    struct opener *o = arg;
    struct flow_key k = flow_at(o->s, 1, 0);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        k.local_port = (uint16_t)(1000 + i);
        while (steering_home(o->s, &k) != 1)
            k.remote_port++;
        pthread_barrier_wait(o->barrier);
        steering_port(o->s, o->member, k.local_port, true);
        o->results[i] = steering_open(o->s, o->member, &k, false);
        pthread_barrier_wait(o->barrier);
        if (o->results[i] == 0) steering_end(o->s, o->member, &k);
        steering_port(o->s, o->member, k.local_port, false);
    }
    return NULL;
}

static void two_members_never_open_the_same_flow(void **state) {
    (void)state;
    static struct opener openers[2];
    struct steering *s = group_new();
    pthread_barrier_t barrier;
    pthread_t threads[2];
    pthread_barrier_init(&barrier, NULL, 2);
    for (uint32_t i = 0; i < 2; i++) {
        openers[i] = (struct opener){.s = s, .barrier = &barrier, .member = 1 + i};
        assert_int_equal(pthread_create(&threads[i], NULL, open_all, &openers[i]), 0);
    }
    for (uint32_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        assert_true(openers[0].results[i] == 0 || openers[0].results[i] == -EADDRINUSE);
        assert_true(openers[1].results[i] == 0 || openers[1].results[i] == -EADDRINUSE);
        assert_false(openers[0].results[i] == 0 && openers[1].results[i] == 0);
    }
    pthread_barrier_destroy(&barrier);
    group_delete(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flow_is_steered_to_its_home_or_to_the_owner_in_its_entry),
        cmocka_unit_test(a_new_flow_is_steered_to_a_receiver_of_its_port),
        cmocka_unit_test(flows_with_another_home_are_spread_over_the_receivers),
        cmocka_unit_test(the_home_is_tried_before_a_listener_on_another_member),
        cmocka_unit_test(a_flow_has_one_owner),
        cmocka_unit_test(a_flow_migrates_and_returns),
        cmocka_unit_test(receive_addresses_are_limited),
        cmocka_unit_test(a_full_flow_table_is_an_error),
        cmocka_unit_test(two_members_never_open_the_same_flow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
