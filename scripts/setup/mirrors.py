# SPDX-License-Identifier: MIT
"""
mirrors.py [FOLDER]: prints the mirrors in apt's configuration in FOLDER (/etc/apt), one per line, the most likely Debian
mirror first: those of entries for binary packages of a release itself, in component main. Mirrors of other archives may
be among them; debootstrap checks the signature.
"""
import os
import re
import sys
from urllib.parse import urlsplit

SUITES = {"oldstable", "stable", "testing", "unstable", "sid", "bookworm", "trixie", "forky", "duke"}


def one_line_entries(text):
    for line in text.splitlines():
        entry = re.match(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+([^#]*)", line.strip())
        if entry:
            yield [entry[1]], [entry[2]], entry[3].split()


def deb822_entries(text):
    """Parses deb822 text: a line that begins with a space continues a field; a comment is a whole line."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n[ \t]*\n", lines):
        fields = {}
        for name, value in re.findall(r"^([\w-]+):(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE):
            fields[name.lower()] = value.split()
        if "deb" in fields.get("types", []) and fields.get("enabled", ["yes"])[0].lower() not in ("no", "false", "0"):
            yield fields.get("uris", []), fields.get("suites", []), fields.get("components", [])


def entries(folder):
    parts = os.path.join(folder, "sources.list.d")
    files = [os.path.join(folder, "sources.list")]
    files += [os.path.join(parts, name) for name in sorted(os.listdir(parts))] if os.path.isdir(parts) else []
    for path in files:
        read = deb822_entries if path.endswith(".sources") else one_line_entries if path.endswith(".list") else None
        if read and os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                yield from read(file.read())


def mirrors(folder):
    found = []
    for uris, suites, components in entries(folder):
        if SUITES & set(suites) and "main" in components:
            found += [uri for uri in uris if urlsplit(uri).scheme in ("http", "https", "file") and uri not in found]
    return sorted(found, key=lambda uri: "debian" not in urlsplit(uri).path.split("/"))


print("\n".join(mirrors(sys.argv[1] if len(sys.argv) > 1 else "/etc/apt")))
