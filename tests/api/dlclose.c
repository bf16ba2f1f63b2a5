/* SPDX-License-Identifier: MIT */
/* Loads the library, uses it, closes it and returns from main. Argument: the path of the library. */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>

typedef int (*init_fn)(int, char **);
typedef int (*queue_fn)(int *);

int main(int argc, char *argv[]) {
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (!library) return printf("Bail out! %s\n", dlerror()), 1;
    init_fn init = (init_fn)dlsym(library, "dmtr_init");
    queue_fn queue = (queue_fn)dlsym(library, "dmtr_queue");
    int qd;
    printf("1..1\n");
    bool ok = init && queue && !init(0, NULL) && !queue(&qd) && !dlclose(library);
    printf("%s 1 - the library is closed before the process exits\n", ok ? "ok" : "not ok");
    return !ok;
}
