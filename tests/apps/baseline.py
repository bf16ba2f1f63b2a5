# SPDX-License-Identifier: MIT
"""The baseline programs: each client mode with each server mode, and with the library's programs."""

import json

import apps
from apps import Server, run

MODES = ("blocking", "epoll", "spin", "uring", "uring-spin")


def modes():
    """Returns the modes that work here: without those of io_uring if it is forbidden."""
    try:
        with Server("baseline-echo", "--server", "--mode", "uring", ends_with=-15) as server:
            run("baseline-echo", "--client", "--mode", "blocking", "--port", server.port, "--count", 1, "--timeout", 2)
        return MODES
    except AssertionError as e:
        if "io_uring" not in str(e):
            raise
        return MODES[:3]


def check(server, client, *args):
    out, _ = run(*client, "--port", server.port, "--warmup", 5, "--json", "-", "--quiet", *args)
    result = json.loads(out)
    assert result["messages"] == int(args[args.index("--count") + 1]) and result["verified"], result


def check_clients(server_args, kind):
    """Runs each client against one server."""
    for mode in modes():
        client = ["baseline-echo", "--client", "--mode", mode, *kind]
        check(server_args, client, "--count", 100)
        check(server_args, client, "--count", 100, "--connections", 5, "--outstanding", 3, "--size", 3000)
    check(server_args, ["echo-client", *kind], "--count", 100, "--connections", 5, "--outstanding", 3)


def make_server_test(mode, kind):
    def test():
        with Server("baseline-echo", "--server", "--mode", mode, *kind, ends_with=-15) as server:
            check_clients(server, kind)
    return test


def echo_server_serves_every_client():
    for kind in ([], ["--udp"]):
        with Server("echo-server", *kind) as server:
            check_clients(server, kind)


def open_loop_runs_in_every_mode():
    with Server("echo-server") as server:
        for mode in modes()[1:]:
            check(server, ["baseline-echo", "--client", "--mode", mode], "--count", 100, "--rate", 2000)


def wrong_command_lines_are_refused():
    for args in ([], ["--server", "--client"], ["--client"], ["--server", "--mode", "psychic"],
                 ["--client", "--mode", "blocking", "--rate", "5", "--port", "1"]):
        run("baseline-echo", *args, status=2)


apps.main([(f"{mode} server{' '.join(['', *kind])} serves every client", make_server_test(mode, kind))
           for mode in modes() for kind in ([], ["--udp"])] + [
    ("echo-server serves every client", echo_server_serves_every_client),
    ("open loop runs in every mode", open_loop_runs_in_every_mode),
    ("wrong command lines are refused", wrong_command_lines_are_refused)])
