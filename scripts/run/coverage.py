# SPDX-License-Identifier: MIT
"""
coverage.py SUMMARY REPORT: adds up gcovr's summary by room and prints it; exit code 1 if the coverage of a room is below
its limit. Writes REPORT, with a test for each room that has a limit.
"""
import json
import sys
from xml.sax.saxutils import quoteattr

LEAST = 90.0  # percent of lines
MUST = ["base", "mem", "core", "inet", "netdev", "libos", "libos/inet", "libos/lwip", "libos/memory", "libos/posix",
        "libos/socket", "api", "demi"]
OPTIONAL = ["libos/lwip"]  # not built if its source could not be fetched


def room_of(path):
    """
    src/core/op.c is in core, src/libos/posix/file.c and its subfolders in libos/posix, src/libos/registry.c in libos.
    AF_XDP needs privileges and kernel support, so it is counted separately.
    """
    folders = path.split("/")[1:-1]
    return "/".join(folders[:2] if folders[0] == "libos" or folders[:2] == ["netdev", "xdp"] else folders[:1])


def add_up(files):
    rooms = {}
    for file in files:
        for room in (room_of(file["filename"]), "total"):
            covered, lines = rooms.get(room, (0, 0))
            rooms[room] = covered + file["line_covered"], lines + file["line_total"]
    return rooms


def judge(rooms, room):
    """Why the coverage of a room is not enough; None: it is enough."""
    if room not in rooms:
        return None if room in OPTIONAL else "it has no lines"
    covered, lines = rooms[room]
    percent = 100 * covered / lines
    return f"{percent:.1f}% of its lines are reached, {LEAST:.0f}% must be" if percent < LEAST else None


def main(summary, report):
    with open(summary, encoding="utf-8") as file:
        rooms = add_up(json.load(file)["files"])
    wrong = {room: judge(rooms, room) for room in MUST}
    for room, (covered, lines) in sorted(rooms.items(), key=lambda entry: (entry[0] == "total", entry[0])):
        print(f"{room:16} {covered:6} of {lines:6} lines  {100 * covered / max(lines, 1):5.1f}%"
              f"{'  too little' if wrong.get(room) else ''}")
    with open(report, "w", encoding="utf-8") as file:
        file.write('<testsuites><testsuite name="coverage">\n')
        for room, text in wrong.items():
            print(*([f"coverage: {room}: {text}"] if text else []), end="\n" if text else "")
            failure = f"<failure message={quoteattr(text)}/>" if text else ""
            file.write(f'<testcase name="{room}">{failure}</testcase>\n')
        file.write("</testsuite></testsuites>\n")
    return 1 if any(wrong.values()) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
