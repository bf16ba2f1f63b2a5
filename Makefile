# SPDX-License-Identifier: MIT
# A small front for meson and ninja; everything is built into build/.

BUILD = build
SOURCES = $(shell find include src apps bench tests -name '*.[ch]' -o -name '*.cc')
# The dynamic linker learns of libraries that come and go; a package (DESTDIR) or a user's own prefix does without.
LDCONFIG = [ -n "$(DESTDIR)" ] || [ "$$(id -u)" != 0 ] || ldconfig

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	meson setup $(BUILD)

test:
	scripts/run/tests

mutants:
	scripts/run/mutants

bench:
	scripts/run/bench

install: all
	meson install -C $(BUILD)
	$(LDCONFIG)

uninstall:
	ninja -C $(BUILD) uninstall
	$(LDCONFIG)

format:
	clang-format-19 -i $(SOURCES)

lint:
	scripts/run/lint

asan:
	[ -d build-asan ] || meson setup build-asan -Db_sanitize=address,undefined -Dbuildtype=debugoptimized -Dchecks=true -Dfault=true
	meson test -C build-asan

coverage:
	scripts/run/coverage

fuzz:
	scripts/run/fuzz

clean:
	rm -rf $(BUILD) build-*

.PHONY: all test mutants bench install uninstall format lint asan coverage fuzz clean
