# SPDX-License-Identifier: MIT
"""Adds up gcovr's summary by room and prints it; exit code 1 when a room is covered less than it must be."""
import json
import sys

LEAST = 90.0  # percent of lines
MUST = ["base", "core", "mem", "libos/memory", "libos/posix"]


def room_of(path):
    """src/core/op.c is of core, src/libos/posix/file.c of libos/posix, src/libos/registry.c of libos."""
    return "/".join(path.split("/")[1:-1])


def main(path):
    with open(path, encoding="utf-8") as f:
        files = json.load(f)["files"]
    rooms = {}
    for file in files:
        for room in (room_of(file["filename"]), "total"):
            covered, lines = rooms.get(room, (0, 0))
            rooms[room] = covered + file["line_covered"], lines + file["line_total"]
    failed = [room for room in MUST if room not in rooms]
    for room, (covered, lines) in sorted(rooms.items(), key=lambda entry: (entry[0] == "total", entry[0])):
        percent = 100 * covered / lines if lines else 100
        too_little = room in MUST and percent < LEAST
        print(f"{room:16} {covered:6} of {lines:6} lines  {percent:5.1f}%{'  too little' if too_little else ''}")
        if too_little:
            failed.append(room)
    return 1 if failed else 0


sys.exit(main(sys.argv[1]))
