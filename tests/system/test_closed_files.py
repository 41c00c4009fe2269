"""What a run closed to its own user is open to the next run of its Hand: its state, and the file that it prints to."""

import os
from pathlib import Path

from kernel.home import Home
from kernel.output import open_output
from tests.living import Kernel, Source, install, make_home

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
    """A run of an ordinary user's may do so by its descriptor."""
    home = Home(str(make_home(tmp_path / "home")))
    for _ in range(2):
        descriptor = open_output(home, "closer")
        assert os.fstat(descriptor).st_mode & 0o777 == 0o600
        os.fchmod(descriptor, 0)
        os.close(descriptor)
