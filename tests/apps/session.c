/* SPDX-License-Identifier: MIT */
/* Sessions of the echo server, over queues in memory: results that arrive after the end of their session. */
#include "../../apps/echo/server.h"
#include "push_test.h"

static struct server server;

static int setup(void **state) {
    (void)state;
    server = (struct server){.push_limit = BLOCK_BYTES, .file_qd = -1};
    server.writes_end = &server.writes;
    return dmtr_init(0, NULL);
}

static int teardown(void **state) {
    (void)state;
    session_end_all(&server);
    assert_null(server.sessions);
    assert_int_equal(server.open, 0);
    return dmtr_fini();
}

/* Makes a session with a pop result that was returned but not handled, as in the middle of a batch. */
static struct session *session_with_message(int *qd, dmtr_qresult_t *popped) {
    int got;
    *qd = new_queue();
    assert_ok(session_new(&server, *qd));
    assert_ok(dmtr_push_buf_quiet(*qd, new_pattern_block(0, 1000), 1000));
    assert_ok(dmtr_wait_next_n(popped, 1, &got, 0));
    assert_int_equal(popped->qr_opcode, DMTR_OPC_POP);
    assert_int_equal(blocks_bytes(), BLOCK_BYTES);
    return server.sessions;
}

static void the_message_of_an_ended_session_is_freed(void **state) {
    (void)state;
    int qd;
    dmtr_qresult_t popped;
    session_end(&server, session_with_message(&qd, &popped));
    assert_int_equal(server.open, 0);
    session_popped(&server, &popped);
    assert_int_equal(blocks_bytes(), 0);
    assert_null(server.sessions); /* freed with its last result */
}

static void the_message_is_freed_if_another_session_has_the_descriptor(void **state) {
    (void)state;
    int qd;
    dmtr_qresult_t popped;
    session_end(&server, session_with_message(&qd, &popped));
    int again = new_queue();
    assert_int_equal(again, qd);
    assert_ok(session_new(&server, again));
    const struct session *fresh = server.sessions;
    session_popped(&server, &popped);
    assert_int_equal(blocks_bytes(), 0);
    assert_ptr_equal(server.sessions, fresh);
    assert_int_equal(fresh->pops, 1);
    assert_int_equal(server.open, 1);
    assert_int_equal(server.stats.messages, 0);
}

static void a_session_lives_until_its_last_result(void **state) {
    (void)state;
    int qd, got;
    dmtr_qresult_t popped, qr;
    session_with_message(&qd, &popped);
    session_popped(&server, &popped); /* echoed: a push and the next pop are complete */
    assert_int_equal(server.stats.messages, 1);
    session_end(&server, server.sessions);
    for (int results = 2; results > 0; results--) {
        assert_non_null(server.sessions);
        assert_ok(dmtr_wait_next_n(&qr, 1, &got, 0));
        if (qr.qr_opcode == DMTR_OPC_POP)
            session_popped(&server, &qr);
        else
            session_pushed(&server, &qr);
    }
    assert_null(server.sessions);
    assert_int_equal(blocks_bytes(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_message_of_an_ended_session_is_freed, setup, teardown),
        cmocka_unit_test_setup_teardown(the_message_is_freed_if_another_session_has_the_descriptor, setup, teardown),
        cmocka_unit_test_setup_teardown(a_session_lives_until_its_last_result, setup, teardown),
    };
    return cmocka_run_group_tests_name("echo session", tests, NULL, NULL);
}
