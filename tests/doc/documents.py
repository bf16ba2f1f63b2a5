"""The documents against the tree: the README's program runs as shown, and what they refer to exists. Speaks TAP."""
import argparse
import os
import re
import subprocess
import tempfile

DOCUMENTS = ["README.md", "doc/COMPLIANCE.md", "doc/DESIGN.md", "doc/INET.md", "doc/PORTING.md", "doc/TUNING.md",
             "doc/devices/README.md", "doc/devices/DPDK.md", "doc/devices/PACKET.md", "doc/devices/SHM.md",
             "doc/devices/TAP.md", "doc/devices/XDP.md"]


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        return f.read()


def blocks(text):
    """Fenced blocks as pairs of language and content."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)


def first_program_prints_what_is_said(args):
    fenced = blocks(read(args.root, "README.md"))
    index = next(i for i, (language, _) in enumerate(fenced) if language == "c")
    with tempfile.TemporaryDirectory() as folder:
        source, program = os.path.join(folder, "hello.c"), os.path.join(folder, "hello")
        with open(source, "w", encoding="utf-8") as f:
            f.write(fenced[index][1])
        library = os.path.abspath(args.library)
        build = subprocess.run(
            args.compiler + ["-Wall", "-Wextra", "-Werror", "-I", os.path.join(args.root, "include"), source, library,
                             "-Wl,-rpath," + os.path.dirname(library), "-o", program], capture_output=True, text=True)
        if build.returncode:
            return build.stderr.splitlines()
        run = subprocess.run([program], capture_output=True, text=True, timeout=60)
        expected = fenced[index + 1][1]
        if run.returncode or run.stdout != expected:
            return [f"exit {run.returncode}, printed {run.stdout!r}, expected {expected!r}"] + run.stderr.splitlines()
    return []


def links_lead_somewhere(args):
    found = []
    for document in DOCUMENTS:
        folder = os.path.dirname(os.path.join(args.root, document))
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", read(args.root, document)):
            if "://" not in target and not os.path.exists(os.path.join(folder, target)):
                found.append(f"{document}: {target}")
    return found


def paths_exist(args):
    """Whatever looks like a path of this tree, in code marks."""
    found = []
    for document in DOCUMENTS:
        for path in re.findall(r"`((?:src|tests|include|apps|bench|scripts|doc|man)/[\w./-]+)`", read(args.root, document)):
            if not os.path.exists(os.path.join(args.root, path)):
                found.append(f"{document}: {path}")
    return found


def named_tests_exist(args):
    """`tests/room/file.c: name` or `...: name, name` names functions of that file; of a folder, its scripts."""
    found, count = [], 0
    for document in DOCUMENTS:
        for path, names in re.findall(r"`(tests/[\w./-]+): ([\w, ]+)`", read(args.root, document)):
            if not os.path.exists(os.path.join(args.root, path)):
                found.append(f"{document}: {path}")
                continue
            folder = os.path.join(args.root, path)
            known = " ".join(os.listdir(folder)) if os.path.isdir(folder) else read(args.root, path)
            for name in names.split(", "):
                count += 1
                if not re.search(rf"\b{name}\b", known):
                    found.append(f"{document}: {path}: {name}")
    return found if count else ["no test is named at all"]


def options_exist(args):
    """Keys of the library's options, in code marks, and their environment variables."""
    known = subprocess.run([args.options, "options"], check=True, capture_output=True, text=True).stdout
    keys = set(re.findall(r"^([a-z.0-9_]+)  \(", known, re.M))
    groups = {key.split(".")[0] for key in keys if "." in key}
    found = []
    for document in DOCUMENTS:
        for key in re.findall(r"`([a-z]+\.[a-z_0-9]+)(?:=\w+)?`", read(args.root, document)):
            if key.split(".")[0] in groups and key not in keys:
                found.append(f"{document}: {key}")
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", required=True)
    parser.add_argument("--library", required=True)
    parser.add_argument("--options", help="the program dmtr, where it is built")
    parser.add_argument("compiler", nargs="+")
    args = parser.parse_args()
    checks = [first_program_prints_what_is_said, links_lead_somewhere, paths_exist, named_tests_exist, options_exist]
    print(f"1..{len(checks)}")
    for i, check in enumerate(checks, 1):
        name = check.__name__.replace("_", " ")
        if check == options_exist and not args.options:
            print(f"ok {i} - {name} # SKIP the programs are not built")
            continue
        found = check(args)
        for line in found[:20]:
            print(f"# {line}")
        print(f"{'not ok' if found else 'ok'} {i} - {name}")


main()
