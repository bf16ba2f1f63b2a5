# SPDX-License-Identifier: MIT
"""The documents against the tree: the README's program runs as shown, and what they refer to exists. Speaks TAP."""
import argparse
import os
import re
import subprocess
import tempfile

DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "doc/README.md", "doc/GLOSSARY.md",
             "doc/COMPLIANCE.md", "doc/DESIGN.md", "doc/INET.md", "doc/LWIP.md", "doc/PORTING.md",
             "doc/TUNING.md", "doc/devices/README.md", "doc/devices/DPDK.md", "doc/devices/NULL.md",
             "doc/devices/PACKET.md", "doc/devices/SHM.md", "doc/devices/TAP.md", "doc/devices/TUNING.md",
             "doc/devices/XDP.md"]


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


def first_program_is_an_example(args):
    """The README's program is examples/hello.c, without its first two lines."""
    shown = next(text for language, text in blocks(read(args.root, "README.md")) if language == "c")
    example = read(args.root, "examples/hello.c").split("\n", 2)[2]
    return [] if shown == example else ["README.md differs from examples/hello.c"]


def links_lead_somewhere(args):
    found = []
    for document in DOCUMENTS:
        folder = os.path.dirname(os.path.join(args.root, document))
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", read(args.root, document)):
            if "://" not in target and not os.path.exists(os.path.join(folder, target)):
                found.append(f"{document}: {target}")
    return found


def make_targets_exist(args):
    """`make TARGET` in documents, and `make help`: what the Makefile has, and nothing else."""
    makefile = read(args.root, "Makefile")
    targets = set(re.search(r"^\.PHONY: (.*)$", makefile, re.M)[1].split())
    helped = set(re.findall(r"^([a-z-]+):.* ## ", makefile, re.M))
    found = [f"Makefile: make help and .PHONY differ in {target}" for target in sorted(targets ^ helped)]
    for document in DOCUMENTS:
        for target in re.findall(r"(?:`|^ {4})make ([\w-]+)", read(args.root, document), re.M):
            if target not in targets:
                found.append(f"{document}: make {target}")
    return found


def lint_checks_are_listed(args):
    """CONTRIBUTING.md has a row for each check and each build of the scripts."""
    text = read(args.root, "CONTRIBUTING.md")
    checks = re.search(r"^all='(.*)'$", read(args.root, "scripts/run/lint"), re.M)[1].split()
    builds = re.search(r"^wanted=\$\{\*:-(.*)\}$", read(args.root, "scripts/run/tests"), re.M)[1].split()
    return [f"CONTRIBUTING.md: {name}" for name in checks + builds if f"`{name}`" not in text]


# Where the user is told of something: documents, manual pages, public headers.
def told(root):
    yield from DOCUMENTS
    for folder, _, names in os.walk(os.path.join(root, "include")):
        yield from sorted(os.path.relpath(os.path.join(folder, name), root) for name in names)
    for name in sorted(os.listdir(os.path.join(root, "man"))):
        if re.search(r"\.\d(\.in)?$", name):
            yield os.path.join("man", name)


def every_document_is_checked(args):
    """What lies in doc/ is in the list above."""
    found = [os.path.relpath(os.path.join(folder, name), args.root)
             for folder, _, names in os.walk(os.path.join(args.root, "doc")) for name in names if name.endswith(".md")]
    return sorted(set(found) - set(DOCUMENTS))


def paths_exist(args):
    """Whatever looks like a path of this tree."""
    found = []
    for file in told(args.root):
        for path in re.findall(r"(?<![\w./$-])((?:src|tests|include|apps|bench|scripts|doc|man)/[\w./-]*[\w/])",
                               read(args.root, file)):
            if not os.path.exists(os.path.join(args.root, path)):
                found.append(f"{file}: {path}")
    return found


def pages_exist(args):
    """dmtr_init(3) in documents and headers; pages refer by .Xr, which the manual's own test follows."""
    man = os.path.join(args.root, "man")
    pages = {name.removesuffix(".in") for name in os.listdir(man)}
    links = set(re.findall(r"'(\w+)'", read(args.root, "man/meson.build")))
    found = []
    for file in told(args.root):
        for name, section in re.findall(r"\b((?:dmtr|demi|echo)[\w-]*)\(([1357])\)", read(args.root, file)):
            if f"{name}.{section}" not in pages and not (section == "3" and name in links):
                found.append(f"{file}: {name}({section})")
    return found


def names_exist(args):
    """DMTR_... is an identifier of the headers, or an environment variable that the library reads."""
    headers = "".join(read(args.root, file) for file in told(args.root) if file.startswith("include"))
    sources = "".join(read(args.root, os.path.relpath(os.path.join(folder, name), args.root))
                      for top in ("src",) for folder, _, names in os.walk(os.path.join(args.root, top))
                      for name in names if name.endswith((".c", ".h")))
    known = set(re.findall(r"\bDMTR_\w+", re.sub(r"/\*.*?\*/", "", headers, flags=re.S)))
    known |= set(re.findall(r'(?:"|#define )(DMTR_\w+)', sources)) | environment_of_options(args)
    found = []
    for file in told(args.root):
        text = re.sub(r"^\.Dt .*$", "", read(args.root, file), flags=re.M)
        for name in re.findall(r"(?<![\w-])DMTR_[A-Z0-9_]*[A-Z0-9]\b", text):
            if name not in known:
                found.append(f"{file}: {name}")
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


def known_options(args):
    """The library's own answer: pairs of a key and its environment variable."""
    text = subprocess.run([args.options, "options"], check=True, capture_output=True, text=True).stdout
    return re.findall(r"^([a-z.0-9_]+)  \(.*; (DMTR_\w+)\)$", text, re.M)


def environment_of_options(args):
    return {variable for _, variable in known_options(args)}


def options_exist(args):
    """Keys of the library's options, wherever a word begins like one."""
    keys = {key for key, _ in known_options(args)}
    groups = {key.split(".")[0] for key in keys if "." in key}
    found = []
    for file in told(args.root):
        for key in re.findall(r"(?<![\w./-])([a-z]+\.[a-z_0-9]+)\b(?![./(])", read(args.root, file)):
            if key.split(".")[0] in groups and key not in keys and not key.endswith((".c", ".h")):
                found.append(f"{file}: {key}")
    return found


def device_options_exist(args):
    """KEY=VALUE in code marks, in the pages of devices; some are the kernel's, or of DPDK's virtual devices."""
    others = {"intel_iommu", "amd_iommu", "iommu_platform", "role"}
    known = subprocess.run([args.options, "options", "--devices"], check=True, capture_output=True, text=True).stdout
    keys = set(re.findall(r"^([a-z_0-9]+)  \(", known, re.M))
    found = []
    built = set(re.findall(r"^([a-z]+): ", known, re.M))
    for file in (d for d in DOCUMENTS if d.startswith("doc/devices")):
        device = os.path.basename(file).removesuffix(".md").lower()
        if not built >= ({"dpdk"} if device in ("readme", "tuning") else {device}):
            continue  # of a device that this build leaves out
        for key in re.findall(r"`([a-z_]+)=[^`;]*`", read(args.root, file)):
            if key not in keys | others:
                found.append(f"{file}: {key}=")
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", required=True)
    parser.add_argument("--library", required=True)
    parser.add_argument("--options", help="the program dmtr, where it is built")
    parser.add_argument("compiler", nargs="+")
    args = parser.parse_args()
    checks = [first_program_prints_what_is_said, first_program_is_an_example, every_document_is_checked,
              links_lead_somewhere, paths_exist, pages_exist, named_tests_exist, make_targets_exist,
              lint_checks_are_listed]
    of_programs = [options_exist, device_options_exist, names_exist]
    print(f"1..{len(checks + of_programs)}")
    for i, check in enumerate(checks + of_programs, 1):
        name = check.__name__.replace("_", " ")
        if check in of_programs and not args.options:
            print(f"ok {i} - {name} # SKIP the programs are not built")
            continue
        found = check(args)
        for line in found[:20]:
            print(f"# {line}")
        print(f"{'not ok' if found else 'ok'} {i} - {name}")


main()
