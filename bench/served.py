# SPDX-License-Identifier: MIT
"""Sections on the echo server of apps/echo, counted by callgrind in bench/guard: costs, and costs by part."""

import os
import re

from harness import Callgrind, set_goal, together

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = "bench/guard/guard"
WITHIN = ("measure", "outside*")  # see bench/guard/main.c; link-time optimisation adds to the name
ECHOES = 1600

# The part that a source file belongs to: the first expression that matches from the start. Files without one, such as
# the heap and the C library, are used by all parts: what they cost is their users'.
PARTS = [
    (r"apps/", "application"),
    (r"src/(api|core)/", "API"),
    (r"src/libos/|src/inet/(tcp|udp)/socket\.c", "socket"),
    (r"src/netdev/", "device"),
    (r"src/inet/ip/(arp|dest|ip4_fragment|ip4_output|link|neighbour|path|route)\.c", "stack out"),
    (r"src/inet/(tcp|udp)/(fast_headers|fast_output|flush|output|send|send_queue|timers)\.c", "stack out"),
    (r"src/inet/", "stack in"),
]
ORDER = ["device", "stack in", "socket", "API", "application", "stack out"]


def part_of(path):
    inside = os.path.relpath(os.path.normpath(path), ROOT)
    return next((part for pattern, part in PARTS if re.match(pattern, inside)), None)


def by_part(lines):
    """
    {part: instructions} of a profile. A line belongs to the part of its file, if that is not a header, else to that of
    its function. A function without a part belongs to its callers.
    """
    costs, files = dict.fromkeys(ORDER, 0), {}
    here = function = (None, False)  # the parts of the line and of its function, and whether the file is a header
    called = None                    # the part of the function that the line calls
    calls = False                    # the next line has the cost of a call
    for line in lines:
        found = re.match(r"c?f([nile])=\((\d+)\)(?: (.*))?", line)
        if line.startswith("fn="):
            here, called = function, function[0]
        elif found and found[1] != "n":
            if found[3]:
                path = found[3].strip()
                files[found[2]] = part_of(path), path.endswith(".h")
            if line.startswith("c"):
                called = files[found[2]][0]
            else:
                here = files[found[2]]
                called = here[0]
                function = here if line.startswith("fl=") else function
        elif line.startswith("calls="):
            calls = True
        elif function[0] and re.match(r"[-+*\d]", line):
            if not calls or called is None:
                part, header = here
                costs[function[0] if header or not part else part] += int(line.split()[1])
            calls, called = False, here[0]
    return costs


def parts_section(bench, protocol):
    """What an echo costs by part: the difference of two runs."""
    counter = Callgrind(bench.path(PROGRAM))
    few, many = together(lambda n: counter.profile(f"{protocol}-1", n, WITHIN, by_part), (ECHOES, 3 * ECHOES))
    rows = [{"name": part, "median": (many[part] - few[part]) / (2 * ECHOES)} for part in ORDER]
    return {"kind": "parts", "unit": "instructions", "rows": rows}


def served_section(bench):
    """The costs of an echo with all of the library, and of a poll."""
    counter = Callgrind(bench.path(PROGRAM))
    rows = [  # name, component, goal, and whether it is one of a release build
        ("echo, tcp, a lone request", "tcp-1", 1900, True),
        ("echo, tcp, 16 requests in a turn", "tcp-16", None, False),
        ("echo, udp, a lone request", "udp-1", 1500, True),
        ("echo, udp, 16 requests in a turn", "udp-16", None, False),
        ("poll that finds nothing, one network", "empty-1", 90, False),
        ("poll that finds nothing, two networks", "empty-2", None, False),
    ]

    def count(row):
        name, component, most, release = row
        out = {"name": name, "median": counter.per_iteration(component, ECHOES, WITHIN)[0]}
        return set_goal(out, "max", most, bench.release or not release) if most else out

    return {"kind": "counts", "unit": "instructions", "rows": together(count, rows)}


def served_sections(bench, counted):
    title = "Echo server over shared memory, 64 bytes, without polls that find nothing"
    why = None if counted else "valgrind is not installed"
    yield {"key": "served", "title": title, **(skipped(why) if why else served_section(bench))}
    if not bench.options.get("debug"):
        why = why or "the build has no debug information (meson -Ddebug=true)"
    for protocol in ("tcp", "udp"):
        yield {"key": f"parts_{protocol}", "title": f"A lone request over {protocol}, by part of the program",
               **(skipped(why) if why else parts_section(bench, protocol))}


def skipped(reason):
    return {"kind": "skipped", "reason": reason}
