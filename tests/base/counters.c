/* SPDX-License-Identifier: MIT */
/* base/counters.h: the page as seen by a process that knows only the page's header. */
#include "base/counters.h"
#include "base/fault.h"

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUNTIME 4242

static const struct counters_page *map_page(const char *path, size_t *bytes) {
    struct stat st;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    *bytes = (size_t)st.st_size;
    void *p = mmap(NULL, *bytes, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(p != MAP_FAILED);
    close(fd);
    return p;
}

static size_t find(const struct counters_page *page, const char *name) {
    size_t i = 0;
    while (i < page->count && strcmp((const char *)page + page->names_offset + i * page->name_len, name) != 0)
        i++;
    assert_true(i < page->count);
    return i;
}

static uint64_t read_value(const struct counters_page *page, const char *name) {
    return ((const uint64_t *)(const void *)((const char *)page + page->values_offset))[find(page, name)];
}

static void reader_finds_every_counter_by_name(void **state) {
    (void)state;
    struct counters c;
    int cause;
    size_t bytes;
    umask(077);
    assert_int_equal(counters_init(&c, RUNTIME, 1, &cause), 0);
    assert_int_equal(cause, 0);
    counter_inc(&c, polls);
    counter_add(&c, copied_bytes, 1000);
    const struct counters_page *page = map_page(c.path, &bytes);
    assert_int_equal(page->magic, COUNTERS_MAGIC);
    assert_int_equal(page->pid, getpid());
    assert_int_equal(page->runtime, RUNTIME);
    assert_int_equal(page->count, COUNTER_COUNT);
    assert_int_equal(read_value(page, "polls"), 1);
    assert_int_equal(read_value(page, "copied_bytes"), 1000);
    assert_int_equal(read_value(page, "ops_completed"), 0);
    assert_string_equal((const char *)page + page->texts_offset + find(page, "timers_fired") * page->text_len,
                        "Timers that expired");
    char path[sizeof c.path];
    memcpy(path, c.path, sizeof path);
    counters_fini(&c);
    assert_int_equal(access(path, F_OK), -1);
    munmap((void *)(uintptr_t)page, bytes);
}

static void counters_added_later_are_visible_to_readers(void **state) {
    (void)state;
    static const struct counter_name names[] = {{"first", "One"}, {"second", "Another"}};
    static struct counter_name many[COUNTERS_MAX];
    struct counters c;
    int cause;
    size_t bytes;
    assert_int_equal(counters_init(&c, RUNTIME, 1, &cause), 0);
    const struct counters_page *page = map_page(c.path, &bytes);
    uint64_t *values = counters_extend(&c, "part_", names, 2);
    assert_int_equal(page->count, COUNTER_COUNT + 2);
    values[1] = 7;
    assert_int_equal(read_value(page, "part_first"), 0);
    assert_int_equal(read_value(page, "part_second"), 7);
    assert_string_equal((const char *)page + page->texts_offset + find(page, "part_second") * page->text_len,
                        "Another");
    for (uint32_t i = 0; i < COUNTERS_MAX; i++)
        many[i] = (struct counter_name){"a_name_that_is_much_longer_than_its_field_holds", "A text"};
    assert_null(counters_extend(&c, "", many, COUNTERS_MAX - COUNTER_COUNT - 1));
    values = counters_extend(&c, "", many, COUNTERS_MAX - COUNTER_COUNT - 2);
    values[COUNTERS_MAX - COUNTER_COUNT - 3] = 9;
    assert_int_equal(page->count, COUNTERS_MAX);
    assert_int_equal(read_value(page, "ops_completed"), 0);
    assert_int_equal(read_value(page, "part_second"), 7);
    find(page, "a_name_that_is_much_longer_than_its_fie");
    counters_fini(&c);
    munmap((void *)(uintptr_t)page, bytes);
}

static void private_page_counts_and_has_no_path(void **state) {
    (void)state;
    struct counters c;
    int cause;
    assert_int_equal(counters_init(&c, RUNTIME, 0, &cause), 0);
    assert_string_equal(c.path, "");
    counter_inc(&c, polls);
    assert_int_equal(c.values[COUNTER_polls], 1);
    counters_fini(&c);
}

/* Creates a page as a killed process leaves it (`described`), or as a process that has not locked it yet. */
static void make_page(const char *path, bool described) {
    uint64_t magic = COUNTERS_MAGIC;
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    if (described) assert_int_equal(write(fd, &magic, sizeof magic), sizeof magic);
    close(fd);
}

static void page_of_a_dead_process_is_replaced(void **state) {
    (void)state;
    struct counters c;
    char path[64];
    int cause;
    snprintf(path, sizeof path, "/dev/shm/dmtr.%ld.%d", (long)getpid(), RUNTIME);
    make_page(path, true);
    assert_int_equal(counters_init(&c, RUNTIME, 1, &cause), 0);
    assert_string_equal(c.path, path);
    counters_fini(&c);
}

/* As two containers do that share /dev/shm. */
static void owners_with_the_same_name_have_separate_pages(void **state) {
    (void)state;
    struct counters c, second;
    int cause;
    char path[48], further[64];
    snprintf(path, sizeof path, "/dev/shm/dmtr.%ld.%d", (long)getpid(), RUNTIME);
    snprintf(further, sizeof further, "%s.1", path);
    assert_int_equal(counters_init(&c, RUNTIME, 1, &cause), 0);
    assert_int_equal(counters_init(&second, RUNTIME, 1, &cause), 0);
    assert_string_equal(c.path, path);
    assert_string_equal(second.path, further);
    counter_inc(&second, polls);
    assert_int_equal(c.values[COUNTER_polls], 0);
    counters_fini(&second);
    assert_int_equal(access(c.path, F_OK), 0);
    counters_fini(&c);
}

static void forked_child_does_not_remove_the_page(void **state) {
    (void)state;
    struct counters c;
    int cause, status;
    assert_int_equal(counters_init(&c, RUNTIME, 1, &cause), 0);
    pid_t child = fork();
    if (child == 0) {
        counters_fini(&c);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(access(c.path, F_OK), 0);
    counters_fini(&c);
}

static void stale_pages_are_removed_and_live_pages_are_kept(void **state) {
    (void)state;
    struct counters c;
    char stale[64], begun[64];
    int cause;
    snprintf(stale, sizeof stale, "/dev/shm/dmtr.%ld.%d.7", (long)getpid(), RUNTIME);
    snprintf(begun, sizeof begun, "/dev/shm/dmtr.%ld.%d.8", (long)getpid(), RUNTIME);
    assert_int_equal(counters_init(&c, RUNTIME, 1, &cause), 0);
    make_page(stale, true);
    make_page(begun, false);
    counters_remove_stale();
    assert_int_equal(access(stale, F_OK), -1);
    assert_int_equal(access(begun, F_OK), 0);
    assert_int_equal(access(c.path, F_OK), 0);
    assert_int_equal(unlink(begun), 0);
    counters_fini(&c);
}

#ifdef DMTR_FAULT
/*
 * Whichever call fails: the counters are private, or their page has another name, or init returns -ENOMEM. No file is
 * left behind.
 */
static void failing_calls_end_in_a_private_page(void **state) {
    (void)state;
    for (int stale = 0; stale < 2; stale++) {
        for (uint64_t n = 1;; n++) {
            struct counters c;
            char path[64];
            int cause;
            snprintf(path, sizeof path, "/dev/shm/dmtr.%ld.%d", (long)getpid(), RUNTIME);
            if (stale) make_page(path, true);
            fault_arm(n, NULL, EPERM);
            int r = counters_init(&c, RUNTIME, 1, &cause);
            uint64_t passed = fault_count();
            fault_arm(0, NULL, 0);
            bool further =
                stale && c.path[0] && strcmp(c.path, path) != 0; /* the stale page was not recognised as stale */
            assert_int_equal(r, passed < n || further ? 0 : 1);
            assert_int_equal(cause, r ? EPERM : 0);
            counter_inc(&c, polls);
            counters_fini(&c);
            if (!stale) assert_int_equal(access(path, F_OK), -1);
            unlink(path);
            if (passed < n) break;
        }
    }
    struct counters c;
    int cause;
    fault_arm(1, "mmap", ENOMEM);
    assert_int_equal(counters_init(&c, RUNTIME, 0, &cause), -ENOMEM);
    fault_arm(0, NULL, 0);
    counters_fini(&c);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_finds_every_counter_by_name),
        cmocka_unit_test(counters_added_later_are_visible_to_readers),
        cmocka_unit_test(private_page_counts_and_has_no_path),
        cmocka_unit_test(page_of_a_dead_process_is_replaced),
        cmocka_unit_test(owners_with_the_same_name_have_separate_pages),
        cmocka_unit_test(stale_pages_are_removed_and_live_pages_are_kept),
        cmocka_unit_test(forked_child_does_not_remove_the_page),
#ifdef DMTR_FAULT
        cmocka_unit_test(failing_calls_end_in_a_private_page),
#endif
    };
    return cmocka_run_group_tests_name("counters", tests, NULL, NULL);
}
