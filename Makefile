# SPDX-License-Identifier: MIT
# A small front for meson and ninja; everything is built into build/. `make help` lists the targets.

BUILD = build
SOURCES = $(shell find include src apps bench examples man tests -name '*.[ch]' -o -name '*.cc')
# The dynamic linker learns of libraries that come and go; a package (DESTDIR) or a user's own prefix does without.
LDCONFIG = [ -n "$(DESTDIR)" ] || [ "$$(id -u)" != 0 ] || ldconfig

all: $(BUILD)/build.ninja ## build the library and the programs (the default)
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	meson setup $(BUILD)

release: ## build for production into build-release/: optimised at link time and by a profile
	scripts/run/release

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

test: ## run all checks and tests in every kind of build
	scripts/run/tests

lint: ## check the source without running it
	scripts/run/lint

format: ## format the source with clang-format 19
	clang-format-19 -i $(SOURCES)

asan: ## run the tests with address and undefined-behaviour sanitizers
	[ -d build-asan ] || meson setup build-asan -Db_sanitize=address,undefined -Dbuildtype=debugoptimized -Dchecks=true -Dfault=true
	meson test -C build-asan

coverage: ## count the lines that the tests reach
	scripts/run/coverage

fuzz: ## run the fuzz targets for a minute
	scripts/run/fuzz

mutants: ## check that the tests notice small faults in the source
	scripts/run/mutants

bench: ## compare the library with programs on bare system calls
	scripts/run/bench

bench-guard: ## compare counts of instructions with bench/instructions.txt
	scripts/run/bench-guard

install: all ## install into the prefix; DESTDIR is honoured
	meson install -C $(BUILD)
	$(LDCONFIG)

uninstall: ## remove what the last installation has put there
	ninja -C $(BUILD) uninstall
	$(LDCONFIG)

clean: ## remove build/ and every build-*/
	rm -rf $(BUILD) build-*

.PHONY: all release help test lint format asan coverage fuzz mutants bench bench-guard install uninstall clean
