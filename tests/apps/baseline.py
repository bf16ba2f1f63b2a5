# SPDX-License-Identifier: MIT
"""The baselines: every kind of client with every kind of server, and with the library's."""

import json

import apps
from apps import Server, run

MODES = ("blocking", "epoll", "spin", "uring", "uring-spin")


def modes():
    """io_uring may be forbidden here; its modes are then left out."""
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


def against(server_args, kind):
    """Each client against one server."""
    for mode in modes():
        client = ["baseline-echo", "--client", "--mode", mode, *kind]
        check(server_args, client, "--count", 100)
        check(server_args, client, "--count", 100, "--connections", 5, "--outstanding", 3, "--size", 3000)
    check(server_args, ["echo-client", *kind], "--count", 100, "--connections", 5, "--outstanding", 3)


def server_test(mode, kind):
    def test():
        with Server("baseline-echo", "--server", "--mode", mode, *kind, ends_with=-15) as server:
            against(server, kind)
    return test


def the_librarys_server_serves_every_client():
    for kind in ([], ["--udp"]):
        with Server("echo-server", *kind) as server:
            against(server, kind)


def open_loop_works_in_every_mode():
    with Server("echo-server") as server:
        for mode in modes()[1:]:
            check(server, ["baseline-echo", "--client", "--mode", mode], "--count", 100, "--rate", 2000)


def wrong_command_lines_are_refused():
    for args in ([], ["--server", "--client"], ["--client"], ["--server", "--mode", "psychic"],
                 ["--client", "--mode", "blocking", "--rate", "5", "--port", "1"]):
        run("baseline-echo", *args, status=2)


apps.main([(f"{mode} server{' '.join(['', *kind])} serves every client", server_test(mode, kind))
           for mode in modes() for kind in ([], ["--udp"])] + [
    ("the library's server serves every client", the_librarys_server_serves_every_client),
    ("open loop works in every mode", open_loop_works_in_every_mode),
    ("wrong command lines are refused", wrong_command_lines_are_refused)])
