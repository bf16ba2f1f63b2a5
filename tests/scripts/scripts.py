# SPDX-License-Identifier: MIT
"""The scripts that set a machine up and run the tests: what they say, and what they do where something is missing."""
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import apps

ROOT, BUILD = sys.argv[1:]
SYSTEMS = {  # column of the table, and how packages are installed there
    "fedora": (2, "dnf install"), "arch": (3, "pacman -S --needed"), "alpine": (4, "apk add"),
}


def table():
    with open(os.path.join(ROOT, "scripts/setup/packages"), encoding="utf-8") as file:
        return [line.split() for line in file if line.strip() and not line.startswith("#")]


def names(column, group):
    return list(dict.fromkeys(row[column] for row in table() if row[0] == group and row[column] != "-"))


def run(*command, **options):
    """What it printed on both outputs, and how it ended. Environment variables are options in capitals."""
    env = {**os.environ, **{name: options.pop(name) for name in list(options) if name.isupper()}}
    done = subprocess.run([str(word) for word in command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=120, env=env, check=False, **options)
    return done.stdout, done.returncode


def program(folder, name, text):
    """A shell script in folder/bin, and a search path on which it comes first."""
    path = os.path.join(folder, "bin", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\n{text}\n")
    os.chmod(path, 0o755)
    return f"{os.path.dirname(path)}:{os.environ['PATH']}"


def write(folder, name, text):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def setup(os_release, *groups, **options):
    with tempfile.TemporaryDirectory() as folder:
        return run(os.path.join(ROOT, "scripts/setup/debian.sh"), *groups,
                   OS_RELEASE=write(folder, "os-release", os_release), **options)


def test_every_package_has_a_name_or_a_gap_for_each_system():
    for row in table():
        assert len(row) == 5, row
        assert all(re.fullmatch(r"-|[A-Za-z0-9][A-Za-z0-9+.-]*", name) for name in row[1:]), row
        assert row[1] != "-", row


def test_every_debian_package_exists():
    if not shutil.which("apt-cache") or "Candidate: " not in run("apt-cache", "policy", "cmake", LC_ALL="C")[0]:
        raise apps.Skip("apt has no lists of packages here")
    wanted = {row[1] for row in table()}
    out, _ = run("apt-cache", "policy", *wanted, LC_ALL="C")
    found = set(re.findall(r"^(\S+):\n.*\n  Candidate: [^(]", out, re.MULTILINE))
    assert found == wanted, wanted - found


def test_other_systems_are_told_their_names_and_command():
    for os_release, system in (("ID=fedora", "fedora"), ('ID="rocky"\nID_LIKE="rhel centos fedora"', "fedora"),
                               ("ID=arch", "arch"), ("ID=manjaro\nID_LIKE=arch", "arch"), ("ID=alpine", "alpine"),
                               ("ID=postmarketos\nID_LIKE=alpine", "alpine")):
        column, command = SYSTEMS[system]
        for group in ("build", "test", "devices"):
            out, code = setup(os_release, group)
            assert code == 0 and f"{command} {' '.join(names(column, group))}" in out, (os_release, out)


def test_an_unknown_system_is_told_what_debian_calls_them():
    out, code = setup("ID=plan9", "build")
    assert code == 0 and "plan9" in out and " ".join(names(1, "build")) in out, out


def test_a_group_that_there_is_not_is_refused_with_those_there_are():
    out, code = setup("ID=debian", "nonesuch")
    groups = " ".join(dict.fromkeys(row[0] for row in table()))
    assert code == 2 and '"nonesuch"' in out and groups in out, out


def test_debian_and_its_kin_install_what_is_missing():
    for os_release in ("ID=debian", "ID=ubuntu\nID_LIKE=debian", 'ID=linuxmint\nID_LIKE="ubuntu debian"'):
        with tempfile.TemporaryDirectory() as folder:
            log = os.path.join(folder, "log")
            program(folder, "dpkg-query", 'case "$*" in *" meson") exit 1 ;; esac; printf installed')
            program(folder, "sudo", 'exec "$@"')
            path = program(folder, "apt-get", f'echo "$@" >>{log}')
            out, code = setup(os_release, "build", PATH=path)
            with open(log, encoding="utf-8") as file:
                asked = file.read()
            assert code == 0 and out == "installing: meson\n", out
            assert asked == "install -qq -y --no-install-recommends meson\n", asked


def test_packages_that_cannot_be_installed_are_named():
    with tempfile.TemporaryDirectory() as folder:
        program(folder, "dpkg-query", "exit 1")
        program(folder, "sudo", 'exec "$@"')
        path = program(folder, "apt-get", "exit 100")
        out, code = setup("ID=debian", "devices", PATH=path)
        assert code == 1 and "could not install: libdpdk-dev" in out, out


def test_a_step_that_fails_is_named():
    steps = os.path.join(ROOT, "scripts/run/steps.sh")
    for word, seen in (("step", True), ("quiet_step", False)):
        with tempfile.TemporaryDirectory() as folder:
            script = write(folder, "script", f". {steps}\n{word} first echo works\n{word} second sh -c 'echo why; exit 7'\n"
                                             "echo never\n")
            out, code = run("sh", script)
            assert code == 1 and "script: second: failed with exit code 7: sh -c " in out, out
            assert ("works" in out) == seen and "why" in out and "never" not in out, out


def test_echo_says_that_its_server_does_not_start():
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(os.path.join(ROOT, "scripts"), os.path.join(folder, "scripts"))
        write(folder, "build/build.ninja", "")
        server = write(folder, "build/apps/echo/echo-server", "#!/bin/sh\nkill -SEGV $$\n")
        os.chmod(server, 0o755)
        out, code = run(os.path.join(folder, "scripts/run/echo"), PATH=program(folder, "ninja", "exit 0"),
                        OS_RELEASE=write(folder, "os-release", "ID=alpine"))
        assert code == 1 and "echo: start echo-server: failed with exit code 139" in out, out


def test_a_suite_without_a_test_is_named():
    script = os.path.join(ROOT, "scripts/run/suites.py")
    assert run(sys.executable, script, BUILD, "base", "scripts") == ("", 0)
    out, code = run(sys.executable, script, BUILD, "base", "nonesuch")
    assert code == 1 and "no test is in: nonesuch; there are: " in out, out


def test_a_room_that_is_covered_too_little_is_named():
    rooms = ["base", "mem", "core", "inet", "netdev", "libos", "libos/inet", "libos/memory", "libos/posix",
             "libos/socket", "api", "demi"]
    for covered, code_expected in ((90, 0), (89, 1)):
        with tempfile.TemporaryDirectory() as folder:
            files = [{"filename": f"src/{room}/file.c", "line_covered": covered if room == "inet" else 100,
                      "line_total": 100} for room in rooms]
            summary = write(folder, "coverage.json", json.dumps({"files": files}))
            report = os.path.join(folder, "coverage.junit.xml")
            out, code = run(sys.executable, os.path.join(ROOT, "scripts/run/coverage.py"), summary, report)
            assert code == code_expected and ("coverage: inet: 89.0%" in out) == (code == 1), out
            out, code = run(sys.executable, os.path.join(ROOT, "scripts/run/summary.py"), report)
            assert f"{len(rooms) + 1 - code_expected} passed, {code_expected} failed" in out, out


def test_the_summary_has_the_reason_of_every_skip():
    with tempfile.TemporaryDirectory() as folder:
        report = write(folder, "some.junit.xml", """<testsuites><testsuite name="s">
            <testcase name="passed"/>
            <testcase name="whole"><skipped/><system-out>1..0 # SKIP no machine</system-out></testcase>
            <testcase name="part"><skipped/><system-out>no root</system-out></testcase>
            <testcase name="told"><skipped message="no mirror"/></testcase></testsuite></testsuites>""")
        out, code = run(sys.executable, os.path.join(ROOT, "scripts/run/summary.py"), report)
        assert code == 0 and "no reason" not in out, out
        assert "s: whole: no machine" in out and "s: part: no root" in out and "s: told: no mirror" in out, out
        assert out.endswith("1 passed, 0 failed, 3 skipped\n"), out


def test_the_mirror_is_that_of_the_machine():
    with tempfile.TemporaryDirectory() as folder:
        write(folder, "sources.list", "# deb http://no.example/debian trixie main\n"
                                      "deb [arch=amd64 trusted=yes] http://list.example/debian trixie main contrib # ours\n"
                                      "deb-src http://no.example/debian trixie main\n"
                                      "deb http://no.example/debian-security trixie-security main\n")
        write(folder, "sources.list.d/a.list", "deb http://other.example/packages trixie main\n"
                                               "deb http://no.example/debian trixie other\n")
        write(folder, "sources.list.d/b.sources",
              "# Types: deb\nTypes: deb deb-src\nURIs: http://deb822.example/debian/\n http://second.example/debian\n"
              "Suites: bookworm bookworm-updates\nComponents: main\n\n"
              "Enabled: no\nTypes: deb\nURIs: http://no.example/debian\nSuites: sid\nComponents: main\n")
        write(folder, "sources.list.d/c.sources.save", "Types: deb\nURIs: http://no.example/debian\nSuites: sid\n"
                                                       "Components: main\n")
        out, code = run(sys.executable, os.path.join(ROOT, "scripts/setup/mirrors.py"), folder)
        assert code == 0 and out.split() == ["http://list.example/debian", "http://deb822.example/debian/",
                                             "http://second.example/debian", "http://other.example/packages"], out


def test_a_distribution_that_cannot_be_made_is_one_skip_with_the_reason():
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(os.path.join(ROOT, "scripts"), os.path.join(folder, "scripts"))
        out, code = run(os.path.join(folder, "scripts/run/distributions"), "debian-13", "gcc",
                        PATH=program(folder, "id", "echo 1000"))
        assert code == 0 and "debian-13: skipped: this needs root" in out, out
        reports = glob.glob(os.path.join(folder, "build-distributions/reports/*"))
        out, code = run(sys.executable, os.path.join(folder, "scripts/run/summary.py"), *reports)
        assert "debian-13-chroot: this needs root" in out and "0 passed, 0 failed, 1 skipped" in out, out


def test_words_that_distributions_does_not_know_are_refused():
    for words in (["debian-11"], ["tcc"], ["--suites"]):
        out, code = run(os.path.join(ROOT, "scripts/run/distributions"), *words)
        assert code == 2 and words[0] in out, out
    out, code = run(os.path.join(ROOT, "scripts/run/distributions"), "--help")
    assert code == 0 and "--folder DIR" in out and "set -eu" not in out, out


def test_words_that_packages_does_not_know_are_refused():
    for word in ("debian-11", "--nonesuch"):
        out, code = run(os.path.join(ROOT, "scripts/run/packages"), word)
        assert code == 2 and "--build" in out and "set -eu" not in out, out


def test_nothing_of_a_chroot_stays_when_it_is_killed():
    busybox = shutil.which("busybox")
    if os.geteuid() != 0:
        raise apps.Skip("this needs root")
    if not busybox or b"INTERP" in subprocess.run(["readelf", "-lW", busybox], capture_output=True, check=True).stdout:
        raise apps.Skip("no static busybox: install the package busybox-static")
    if run("unshare", "--mount", "--pid", "--fork", "true")[1] != 0:
        raise apps.Skip("namespaces cannot be made here")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("bin", "proc", "sys", "dev", "run", "etc"):
            os.mkdir(os.path.join(folder, name))
        for name in ("busybox", "env", "sh", "sleep", "mount"):
            shutil.copy(busybox, os.path.join(folder, "bin", name))
        inside = subprocess.Popen([os.path.join(ROOT, "scripts/run/in-chroot"), folder, "sh", "-c",
                                   "mount -t tmpfs mine /etc && echo ready && sleep 4321.5 & echo; wait"],
                                  stdout=subprocess.PIPE, text=True)
        while "ready" not in inside.stdout.readline():
            assert inside.poll() is None
        inside.send_signal(signal.SIGKILL)
        inside.wait()
        deadline = time.monotonic() + apps.TIMEOUT_S
        while any(open(path, "rb").read() == b"sleep\x004321.5\x00" for path in glob.glob("/proc/[0-9]*/cmdline")
                  if os.path.exists(path)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with open("/proc/mounts", encoding="utf-8") as file:
            assert folder not in file.read()
        assert os.listdir(os.path.join(folder, "proc")) == []


def test_a_machine_without_cmocka_builds_without_the_tests():
    with tempfile.TemporaryDirectory() as folder:
        program(folder, "pkg-config", f'case "$*" in *cmocka*) exit 1 ;; esac; exec {shutil.which("pkg-config")} "$@"')
        options = {"PKG_CONFIG": os.path.join(folder, "bin/pkg-config"), "CMAKE": "/bin/false"}
        small = ["-Dapps=false", "-Ddpdk=disabled", "-Dlwip=disabled"]
        out, code = run("meson", "setup", *small, os.path.join(folder, "auto"), ROOT, **options)
        assert code == 0 and "the tests are left out: no cmocka" in out, out
        out, code = run("meson", "setup", *small, "-Dtests=enabled", os.path.join(folder, "enabled"), ROOT, **options)
        assert code != 0 and "cmocka" in out, out


apps.main(apps.collect(globals()))
