# SPDX-License-Identifier: MIT
"""The manual against the library: a page for every exported symbol, with every errno of its contract. Speaks TAP."""
import argparse
import os
import re
import shutil
import subprocess

ERRNO = re.compile(r"\bE[A-Z][A-Z0-9]{2,}\b")
CONTRACT = re.compile(r"/\*(?P<text>(?:[^*]|\*(?!/))*)\*/\n(?P<calls>(?:(?:DMTR|ATTR)_EXPORT [^;]*;\n)+)")


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def exported(library):
    out = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    return {line.split()[2].split("@")[0] for line in out.splitlines() if line.split()[1] == "T"}


def names_in(page):
    """The names in a page's NAME section."""
    section = page.split(".Sh NAME", 1)[1].split(".Sh", 1)[0]
    return set(re.findall(r"^\.Nm ([\w-]+)", section, re.M))


def help_of(command):
    return subprocess.run(command + ["--help"], check=True, capture_output=True, text=True).stdout


def options_of(command):
    return set(re.findall(r"^  --([\w-]+)", help_of(command), re.M))


def commands_of(program):
    """Of a program with commands: its help names them, one a line."""
    return re.findall(r"^  (\w[\w-]*) ", help_of([program]), re.M)


def contracts(header):
    """Pairs of a symbol and the errnos that the comment above its declaration names."""
    for block in CONTRACT.finditer(header):
        errnos = set(ERRNO.findall(block["text"]))
        for call in re.findall(r"\b((?:dmtr|demi)_\w+)\(", block["calls"]):
            yield call, errnos


def declarations(header):
    """Pairs of a call and its arguments, in order."""
    text = re.sub(r"/\*.*?\*/", "", read(header), flags=re.S)
    for call, arguments in re.findall(r"EXPORT [^;(]*?\b(\w+)\(([^;]*?)\)(?:\s*ATTR_NONNULL\([^)]*\))?;", text):
        yield call, [" ".join(a.split()) for a in arguments.split(",")]


class Manual:
    def __init__(self, args):
        self.args = args
        self.pages = {os.path.basename(path): read(path) for path in args.page}
        self.named = {name: file for file, page in self.pages.items() for name in names_in(page)}
        self.installed = {file.rsplit(".", 1)[0] for file in self.pages} | set(args.link)

    def symbols(self):
        return sorted(name for library in self.args.library for name in exported(library))

    def every_symbol_has_a_page(self):
        return [name for name in self.symbols() if name not in self.named]

    def every_symbol_is_found_by_its_name(self):
        return [name for name in self.symbols() if name not in self.installed]

    def every_page_is_of_something(self):
        known = set(self.symbols()) | {"dmtr", "dmtr_config", "dmtr_device", "dmtr_examples"} | {os.path.basename(p) for p in self.args.program}
        return sorted(set(self.named) - known)

    def every_program_has_a_page(self):
        return [p for p in map(os.path.basename, self.args.program) if p not in self.named]

    def every_errno_of_a_contract_is_in_its_page(self):
        missing = []
        for header in self.args.header:
            for call, errnos in contracts(read(header)):
                page = self.pages[self.named[call]]
                told = set(re.findall(r"^\.(?:It Bq )?Er (\w+)", page, re.M))
                missing += [f"{call}: {errno}" for errno in sorted(errnos - told)]
        return missing

    def every_symbol_is_declared_in_a_header(self):
        return sorted(set(self.symbols()) ^ {call for header in self.args.header for call, _ in declarations(header)})

    def every_call_is_declared_as_in_its_header(self):
        wrong = []
        for call, declared in [d for header in self.args.header for d in declarations(header)]:
            shown = self.synopsis(self.pages[self.named[call]], call)
            if shown != declared:
                wrong.append(f"{call}: {shown} in the page, {declared} in the header")
        return wrong

    @staticmethod
    def synopsis(page, call):
        page = page.split(".Sh SYNOPSIS", 1)[1].split(".Sh", 1)[0]
        line = re.search(rf"^\.Fn {call} (.*)$", page, re.M)
        if line:
            return [quoted or bare for quoted, bare in re.findall(r'"([^"]*)"|(\S+)', line[1])]
        block = re.search(rf"^\.Fo {call}\n(.*?)^\.Fc", page, re.M | re.S)
        return re.findall(r'^\.Fa "([^"]*)"$', block[1], re.M) if block else None

    def every_option_of_a_program_is_in_its_page(self):
        missing = []
        for program in self.args.program:
            page = self.pages[os.path.basename(program) + ".1"]
            told = set(re.findall(r"\bFl -([\w-]+)", page))
            options = options_of([program]).union(*(options_of([program, c]) for c in commands_of(program)))
            missing += [f"{os.path.basename(program)}: --{option}" for option in sorted(options - told)]
        return missing

    def references_lead_somewhere(self):
        folders = {os.path.dirname(path) for path in self.args.page}  # also pages that this build leaves out
        files = set(self.pages).union(*(os.listdir(folder) for folder in folders))
        own = {tuple(file.rsplit(".", 1)) for file in files} | {(name, "3") for name in self.args.link}
        found = {(file, ref) for file, page in self.pages.items() for ref in re.findall(r"\bXr (\S+) (\d)", page)}
        return sorted(f"{file}: {name}({section})" for file, (name, section) in found
                      if re.match(r"dmtr|demi|echo-", name) and (name, section) not in own)

    def every_page_of_section_3_has_examples_that_compile(self):
        """Examples are functions. They may use these headers, and include others of the C library."""
        headers = ["stdbool.h", "stdint.h", "stdio.h", "stdlib.h", "string.h", "dmtr/dmtr.h"]
        include = os.path.dirname(os.path.dirname(self.args.header[0]))
        found = []
        for file, page in sorted(self.pages.items()):
            if not file.endswith(".3"):
                continue
            section = page.partition("\n.Sh EXAMPLES\n")[2].partition("\n.Sh ")[0] + "\n"
            examples = re.findall(r"^\.Bd -literal[^\n]*\n(.+?)^\.Ed", section, re.M | re.S)
            if not examples:
                found.append(f"{file}: no section EXAMPLES with an example")
            source = "".join(f"#include <{h}>\n" for h in headers) + "\n".join(examples).replace("\\e", "\\")
            command = self.args.compiler.split() + ["-std=gnu17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", include,
                                                    "-x", "c", "-"]
            run = subprocess.run(command, input=source, capture_output=True, text=True)
            found += [f"{file}: {line}" for line in run.stderr.splitlines()]
        return found

    def mandoc_finds_nothing(self):
        command = ["mandoc", "-T", "lint", "-W", "warning"] + self.args.page
        lint = subprocess.run(command, capture_output=True, text=True)
        return (lint.stdout + lint.stderr).splitlines()


def main():
    parser = argparse.ArgumentParser()
    for name in ("library", "header", "page", "link", "program"):
        parser.add_argument(f"--{name}", action="append", default=[])
    parser.add_argument("--compiler", required=True)
    manual = Manual(parser.parse_args())
    checks = [manual.every_symbol_has_a_page, manual.every_symbol_is_found_by_its_name,
              manual.every_symbol_is_declared_in_a_header,
              manual.every_page_is_of_something, manual.every_program_has_a_page,
              manual.every_errno_of_a_contract_is_in_its_page, manual.every_call_is_declared_as_in_its_header,
              manual.every_option_of_a_program_is_in_its_page, manual.references_lead_somewhere,
              manual.every_page_of_section_3_has_examples_that_compile, manual.mandoc_finds_nothing]
    print(f"1..{len(checks)}")
    for i, check in enumerate(checks, 1):
        name = check.__name__.replace("_", " ")
        if check == manual.mandoc_finds_nothing and not shutil.which("mandoc"):
            print(f"ok {i} - {name} # SKIP mandoc is not installed")
            continue
        found = check()
        for line in found[:20]:
            print(f"# {line}")
        print(f"{'not ok' if found else 'ok'} {i} - {name}")


main()
