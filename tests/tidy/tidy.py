# SPDX-License-Identifier: MIT
"""Style as a test: walls between rooms, self-contained headers, size, shape and wording of files. Speaks TAP."""
import os
import re
import subprocess
import sys
import tempfile

# What each room may include besides itself: rooms on the floors below, the public headers where it implements them.
WALLS = {
    "base": [],
    "mem": ["base"],
    "core": ["base", "mem", "dmtr"],
    "inet": ["base", "mem"],
    "store": ["base", "mem"],
    "netdev": ["base", "mem"],
    "blockdev": ["base", "mem"],
    "libos": ["base", "mem", "core", "inet", "store", "netdev", "blockdev", "dmtr"],
    "api": ["base", "mem", "core", "libos", "dmtr"],
    "demi": ["dmtr"],
    "shim": ["dmtr"],
    "preload": ["dmtr"],
}
# The headers of optional parts, and the packages that these need.
PACKAGES = {"src/netdev/dpdk/dpdk.h": "libdpdk"}

MAX_LINES = 800
MAX_COLUMNS = 120
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^">]+)[">]', re.M)
# The folder of libos that the libOSes have in common. It includes none of them.
COMMON = "socket"
ROOMS = set(WALLS) | {"dmtr"}


def sources(root, folders, endings):
    for folder in folders:
        for path, _, names in os.walk(os.path.join(root, folder)):
            for name in sorted(names):
                if name.endswith(endings):
                    yield os.path.relpath(os.path.join(path, name), root)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        return f.read()


def walls(root):
    for path in sources(root, ["src"], (".c", ".h")):
        parts = path.split(os.sep)
        room, kind = parts[1], parts[2] if len(parts) > 3 else None
        for included in INCLUDE.findall(read(root, path)):
            to = included.split("/")
            if to[0] not in ROOMS or to[0] == room == "libos" and len(to) < 3:
                continue
            if to[0] == room:
                crosses = room == "libos" and kind is not None and to[1] not in (kind, COMMON)
            else:
                crosses = to[0] not in WALLS.get(room, [])
            if crosses:
                yield f"{path}: includes {included}"


def component(path):
    """A source and its header are one."""
    return os.path.splitext(path)[0]


def circles(root):
    """Files of a room that include each other, directly or by way of others."""
    graph = {}
    for path in sources(root, ["src"], (".c", ".h")):
        here = component(os.path.relpath(path, "src"))
        room = here.split(os.sep)[0]
        there = {component(name) for name in INCLUDE.findall(read(root, path)) if name.startswith(room + "/")}
        graph.setdefault(here, set()).update(there - {here})
    while graph:  # whoever includes nobody that is left is in no circle
        free = {name for name, there in graph.items() if not there & graph.keys()}
        if not free:
            break
        for name in free:
            del graph[name]
    for name, there in sorted(graph.items()):
        yield f"src/{name}: in a circle, or before one, with {', '.join(sorted(there & graph.keys()))}"


def package_flags(path):
    """What the compiler needs for a header of an optional part; None: its package is not here."""
    package = PACKAGES.get(path)
    if not package:
        return []
    run = subprocess.run(["pkg-config", "--cflags", package], capture_output=True, text=True)
    return run.stdout.split() if run.returncode == 0 else None


def headers_stand_alone(root):
    headers = list(sources(root, ["include", "src"], (".h",)))
    for path in headers:
        flags = package_flags(path)
        if flags is None:
            continue
        run = subprocess.run(
            ["cc", "-std=gnu17", "-D_GNU_SOURCE", "-fsyntax-only", "-I", "include", "-I", "src", *flags, "-x", "c",
             path], cwd=root, capture_output=True, text=True)
        if run.returncode:
            yield f"{path}: does not compile alone: {run.stderr.splitlines()[0]}"


def guards_once(root):
    seen = {}
    for path in sources(root, ["include", "src"], (".h",)):
        guard = re.search(r"^#ifndef (\w+)\n#define \1$", read(root, path), re.M)
        if not guard:
            yield f"{path}: no include guard"
        elif guard.group(1) in seen:
            yield f"{path}: include guard of {seen[guard.group(1)]}"
        else:
            seen[guard.group(1)] = path


def shape(root):
    for path in sources(root, ["src", "include", "apps", "bench", "tests"], (".c", ".h")):
        text = read(root, path)
        lines = text.split("\n")
        if not text.startswith("/*"):
            yield f"{path}: does not open with what it is for"
        if len(lines) > MAX_LINES:
            yield f"{path}: {len(lines)} lines"
        if not text.endswith("\n") or text.endswith("\n\n"):
            yield f"{path}: must end with one newline"
        for number, line in enumerate(lines, 1):
            if "\t" in line or line != line.rstrip():
                yield f"{path}:{number}: tab or trailing space"
            if len(line) > MAX_COLUMNS:
                yield f"{path}:{number}: {len(line)} columns"
            if UNFINISHED.search(line):
                yield f"{path}:{number}: unfinished"


def allocations_in_one_place(root):
    """malloc and its kin are called by base/sys.c alone, so that tests can make any of them fail."""
    call = re.compile(r"(?<![\w.>])(malloc|calloc|realloc|strdup|free)\s*\(")
    for path in sources(root, ["src"], (".c", ".h")):
        if path in ("src/base/sys.c",) or path.startswith(("src/preload", "src/demi")):
            continue
        code = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), read(root, path), flags=re.S)
        for number, line in enumerate(code.split("\n"), 1):
            if call.search(line) and not line.lstrip().startswith("*"):
                yield f"{path}:{number}: {line.strip()}"


# What libraries keep to themselves, and change: fields of liburing's structures, and headers that are not for users.
PRIVATE = re.compile(r"\bring(\.|->)(sq|cq|ring_fd|features|enter_ring_fd|int_flags)\b|"
                     r"io_uring_buf_reg\b.*\.pad\b|[\"<]lwip/priv/|[\"<](ethdev_driver|bus_\w+_driver)\.h|\brte_eth_devices\b")


def no_private_parts_of_libraries(root):
    for path in sources(root, ["src", "apps", "bench", "tests"], (".c", ".h")):
        for number, line in enumerate(read(root, path).split("\n"), 1):
            if PRIVATE.search(line):
                yield f"{path}:{number}: {line.strip()}"


LICENCE = "SPDX-License-Identifier: MIT"
TOPS = ["src", "include", "apps", "bench", "man", "tests", "scripts", "ports", "examples"]


def licensed(root):
    """The SPDX line is the first, or follows the line that names the interpreter."""
    files = list(sources(root, TOPS, (".c", ".h", ".cc", ".map", ".py", ".sh", ".ini", "meson.build")))
    files += [path for path in sources(root, ["scripts"], "") if "." not in os.path.basename(path)]
    top = ("Makefile", "meson.build", "meson_options.txt")
    files += [name for name in top if os.path.exists(os.path.join(root, name))]
    for path in sorted(set(files)):
        lines = read(root, path).split("\n")
        if LICENCE not in lines[1 if lines[0].startswith("#!") else 0]:
            yield f"{path}: no {LICENCE}"


# The public headers whose symbols a version script names.
MAPS = {"src/api/libdmtr.map": "include/dmtr", "src/demi/demikernel.map": "include/demi"}


def maps_name_each_symbol(root):
    """By name and not by pattern, so that a symbol is exported, and given a version, on purpose."""
    for path in (path for path in MAPS if os.path.exists(os.path.join(root, path))):
        named = set(re.findall(r"^ +([\w*]+);$", read(root, path).split("local:")[0], re.M))
        declared = set()
        for header in sources(root, [MAPS[path]], (".h",)):
            code = re.sub(r"/\*.*?\*/|^#[^\n]*", "", read(root, header), flags=re.M | re.S)
            declared |= set(re.findall(r"EXPORT [^;(]*?\b(\w+)\(", code))
        yield from (f"{path}: no {name}, which a header declares" for name in sorted(declared - named))
        yield from (f"{path}: {name} is in no header" for name in sorted(named - declared))


CHECKS = [walls, circles, headers_stand_alone, guards_once, shape, allocations_in_one_place, no_private_parts_of_libraries, licensed,
          maps_name_each_symbol]

# For each check a file that must be found wrong, so that a check which finds nothing is known to look.
VIOLATIONS = {
    maps_name_each_symbol: ("src/api/libdmtr.map", "DMTR_0.1 {\n    global:\n        dmtr_*;\n    local:\n        *;\n};\n"),
    licensed: ("src/base/bad.c", "int x;\n"),
    circles: ("src/base/bad.h", '#include "base/bad_too.h"\n', "src/base/bad_too.h", '#include "base/bad.h"\n'),
    walls: ("src/base/bad.h", '#include "core/op.h"\n'),
    headers_stand_alone: ("src/base/bad.h", "struct no_such_type x;\n"),
    guards_once: ("src/base/bad.h", "int x;\n"),
    shape: ("src/base/bad.c", "int x; \n"),
    allocations_in_one_place: ("src/base/bad.c", "void f(void) { malloc(1); }\n"),
    no_private_parts_of_libraries: ("src/base/bad.c", "unsigned f(struct io_uring *ring) { return ring->sq.sqe_tail; }\n"),
}


def finds_violation(check):
    files = VIOLATIONS[check]
    with tempfile.TemporaryDirectory() as root:
        for path, text in zip(files[::2], files[1::2]):
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                f.write(text)
        return any(True for _ in check(root))


def main(root):
    print(f"1..{2 * len(CHECKS)}")
    for i, check in enumerate(CHECKS):
        name = check.__name__.replace("_", " ")
        found = list(check(root))
        print("\n".join(f"# {line}" for line in found[:20]), end="\n" if found else "")
        print(f"{'not ok' if found else 'ok'} {2 * i + 1} - {name}")
        print(f"{'ok' if finds_violation(check) else 'not ok'} {2 * i + 2} - {name}: a violation is found")


main(sys.argv[1])
