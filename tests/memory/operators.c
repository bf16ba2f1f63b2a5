/* SPDX-License-Identifier: MIT */
/* merge, filter, sort and map: alone, combined, and with sources that are opened and closed. */
#include "api_test.h"

#include <ctype.h>
#include <fcntl.h>

static bool starts_with(const dmtr_sgarray_t *sga, void *arg) {
    return sga->sga_segs[0].sgaseg_len && *(char *)sga->sga_segs[0].sgaseg_buf == *(const char *)arg;
}

static bool text_less(const dmtr_sgarray_t *a, const dmtr_sgarray_t *b, void *arg) {
    (void)arg;
    const dmtr_sgaseg_t *x = &a->sga_segs[0], *y = &b->sga_segs[0];
    uint32_t n = x->sgaseg_len < y->sgaseg_len ? x->sgaseg_len : y->sgaseg_len;
    int c = memcmp(x->sgaseg_buf, y->sgaseg_buf, n);
    return c < 0 || (c == 0 && x->sgaseg_len < y->sgaseg_len);
}

static bool first_letter_less(const dmtr_sgarray_t *a, const dmtr_sgarray_t *b, void *arg) {
    (void)arg;
    return *(char *)a->sga_segs[0].sgaseg_buf < *(char *)b->sga_segs[0].sgaseg_buf;
}

static int to_upper(dmtr_sgarray_t *sga, void *arg) {
    (*(int *)arg)++;
    char *text = sga->sga_segs[0].sgaseg_buf;
    for (uint32_t i = 0; i < sga->sga_segs[0].sgaseg_len; i++)
        text[i] = (char)toupper(text[i]);
    return 0;
}

static int replace_or_fail(dmtr_sgarray_t *sga, void *arg) {
    (void)arg;
    if (*(char *)sga->sga_segs[0].sgaseg_buf == '!') return EPROTO;
    dmtr_sgafree(sga);
    *sga = message("replaced");
    return 0;
}

static int new_filter(int source, const char *letter) {
    int qd;
    assert_ok(dmtr_filter(&qd, source, starts_with, (void *)letter));
    return qd;
}

static int new_merge(int a, int b) {
    int qd;
    assert_ok(dmtr_merge(&qd, a, b));
    return qd;
}

static int new_sort(int source) {
    int qd;
    assert_ok(dmtr_sort(&qd, source, text_less, NULL));
    return qd;
}

static void filter_passes_what_its_function_accepts(void **state) {
    (void)state;
    int source = new_queue(), filter = new_filter(source, "a");
    dmtr_qtoken_t waiting = pop_begin(filter);
    push_wait(source, "b1");
    push_wait(source, "a1");
    expect_wait_text(waiting, "a1");
    push_wait(source, "b2");
    push_wait(source, "b3");
    push_wait(source, "a2");
    expect_pop_text(filter, "a2");
    push_wait(filter, "b4");
    push_wait(filter, "a3");
    expect_pop_text(source, "a3");
}

static void map_changes_each_element_once(void **state) {
    (void)state;
    int source = new_queue(), calls = 0, map;
    assert_ok(dmtr_map(&map, source, to_upper, &calls));
    push_wait(source, "one");
    push_wait(map, "two");
    expect_pop_text(map, "ONE");
    expect_pop_text(map, "TWO");
    assert_int_equal(calls, 2);
}

static void map_may_replace_an_element_or_fail_its_pop(void **state) {
    (void)state;
    int source = new_queue(), map;
    assert_ok(dmtr_map(&map, source, replace_or_fail, NULL));
    push_wait(source, "x");
    push_wait(source, "!");
    push_wait(source, "y");
    expect_pop_text(map, "replaced");
    expect_wait_error(pop_begin(map), EPROTO);
    expect_pop_text(map, "replaced");
}

static void sort_returns_the_least_element_that_has_arrived(void **state) {
    (void)state;
    int source = new_queue(), sort = new_sort(source);
    dmtr_qtoken_t waiting = pop_begin(sort);
    push_wait(source, "m");
    expect_wait_text(waiting, "m");
    static const char *const in[] = {"d", "a", "c", "e", "b"};
    for (int i = 0; i < 5; i++)
        push_wait(i % 2 ? sort : source, in[i]);
    expect_pop_text(sort, "a");
    push_wait(source, "aa");
    expect_pop_text(sort, "aa");
    expect_pop_text(sort, "b");
    expect_pop_text(sort, "c");
    expect_pop_text(sort, "d");
    expect_pop_text(sort, "e");
}

static void sort_keeps_the_order_of_equal_elements(void **state) {
    (void)state;
    int source = new_queue(), sort;
    assert_ok(dmtr_sort(&sort, source, first_letter_less, NULL));
    char text[8];
    for (int i = 0; i < 60; i++) {
        snprintf(text, sizeof text, "%c%02d", 'a' + (i * 7) % 3, i);
        push_wait(source, text);
    }
    for (int letter = 0; letter < 3; letter++)
        for (int i = 0; i < 60; i++) {
            if ((i * 7) % 3 != letter) continue;
            snprintf(text, sizeof text, "%c%02d", 'a' + letter, i);
            expect_pop_text(sort, text);
        }
}

static void merge_pops_from_both_and_starves_neither(void **state) {
    (void)state;
    int a = new_queue(), b = new_queue(), merge = new_merge(a, b);
    for (int i = 0; i < 20; i++)
        push_wait(a, "a");
    for (int i = 0; i < 20; i++)
        push_wait(b, "b");
    int from_b = 0;
    for (int i = 0; i < 20; i++) {
        dmtr_qresult_t qr;
        assert_ok(dmtr_wait_timed(&qr, pop_begin(merge), HANG));
        from_b += *(char *)qr.qr_value.sga.sga_segs[0].sgaseg_buf == 'b';
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    }
    assert_int_equal(from_b, 10);
}

static void merge_pushes_to_both(void **state) {
    (void)state;
    int a = new_queue(), b = new_queue(), merge = new_merge(a, b);
    push_wait(merge, "twice");
    expect_pop_text(a, "twice");
    expect_pop_text(b, "twice");
}

static void a_cancelled_pop_on_an_operator_loses_no_element(void **state) {
    (void)state;
    int a = new_queue(), b = new_queue(), calls = 0, ops[4];
    ops[0] = new_filter(a, "x");
    ops[1] = new_merge(a, b);
    ops[2] = new_sort(a);
    assert_ok(dmtr_map(&ops[3], a, to_upper, &calls));
    for (int i = 0; i < 4; i++) {
        assert_ok(dmtr_drop(pop_begin(ops[i])));
        push_wait(a, "x");
        expect_pop_text(a, "x");
        /*
         * The element is popped from the source but not wanted any more: the operator keeps it for its next pop. Sort
         * completes at once.
         */
        if (i == 2) continue;
        push_wait(a, "x");
        assert_ok(dmtr_drop(pop_begin(ops[i])));
        dmtr_qresult_t qr;
        assert_ok(dmtr_wait_timed(&qr, pop_begin(ops[i]), HANG));
        assert_int_equal(qr.qr_value.sga.sga_segs[0].sgaseg_len, 1);
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    }
}

static void operators_compose(void **state) {
    (void)state;
    int a = new_queue(), b = new_queue(), calls = 0, map;
    int merge = new_merge(new_filter(a, "k"), b);
    assert_ok(dmtr_map(&map, merge, to_upper, &calls));
    int sort = new_sort(map);
    push_wait(a, "keep2");
    push_wait(a, "drop");
    push_wait(b, "keep3");
    push_wait(a, "keep1");
    char seen[3][8];
    for (int i = 0; i < 3; i++) {
        dmtr_qresult_t qr;
        assert_ok(dmtr_wait_timed(&qr, pop_begin(sort), HANG));
        snprintf(seen[i], sizeof seen[i], "%.5s", (char *)qr.qr_value.sga.sga_segs[0].sgaseg_buf);
        assert_ok(dmtr_sgafree(&qr.qr_value.sga));
    }
    assert_int_equal(calls, 3);
    int found = 0;
    for (int i = 0; i < 3; i++)
        found |= 1 << (seen[i][4] - '1');
    assert_int_equal(found, 7);
}

static void closing_a_source_ends_operations_with_ecanceled(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        int a = new_queue(), b = new_queue(), calls = 0, op = -1;
        if (kind == 0) op = new_filter(a, "x");
        if (kind == 1) op = new_merge(a, b);
        if (kind == 2) op = new_sort(a);
        if (kind == 3) assert_ok(dmtr_map(&op, a, to_upper, &calls));
        dmtr_qtoken_t one = pop_begin(op), two = pop_begin(op), qt;
        assert_ok(dmtr_close(a));
        /* The descriptor is reused at once; it must not be mistaken for the source. */
        int again = new_queue();
        assert_int_equal(again, a);
        push_wait(again, "x");
        expect_wait_error(one, ECANCELED);
        expect_wait_error(two, ECANCELED);
        expect_wait_error(pop_begin(op), ECANCELED);
        dmtr_sgarray_t sga = message("x");
        assert_int_equal(dmtr_push(&qt, op, &sga), ECANCELED);
        assert_ok(dmtr_sgafree(&sga));
        assert_ok(dmtr_close(op));
        expect_pop_text(again, "x");
    }
}

static void closing_an_operator_does_not_close_its_sources(void **state) {
    (void)state;
    int a = new_queue(), b = new_queue(), merge = new_merge(a, b), filter = new_filter(a, "x");
    dmtr_qtoken_t pop = pop_begin(merge), pop2 = pop_begin(filter), close;
    assert_ok(dmtr_close(merge));
    assert_ok(dmtr_async_close(&close, filter));
    expect_wait_error(pop, ECANCELED);
    expect_wait_error(pop2, ECANCELED);
    dmtr_qresult_t qr;
    assert_ok(dmtr_wait_timed(&qr, close, HANG));
    push_wait(a, "still here");
    expect_pop_text(a, "still here");
}

static void an_operator_closed_with_pushes_outstanding_still_delivers(void **state) {
    (void)state;
    restart_with("memory.max_elements=1");
    int a = new_queue(), b = new_queue(), merge = new_merge(a, b);
    push_wait(merge, "1");
    dmtr_qtoken_t push = push_text(merge, "2"), close;
    dmtr_qresult_t qr;
    assert_int_equal(dmtr_poll(&qr, push), EAGAIN);
    assert_ok(dmtr_async_close(&close, merge));
    assert_int_equal(dmtr_poll(&qr, close), EAGAIN);
    expect_pop_text(a, "1");
    expect_pop_text(b, "1");
    assert_ok(dmtr_wait_timed(&qr, push, HANG));
    assert_ok(dmtr_wait_timed(&qr, close, HANG));
    expect_pop_text(a, "2");
    expect_pop_text(b, "2");
}

static void a_source_that_is_busy_when_closed_may_outlive_its_operator(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        int calls = 0, file, qd;
        assert_ok(dmtr_open(&file, "/proc/self/exe", O_RDONLY));
        int ops[] = {new_filter(file, "a"), new_merge(file, new_queue()), new_sort(file), -1};
        assert_ok(dmtr_map(&ops[3], file, to_upper, &calls));
        qd = ops[kind];
        dmtr_qtoken_t qt = pop_begin(qd);
        assert_ok(dmtr_close(file));
        assert_ok(dmtr_close(qd));
        dmtr_qresult_t qr;
        dmtr_wait_timed(&qr, qt, HANG); /* canceled, or complete if the device was quick */
        if (!qr.qr_error) assert_ok(dmtr_sgafree(&qr.qr_value.sga));
        assert_ok(dmtr_fini());
        assert_ok(dmtr_init(0, NULL));
    }
}

static void results_left_in_operators_are_freed_with_the_runtime(void **state) {
    (void)state;
    int a = new_queue(), sort = new_sort(a), merge = new_merge(a, new_queue());
    for (int i = 0; i < 30; i++)
        push_wait(a, "left");
    expect_pop_text(sort, "left");
    pop_begin(merge);
    pop_begin(sort);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        api_test(filter_passes_what_its_function_accepts),
        api_test(map_changes_each_element_once),
        api_test(map_may_replace_an_element_or_fail_its_pop),
        api_test(sort_returns_the_least_element_that_has_arrived),
        api_test(sort_keeps_the_order_of_equal_elements),
        api_test(merge_pops_from_both_and_starves_neither),
        api_test(merge_pushes_to_both),
        api_test(a_cancelled_pop_on_an_operator_loses_no_element),
        api_test(operators_compose),
        api_test(closing_a_source_ends_operations_with_ecanceled),
        api_test(closing_an_operator_does_not_close_its_sources),
        api_test(an_operator_closed_with_pushes_outstanding_still_delivers),
        api_test(a_source_that_is_busy_when_closed_may_outlive_its_operator),
        api_test(results_left_in_operators_are_freed_with_the_runtime),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
