"""What a run closed to its own user is open to the next run of its Hand: its state, and the file that it prints to."""

import os
from pathlib import Path

from kernel.home import Home
from kernel.output import open_output
from manifests.printed import FILE_MAX
from tests.living import ECHO, Kernel, Source, install, make_home

CLOSER = Source(
    """
[hand]
name = "closer"
version = "1.0.0"
description = "Closes its own folder."
entry = "main:Closer"
kind = "service"
autonomy = "full"

[provides."closer.close"]
summary = "Close it, and say how often that was done"
resource = "none"
effect = "read"
returns = { times = "int" }
""",
    """
from runtime import Hand


class Closer(Hand):
    async def close(self, call):
        times = self.state / "times"
        with times.open("a") as file:
            file.write(".")
        found = times.stat().st_size
        self.state.chmod(0)
        return {"times": found}
""",
)


def test_a_state_that_was_closed_to_its_owner_is_open_to_the_next_run(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home")) as kernel, kernel.client() as client:
        install(kernel, CLOSER)
        assert client.call("closer.close", "", {}).value == {"times": 1}
        client.call("kernel.restart", "closer")
        assert client.call("closer.close", "", {}).value == {"times": 2}


def test_a_file_of_output_that_was_closed_to_its_owner_is_open_to_the_next_run(tmp_path: Path) -> None:
    """A run of an ordinary user's may do so by its descriptor. The kernel leaves it: to open it may take seconds, if the run
    is emptying it in ten thousand pieces.
    """
    with Kernel(make_home(tmp_path / "home")) as kernel, kernel.client() as client:
        install(kernel, ECHO)
        client.call("echo.say", "", {"text": "hi"})
        printed, aside = (kernel.home / "output" / name for name in ("echo.log", "echo.log.1"))
        printed.write_bytes(bytes(FILE_MAX + 1))
        aside.touch()
        for file, end in ((printed, "log"), (aside, "log.1")):
            file.chmod(0)
            os.close(open_output(Home(str(kernel.home)), "echo", end=end))
            assert file.stat().st_mode & 0o777 == 0
        client.call("kernel.restart", "echo")
        client.call("echo.say", "", {"text": "hi"})
        assert [file.stat().st_mode & 0o777 for file in (printed, aside)] == [0o600] * 2
        assert printed.stat().st_size < FILE_MAX < aside.stat().st_size + printed.stat().st_size
