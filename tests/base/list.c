/* SPDX-License-Identifier: MIT */
/* base/list.h */
#include "base/list.h"

#include "test.h"

struct item {
    int value;
    struct list link;
};

static void assert_order(struct list *head, const int *values, int n) {
    struct list *node, *tmp;
    int i = 0;
    list_for_each (head, node, tmp) {
        assert_true(i < n);
        assert_int_equal(list_entry(node, struct item, link)->value, values[i++]);
        assert_ptr_equal(node->next->prev, node);
    }
    assert_int_equal(i, n);
}

static void pushes_at_both_ends_keep_their_order(void **state) {
    (void)state;
    struct item a = {.value = 1}, b = {.value = 2}, c = {.value = 3}, d = {.value = 4};
    struct list head;
    list_init(&head);
    assert_true(list_empty(&head));
    assert_null(list_first(&head));
    assert_null(list_pop_front(&head));
    list_push_back(&head, &b.link);
    list_push_back(&head, &c.link);
    list_push_front(&head, &a.link);
    list_insert_before(&c.link, &d.link);
    assert_order(&head, (int[]){1, 2, 4, 3}, 4);
    assert_ptr_equal(list_first(&head), &a.link);
}

static void removed_node_points_to_itself(void **state) {
    (void)state;
    struct item a = {.value = 1}, b = {.value = 2};
    struct list head;
    list_init(&head);
    list_push_back(&head, &a.link);
    list_push_back(&head, &b.link);
    list_remove(&a.link);
    assert_true(list_empty(&a.link));
    list_remove(&a.link);
    assert_order(&head, (int[]){2}, 1);
    assert_ptr_equal(list_pop_front(&head), &b.link);
    assert_true(list_empty(&head));
}

static void body_of_for_each_may_remove_the_node(void **state) {
    (void)state;
    struct item items[4] = {{.value = 0}, {.value = 1}, {.value = 2}, {.value = 3}};
    struct list head, *node, *tmp;
    list_init(&head);
    for (int i = 0; i < 4; i++)
        list_push_back(&head, &items[i].link);
    list_for_each (&head, node, tmp)
        if (list_entry(node, struct item, link)->value % 2 == 0) list_remove(node);
    assert_order(&head, (int[]){1, 3}, 2);
}

static void splice_moves_all_nodes_and_empties_the_source(void **state) {
    (void)state;
    struct item items[4] = {{.value = 0}, {.value = 1}, {.value = 2}, {.value = 3}};
    struct list to, from;
    list_init(&to);
    list_init(&from);
    list_splice_back(&to, &from);
    assert_true(list_empty(&to));
    list_push_back(&to, &items[0].link);
    for (int i = 1; i < 4; i++)
        list_push_back(&from, &items[i].link);
    list_splice_back(&to, &from);
    assert_order(&to, (int[]){0, 1, 2, 3}, 4);
    assert_true(list_empty(&from));
    list_splice_back(&from, &to);
    assert_order(&from, (int[]){0, 1, 2, 3}, 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pushes_at_both_ends_keep_their_order),
        cmocka_unit_test(removed_node_points_to_itself),
        cmocka_unit_test(body_of_for_each_may_remove_the_node),
        cmocka_unit_test(splice_moves_all_nodes_and_empties_the_source),
    };
    return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
