/* SPDX-License-Identifier: MIT */
/* What layers of the library begin while a runtime ends. */
#include "core/completion.h"
#include "core/watch.h"
#include "libos/registry.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int begun, ended;

static void note_end(struct dmtr_runtime *rt, struct op *op) {
    ended = op->error;
    op_free(rt, op);
}

static void begin_timer(struct dmtr_runtime *rt, struct op *op) {
    op_free(rt, op);
    begun = timer_begin_internal(rt, 1000000, note_end, NULL);
}

/* A layer would wait before it tries again. If it were not told that the runtime ends, its memory would be lost. */
static void timers_of_layers_are_refused_while_the_runtime_ends(void **state) {
    (void)state;
    struct dmtr_runtime *rt;
    struct config config;
    struct op *op;
    config_init(&config, libos_option_groups);
    assert_int_equal(runtime_new(&rt, &config), 0);
    assert_int_equal(op_new_internal(rt, NULL, DMTR_OPC_PUSH, begin_timer, NULL, &op), 0);
    op_complete(rt, op, 0); /* begin_timer runs when the runtime ends */
    runtime_delete(rt);
    assert_true(begun == -ECANCELED || ended == ECANCELED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_of_layers_are_refused_while_the_runtime_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
