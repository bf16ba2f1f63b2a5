/* SPDX-License-Identifier: MIT */
/* libos/inet/steering.h */
#include "libos/inet/steering.h"

#include "../base/test.h"
#include "inet/wire/ip4.h"

#include <errno.h>
#include <pthread.h>

#define MEMBERS 4u
#define HERE    3u /* has the packet */
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

/* The nth TCP flow of port 80 whose home is that member. */
static struct flow_key flow_at(const struct steering *s, uint32_t home, uint32_t n) {
    struct flow_key k = {ADDRESS, 0x0200000a, 80, 1024, IP_TCP};
    for (;; k.remote_port++)
        if (steering_home(s, &k) == home && n-- == 0) return k;
}

static void expect(const struct steering *s, const struct flow_key *k, uint32_t member, bool entered) {
    struct steered to = steering_steer(s, HERE, k);
    assert_int_equal(to.member, member);
    assert_int_equal(to.entered, entered);
}

static void opens(struct steering *s, uint32_t member, const struct flow_key *k, bool asked, int result) {
    steering_port(s, member, k->local_port, true);
    assert_int_equal(steering_open(s, member, k, asked), result);
    if (result) steering_port(s, member, k->local_port, false);
}

static void ends(struct steering *s, uint32_t member, const struct flow_key *k) {
    steering_end(s, member, k);
    steering_port(s, member, k->local_port, false);
}

static void a_flow_leads_home_without_an_entry_and_elsewhere_by_one(void **state) {
    (void)state;
    struct steering *s = group_new();
    struct flow_key home = flow_at(s, 1, 0), away = flow_at(s, 2, 0);
    expect(s, &home, HERE, false); /* nobody has it: it is refused where it is */
    opens(s, 1, &home, false, 0);
    assert_int_equal(flow_count(s->flows), 0);
    expect(s, &home, 1, false);
    opens(s, 1, &away, false, 0);
    assert_int_equal(flow_count(s->flows), 1);
    expect(s, &away, 1, true);
    ends(s, 1, &away);
    expect(s, &away, HERE, false);
    ends(s, 1, &home);
    expect(s, &home, HERE, false);
    group_delete(s);
}

static void a_new_flow_goes_to_those_who_receive_there(void **state) {
    (void)state;
    struct steering *s = group_new();
    static const uint8_t protocols[] = {IP_TCP, IP_UDP};
    for (uint32_t i = 0; i < 2; i++) {
        uint8_t protocol = protocols[i];
        struct flow_key k = flow_at(s, 2, 0);
        k.protocol = protocol;
        assert_int_equal(steering_receive(s, 0, protocol, 0, 80, true), 0);
        if (protocol == IP_TCP) steering_port(s, 0, 80, true);
        expect(s, &k, 0, false);
        /* The address itself goes before the wildcard. */
        assert_int_equal(steering_receive(s, 1, protocol, ADDRESS, 80, true), 0);
        if (protocol == IP_TCP) steering_port(s, 1, 80, true);
        expect(s, &k, 1, false);
        k.local++;
        expect(s, &k, 0, false);
        k.local--;
        assert_int_equal(steering_receive(s, 1, protocol, ADDRESS, 80, false), 0);
        /* Of several, the home of the flow is chosen. */
        assert_int_equal(steering_receive(s, 2, protocol, 0, 80, true), 0);
        expect(s, &k, 2, false);
        steering_leave(s, 2);
        expect(s, &k, 0, false);
        steering_join(s, 2);
        assert_int_equal(steering_receive(s, 2, protocol, 0, 80, false), 0);
        assert_int_equal(steering_receive(s, 0, protocol, 0, 80, false), 0);
        if (protocol == IP_TCP) {
            steering_port(s, 0, 80, false);
            steering_port(s, 1, 80, false);
        }
        expect(s, &k, HERE, false);
    }
    group_delete(s);
}

static void several_receivers_share_what_is_of_none_of_them(void **state) {
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

static void the_home_is_asked_before_a_listener_elsewhere(void **state) {
    (void)state;
    struct steering *s = group_new();
    struct flow_key had = flow_at(s, 1, 0), fresh = flow_at(s, 1, 1);
    opens(s, 1, &had, false, 0);
    steering_port(s, 0, 80, true);
    steering_receive(s, 0, IP_TCP, 0, 80, true);
    expect(s, &had, 1, false);
    expect(s, &fresh, 1, false);
    assert_int_equal(steering_steer_on(s, 1, &fresh).member, 0);
    opens(s, 0, &fresh, false, -EADDRINUSE);
    opens(s, 0, &fresh, true, 0);
    expect(s, &fresh, 0, true);
    assert_int_equal(steering_steer_entered(s, 1, &fresh).member, 0);
    assert_int_equal(steering_steer_entered(s, 1, &had).member, 1);
    assert_false(steering_steer_entered(s, 1, &had).entered);
    ends(s, 0, &fresh);
    ends(s, 1, &had);
    steering_receive(s, 0, IP_TCP, 0, 80, false);
    steering_port(s, 0, 80, false);
    group_delete(s);
}

static void a_flow_has_one_owner(void **state) {
    (void)state;
    struct steering *s = group_new();
    struct flow_key k = flow_at(s, 1, 0), udp = k;
    udp.protocol = IP_UDP;
    opens(s, 0, &k, false, 0);
    opens(s, 2, &k, false, -EADDRINUSE);
    opens(s, 2, &k, true, -EADDRINUSE);
    opens(s, 1, &k, false, -EADDRINUSE);
    ends(s, 0, &k);
    opens(s, 1, &k, false, 0);
    ends(s, 1, &k);
    for (uint32_t i = 0; i < MEMBERS; i++) { /* of UDP, with the one that would be home */
        assert_int_equal(steering_open(s, i, &udp, false), 0);
        assert_int_equal(steering_open(s, (i + 1) % MEMBERS, &udp, false), -EADDRINUSE);
        expect(s, &udp, i, true);
        steering_end(s, i, &udp);
    }
    group_delete(s);
}

/* What stream_transfer.c does. */
static void passes(struct steering *s, const struct flow_key *k, uint32_t from, uint32_t to) {
    assert_int_equal(steering_hold(s, from, k), 0);
    expect(s, k, from, true);
    steering_pass(s, from, k, to);
    steering_port(s, from, k->local_port, false);
    expect(s, k, to, true);
    steering_port(s, to, k->local_port, true);
    steering_attached(s, to, k);
    expect(s, k, to, to != steering_home(s, k));
}

static void a_flow_changes_hands_and_comes_back(void **state) {
    (void)state;
    struct steering *s = group_new();
    struct flow_key k = flow_at(s, 1, 0);
    opens(s, 1, &k, false, 0);
    assert_int_equal(steering_hold(s, 1, &k), 0);
    steering_release(s, 1, &k);
    expect(s, &k, 1, false);
    for (uint32_t i = 0; i < 3; i++) {
        passes(s, &k, 1, 0);
        steering_hold(s, 0, &k);
        steering_release(s, 0, &k); /* it is away from home, and stays in the table */
        expect(s, &k, 0, true);
        passes(s, &k, 0, 2);
        passes(s, &k, 2, 1);
        assert_int_equal(flow_count(s->flows), 0);
    }
    passes(s, &k, 1, 2);
    ends(s, 2, &k);
    opens(s, 1, &k, false, 0);
    assert_int_equal(steering_hold(s, 1, &k), 0);
    steering_pass(s, 1, &k, 2);
    steering_port(s, 1, 80, false);
    steering_lost(s, 2, &k);
    expect(s, &k, HERE, false);
    group_delete(s);
}

static void addresses_have_a_bound(void **state) {
    (void)state;
    struct steering *s = group_new();
    for (uint32_t i = 1; i <= STEERING_ADDRS_MAX; i++)
        assert_int_equal(steering_receive(s, 0, IP_UDP, i, 80, true), 0);
    assert_int_equal(steering_receive(s, 0, IP_UDP, STEERING_ADDRS_MAX + 1, 80, true), -ENOBUFS);
    assert_int_equal(steering_receive(s, 1, IP_UDP, STEERING_ADDRS_MAX, 80, true), 0);
    assert_int_equal(steering_receive(s, 1, IP_UDP, 0, 80, true), 0);
    struct flow_key k = {STEERING_ADDRS_MAX, 2, 80, 99, IP_UDP};
    steering_receive(s, 0, IP_UDP, STEERING_ADDRS_MAX, 80, false);
    expect(s, &k, 1, false);
    group_delete(s);
}

static void a_full_table_is_an_error(void **state) {
    (void)state;
    static const uint64_t secret[FLOW_KEY_WORDS] = {1, 2, 3, 4, 5};
    struct steering *s = group_new();
    struct flow_key home = flow_at(s, 1, 0), away = flow_at(s, 2, 0);
    flow_table_free(s->flows);
    assert_int_equal(flow_table_new(&s->flows, 0, secret), 0);
    opens(s, 1, &away, false, -ENOBUFS);
    opens(s, 1, &home, false, 0);
    assert_int_equal(steering_hold(s, 1, &home), -ENOBUFS);
    expect(s, &home, 1, false);
    ends(s, 1, &home);
    group_delete(s);
}

/* One member at home and one away open the same flow at the same time. */
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
        cmocka_unit_test(a_flow_leads_home_without_an_entry_and_elsewhere_by_one),
        cmocka_unit_test(a_new_flow_goes_to_those_who_receive_there),
        cmocka_unit_test(several_receivers_share_what_is_of_none_of_them),
        cmocka_unit_test(the_home_is_asked_before_a_listener_elsewhere),
        cmocka_unit_test(a_flow_has_one_owner),
        cmocka_unit_test(a_flow_changes_hands_and_comes_back),
        cmocka_unit_test(addresses_have_a_bound),
        cmocka_unit_test(a_full_table_is_an_error),
        cmocka_unit_test(two_members_never_open_the_same_flow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
