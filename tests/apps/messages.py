# SPDX-License-Identifier: MIT
"""Error messages of the programs: they name the problem and how to solve it."""

import contextlib
import os
import socket
import subprocess
import tempfile

import apps
from apps import Server, run

PROGRAMS = ["echo-server", "echo-client", "baseline-echo", "dmtr-relay", "dmtr-latency", "dmtr"]
OVER = ["--dmtr-set", "libos=inet", "--dmtr-set", "inet.device=shm", "--dmtr-set"]


def expect_refusal(status, *command, says, env=None):
    """Runs a command that must end with this status, with an empty stdout. Each text of `says` must be in stderr, and
    each line of stderr must begin with the name of the program."""
    out, errors = run(*command, status=status, env=env)
    assert out == "", out
    for text in says:
        assert text in errors, (command, text, errors)
    for line in errors.splitlines():
        assert line.startswith((command[0], "dmtr ")), (command, line)


def test_every_program_prints_its_version():
    for name in PROGRAMS:
        out, errors = run(name, "--version")
        assert out in (f"{name} (dmtr) {os.environ['APPS_VERSION']}\n", f"dmtr {os.environ['APPS_VERSION']}\n"), out
        assert errors == "", errors
    assert os.environ["APPS_VERSION"] in run("dmtr", "ss", "--version")[0]


def test_help_does_not_print_placeholder_defaults():
    for name in PROGRAMS:
        out, _ = run(name, "--help")
        assert "--version" in out or name == "dmtr", out
        assert "18446744073709551615" not in out, out


def test_a_misspelt_option_is_refused_with_the_nearest_name():
    expect_refusal(2, "dmtr", "ss", "--jsn", says=["--jsn", "did you mean --json?"])
    expect_refusal(2, "echo-server", "--prt", 7, says=["--prt", "did you mean --port?"])
    expect_refusal(2, "echo-client", "--adress=x", says=["no option --adress;", "did you mean --address?"])
    expect_refusal(2, "dmtr", "opitons", says=["opitons", 'did you mean "options"?'])
    for command in (["dmtr", "ss", "--xyzzyplugh"], ["dmtr", "nonsense"], ["echo-server", "-x"]):
        out, errors = run(*command, status=2)
        assert out == "" and "did you mean" not in errors and "--help" in errors, errors


def test_missing_and_unexpected_values_are_refused():
    expect_refusal(2, "dmtr", "ss", "--pid", says=["--pid needs a value"])
    expect_refusal(2, "dmtr", "ss", "--json=3", says=["--json takes no value"])
    expect_refusal(2, "echo-server", "--dmtr-set", says=["--dmtr-set needs a value"])
    expect_refusal(2, "echo-server", "--port", "99999", says=["--port takes 0 to 65535", '"99999"'])
    expect_refusal(2, "echo-server", "operand", says=['unexpected "operand"'])


def test_invalid_values_are_named_with_the_valid_ones():
    expect_refusal(2, "baseline-echo", says=["--server and --client"])
    expect_refusal(2, "baseline-echo", "--server", "--mode", "x", says=["--mode takes blocking, epoll", '"x"'])
    expect_refusal(2, "dmtr-latency", "--component", "x", says=['"x"', "--list"])
    expect_refusal(2, "echo-client", "--port", 1, "--udp", "--size", 4, says=["--size 4", "8 to 65507"])
    expect_refusal(2, "echo-client", says=["--port is needed"])
    expect_refusal(2, "dmtr-relay", "--target", "127.0.0.1", says=["--target-port"])


def test_an_unavailable_processor_is_named_with_the_available_ones():
    for command in (["echo-server"], ["dmtr-latency"], ["echo-client", "--port", 1]):
        expect_refusal(1, *command, "--cpu", 1023,
                       says=["processor 1023", f"may run on {min(os.sched_getaffinity(0))}"])
    last = max(os.sched_getaffinity(0))
    _, errors = run("echo-server", "--threads", 2, "--cpu", last, status=1)
    assert f"processor {last + 1}: " in errors and f"may run on {min(os.sched_getaffinity(0))}" in errors, errors


def test_an_unusable_address_is_named():
    expect_refusal(1, "echo-server", "--address", "192.0.2.1", says=["192.0.2.1:0", "--address"])
    expect_refusal(1, "echo-server", "--address", "no such host", says=['address "no such host"'])
    expect_refusal(1, "echo-client", "--address", "no such host", "--port", 1, says=['address "no such host"'])


@contextlib.contextmanager
def port_in_use(kind):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            s.listen()
        yield s.getsockname()[1]


def test_a_port_in_use_is_reported_with_a_remedy():
    says = ["in use", "another program", "--port"]
    target = ["--target", "127.0.0.1", "--target-port", 1]
    with port_in_use(socket.SOCK_STREAM) as port:
        expect_refusal(1, "echo-server", "--port", port, says=says)
        expect_refusal(1, "baseline-echo", "--server", "--port", port, says=says)
        expect_refusal(1, "dmtr-relay", "--tcp", "--port", port, *target, says=says)
    with port_in_use(socket.SOCK_DGRAM) as port:
        expect_refusal(1, "echo-server", "--udp", "--port", port, says=says)
        expect_refusal(1, "dmtr-relay", "--port", port, *target, says=says)


def test_a_missing_server_is_reported():
    with socket.socket() as s, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
        s.bind(("127.0.0.1", 0))  # bound, but not listening
        port = s.getsockname()[1]
        expect_refusal(1, "echo-client", "--port", port, says=[f"127.0.0.1:{port}", "nothing listens there"])
        expect_refusal(1, "baseline-echo", "--client", "--port", port,
                       says=[f"127.0.0.1:{port}", "nothing listens there"])
        u.bind(("127.0.0.1", 0))
        port = u.getsockname()[1]
    expect_refusal(1, "echo-client", "--udp", "--port", port, says=[f"127.0.0.1:{port}", "nothing listens there"])


def test_an_unknown_network_is_named():
    expect_refusal(1, "echo-server", "--network", "nosuch", says=["nosuch", "this build has:"])
    for more in ([], ["--tcp"]):
        expect_refusal(1, "dmtr-relay", "--target", "127.0.0.1", "--target-port", 1, "--target-network", "nosuch",
                       *more, says=["nosuch", "target 127.0.0.1:1"])


def test_a_missing_or_invalid_configuration_is_named():
    expect_refusal(1, "echo-server", "--dmtr-config", "/nonexistent",
                   says=["/nonexistent: No such file", "cannot start"])
    expect_refusal(1, "echo-server", says=["/nonexistent: No such file"], env={"DMTR_CONFIG": "/nonexistent"})
    expect_refusal(1, "echo-server", "--dmtr-set", "x", says=['"x" is not KEY=VALUE'])
    expect_refusal(1, "dmtr-latency", "--dmtr-set", "wait.polcy=spin", says=["wait.polcy", "wait.policy"])


def test_an_unwritable_file_is_named_before_the_run():
    path = "/nonexistent/x"
    expect_refusal(1, "echo-client", "--port", 1, "--json", path, says=[path])
    expect_refusal(1, "echo-client", "--port", 1, "--hist", path, says=[path])
    expect_refusal(1, "baseline-echo", "--client", "--port", 1, "--json", path, says=[path])
    expect_refusal(1, "dmtr-latency", "--json", path, says=[path])
    expect_refusal(1, "echo-server", "--file", path, says=[path])


def test_a_failed_run_keeps_earlier_results():
    with tempfile.NamedTemporaryFile("w+") as f:
        f.write("before")
        f.flush()
        run("echo-client", "--address", "no such host", "--port", 1, "--json", f.name, status=1)
        assert open(f.name, encoding="utf-8").read() == "before"


def test_a_full_disk_is_named():
    if not os.path.exists("/dev/full"):
        raise apps.Skip("no /dev/full")
    for command in (["dmtr", "options"], ["dmtr", "options", "--devices"], ["dmtr", "version"], ["dmtr", "--help"],
                    ["echo-server", "--help"], ["echo-client", "--version"], ["dmtr-latency", "--list"]):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([apps.program(command[0]), *command[1:]], stdout=full, stderr=subprocess.PIPE,
                                  text=True, timeout=apps.TIMEOUT_S, check=False)
        assert done.returncode == 1 and "standard output: No space left" in done.stderr, (command, done.stderr)
    for command in (["echo-server"], ["dmtr-relay", "--target", "127.0.0.1", "--target-port", "1"]):
        with open("/dev/full", "w", encoding="utf-8") as full, tempfile.TemporaryFile("w+") as errors:
            serving = subprocess.Popen([apps.program(command[0]), *command[1:]], stdout=full, stderr=errors)
            apps.await_signals(serving.pid)
            serving.terminate()
            assert serving.wait(apps.TIMEOUT_S) == 1
            errors.seek(0)
            assert f"{command[0]}: standard output: No space left" in errors.read()
    with Server("echo-server", "--quiet") as server:
        _, errors = run("echo-client", "--port", server.port, "--count", 10, "--json", "/dev/full", status=1)
        assert "/dev/full: No space left" in errors, errors


def test_the_log_names_the_engine_of_posix():
    for engine, env in apps.engines().items():
        with Server("echo-server", "--quiet", env={**env, "DMTR_LOG_LEVEL": "info"}) as server:
            assert f"info: posix: sockets and files over {engine}" in server.stderr(), server.stderr()


def test_a_server_without_an_address_listens_on_the_address_of_its_stack():
    """Over a stack of the library the default is its configured address: other hosts cannot reach its loopback."""
    with tempfile.TemporaryDirectory() as folder:
        here = [*OVER, f"inet.device_options=path={folder}/wire,listen=yes", "--dmtr-set", "inet.address=10.77.0.1/24"]
        there = [*OVER, f"inet.device_options=path={folder}/wire", "--dmtr-set", "inet.address=10.77.0.2/24"]
        target = ["--address", "10.77.0.1", "--count", 100, "--quiet"]
        for more in ([], ["--udp"]):
            with Server("echo-server", "--quiet", *more, *here) as server:
                assert server.address == "10.77.0.1", server.address
                run("echo-client", "--port", server.port, *target, *more, *there)
            with Server("echo-server", "--quiet", *more) as server:
                forward = ["--target", "127.0.0.1", "--target-port", server.port, "--target-network", "posix"]
                with Server("dmtr-relay", "--quiet", *([] if more else ["--tcp"]), *forward, *here) as relay:
                    assert relay.address == "10.77.0.1", relay.address
                    run("echo-client", "--port", relay.port, *target, *more, *there)
        _, errors = run("echo-server", "--address", "127.0.0.1", *here, status=1)
        assert "127.0.0.1:0" in errors and "--address" in errors, errors


def test_a_server_without_an_address_listens_on_loopback_only():
    with Server("echo-server", "--quiet") as server:
        assert server.address == "127.0.0.1", server.address


apps.main(apps.collect(globals()))
