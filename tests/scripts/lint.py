# SPDX-License-Identifier: MIT
"""The checks of the source: each finds a mistake that is put into a small tree, and nothing in the tree without it."""
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

import apps

ROOT = sys.argv[1]
ABI = os.path.join(ROOT, "scripts/run/abi")
HEADER = """#define SHOWN __attribute__((visibility("default")))
struct point { int x; %s };
SHOWN int first(const struct point *p);
SHOWN int second(void);
"""
SOURCE = """#include "api.h"
int first(const struct point *p) { return p->x; }
"""
SECOND = "int second(void) { return 2; }\n"


def needs(*programs):
    for program in programs:
        if not shutil.which(program):
            raise apps.Skip(f"no {program} here: scripts/setup/debian.sh lint installs it")


def write(folder, name, text, mode=0o644):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def run(*command, **env):
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=apps.TIMEOUT_S,
                          env={**os.environ, **env}, check=False)
    return done.stdout, done.returncode


def library(folder, members="int y;", source=SOURCE + SECOND):
    """A small library and the folder of its header."""
    write(folder, "include/api.h", HEADER % members)
    path = os.path.join(folder, "libsmall.so")
    built, code = run("gcc", "-g", "-shared", "-fPIC", "-fvisibility=hidden", "-I", os.path.join(folder, "include"),
                      write(folder, "small.c", source), "-o", path)
    assert code == 0, built
    return path, os.path.join(folder, "include")


@contextlib.contextmanager
def described(name="small.abi"):
    """A folder in which the small library is, and its description."""
    needs("abidw", "abidiff")
    with tempfile.TemporaryDirectory() as folder:
        description = os.path.join(folder, name)
        out, code = run(ABI, "--update", description, *library(folder))
        assert code == 0, out
        yield folder, description


def test_a_library_has_the_binary_interface_that_was_described():
    with described() as (folder, description):
        out, code = run(ABI, "--compare", description, *library(folder))
        assert code == 0 and out == "", out


def test_a_symbol_that_is_removed_is_found():
    with described() as (folder, description):
        out, code = run(ABI, "--compare", description, *library(folder, source=SOURCE))
        assert code == 1 and "second" in out and "abi --update" in out, out


def test_a_symbol_that_is_added_is_found():
    with described() as (folder, description):
        out, code = run(ABI, "--compare", description,
                        *library(folder, source=SOURCE + SECOND + "SHOWN int third(void) { return 3; }\n"))
        assert code == 1 and "third" in out, out


def test_a_public_structure_that_changes_is_found():
    for members in ("long y;", "int y, z;", "int other;", ""):
        with described() as (folder, description):
            out, code = run(ABI, "--compare", description, *library(folder, members))
            assert code == 1 and "struct point" in out, (members, out)


def test_the_layouts_of_the_interface_demi_are_not_described_anew():
    with described("libdemikernel.abi") as (folder, description):
        with open(description, encoding="utf-8") as file:
            before = file.read()
        out, code = run(ABI, "--update", description, *library(folder, "long y;"))
        with open(description, encoding="utf-8") as file:
            assert code == 1 and "not written" in out and file.read() == before, out
        more = library(folder, source=SOURCE + SECOND + "SHOWN int third(void) { return 3; }\n")
        out, code = run(ABI, "--update", description, *more)
        with open(description, encoding="utf-8") as file:
            assert code == 0 and "third" in file.read(), out


def test_structures_that_no_function_takes_are_described():
    with open(os.path.join(ROOT, "abi/types.abi"), encoding="utf-8") as file:
        types = file.read()
    for header in ("libos", "types"):
        with open(os.path.join(ROOT, f"include/dmtr/{header}.h"), encoding="utf-8") as file:
            for name in re.findall(r"^(?:typedef )?(?:struct|enum) (dmtr_\w+) {", file.read(), re.M):
                assert f"name='{name}'" in types, name


GOOD = {
    "src/base/good.c": "/* SPDX-License-Identifier: MIT */\n/* Nothing. */\nint value(const int *p);\n\n"
                       "int value(const int *p) {\n    return p ? *p : 0;\n}\n",
    "include/demi/good.h": "/* SPDX-License-Identifier: MIT */\n/* Nothing. */\n#ifndef DEMI_GOOD_H\n#define DEMI_GOOD_H\n\n"
                           "int value(const int *p);\n\n#endif\n",
    "scripts/good.sh": "#!/bin/sh\n# SPDX-License-Identifier: MIT\necho \"$1\"\n",
}
BAD = {
    "format": ("src/base/good.c", "return p ? *p : 0;", "return p?*p : 0;"),
    "tidy": ("src/base/good.c", "p ? *p : 0", "p ? 0 : *p"),
    "shell": ("scripts/good.sh", '"$1"', "$1"),
    "style": ("src/base/good.c", "/* Nothing. */\n", "/* Nothing. */ \n"),
    "headers": ("include/demi/good.h", "const int *p", "const struct timespec *p"),
}
PROGRAMS = {"format": ["clang-format-19"], "tidy": ["clang-tidy-19"], "shell": ["shellcheck"], "style": [],
            "headers": ["gcc", "g++", "clang", "clang++"]}


@contextlib.contextmanager
def tree():
    """A small tree in which lint finds nothing, with the project's own scripts and settings."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(os.path.join(ROOT, "scripts"), os.path.join(folder, "scripts"))
        shutil.copytree(os.path.join(ROOT, "include"), os.path.join(folder, "include"))
        shutil.copytree(os.path.join(ROOT, "tests/tidy"), os.path.join(folder, "tests/tidy"))
        for name in (".clang-format", ".clang-tidy"):
            shutil.copy(os.path.join(ROOT, name), folder)
        for name in ("apps", "bench", "examples", "man", "src/base"):
            os.makedirs(os.path.join(folder, name))
        for name, text in GOOD.items():
            write(folder, name, text)
        write(folder, "build-lint/build.ninja", "build build.ninja: phony\n")
        write(folder, "build-lint/compile_commands.json",
              f'[{{"directory": "{folder}/build-lint", "command": "cc -c ../src/base/good.c", '
              '"file": "../src/base/good.c"}]')
        yield folder


def lint(folder, check):
    # Elsewhere than on Debian nothing is installed.
    return run(os.path.join(folder, "scripts/run/lint"), check, OS_RELEASE=write(folder, "os-release", "ID=alpine"))


def test_each_check_finds_a_mistake():
    with tree() as folder:
        for check, (name, right, wrong) in BAD.items():
            needs(*PROGRAMS[check])
            out, code = lint(folder, check)
            assert code == 0 and f"lint: {check}: passed" in out, (check, out)
            assert right in GOOD[name]
            write(folder, name, GOOD[name].replace(right, wrong))
            out, code = lint(folder, check)
            assert code == 1 and f"lint: {check}: FAILED" in out and os.path.basename(name) in out, (check, out)
            with open(os.path.join(folder, "build-lint/lint.junit.xml"), encoding="utf-8") as file:
                assert f'<testcase name="{check}"><failure message=' in file.read()
            write(folder, name, GOOD[name])


def test_a_check_whose_program_is_missing_is_skipped_with_the_reason():
    with tree() as folder:
        for name in ("sh", "dirname", "nproc", "date", "mkdir", "head", "cat", "sed", "tr", "awk", "id"):
            os.makedirs(os.path.join(folder, "bin"), exist_ok=True)
            os.symlink(shutil.which(name), os.path.join(folder, "bin", name))
        out, code = run(os.path.join(folder, "scripts/run/lint"), "shell", PATH=os.path.join(folder, "bin"),
                        OS_RELEASE=write(folder, "os-release", "ID=alpine"))
        assert code == 0 and "no shellcheck here" in out and "lint: shell: skipped" in out, out


def test_a_check_that_there_is_not_is_refused():
    out, code = run(os.path.join(ROOT, "scripts/run/lint"), "nonesuch")
    assert code == 2 and "clang-tidy reports nothing" in out, out


apps.main(apps.collect(globals()))
