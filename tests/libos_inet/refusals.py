"""What cannot be opened is refused with what is missing and the command that mends it, as a program's user sees it."""

import apps
from apps import run


def test_a_device_that_was_not_chosen_is_named():
    _, errors = run("echo-client", "--udp", "--port", 7, env={"DMTR_LIBOS": "inet"}, status=1)
    assert "inet.device=NAME" in errors and "shm" in errors, errors


apps.main(apps.collect(globals()))
