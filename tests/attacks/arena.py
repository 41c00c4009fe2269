"""Where attacks take place: a kernel, a neighbour that must not notice, and things of this machine worth attacking."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kernel.cli import told
from kernel.cli.client import Client
from tests.attacks.attack import MANIFEST, PUPPET, Attack, Given
from tests.living import ECHO, Kernel, Source, install, make_home
from wire.codec import Value

NEIGHBOUR: Final = Source(ECHO.toml.replace("echo", "neighbour"), ECHO.main)
ON_TIME: Final = 1.0
"""Seconds in which the neighbour answers, whatever goes on beside it: a hundred times what it takes."""


class Arena:
    """A kernel with a puppet and a neighbour in it. layers: those that its runs lack."""

    def __init__(self, kernel: Kernel, place: Path, layers: frozenset[str]) -> None:
        self.kernel, self.place, self.layers = kernel, place, layers
        install(kernel, NEIGHBOUR)
        install(kernel, Source(MANIFEST, PUPPET))
        self._server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._welcome, daemon=True).start()
        with kernel.client() as client:
            client.call("neighbour.say", "", {"text": "up"})
            (self.neighbour,) = _live(client)

    def given(self) -> Given:
        """What the attacker may know of this machine."""
        return {
            "home": str(self.kernel.home), "port": str(self._server.getsockname()[1]), "kernel": str(self.kernel.pid),
            "template": str(self.kernel.template_pid), "neighbour": str(self.neighbour.pid),
            "neighbour_run": self.neighbour.run, "place": str(self.place),
        }  # fmt: skip

    def suffer(self, attack: Attack) -> dict[str, Value]:
        """Let the attack run to its end; what came of it: got, or refused with text, or how the run ended as refused."""
        given = {**self.given(), **attack.told(self.given())}
        with self.kernel.client() as client:
            begun = client.call("kernel.start", "puppet", {"inputs": {"code": attack.code, "given": given}}).value
            assert isinstance(begun, dict)
            outcome = client.call("kernel.wait", "", {"run": begun["run"]}).value
        assert isinstance(outcome, dict)
        if isinstance(outcome["value"], dict):
            return outcome["value"]
        return {"refused": outcome["code"] or outcome["outcome"], "text": outcome["text"]}

    def check_unharmed(self) -> None:
        """Kernel and neighbour live, are the same processes, and answer on time."""
        begun = time.monotonic()
        with self.kernel.client() as client:
            assert client.call("neighbour.say", "", {"text": "still here"}).value == {"text": "still here"}
            assert time.monotonic() - begun < ON_TIME
            assert self.neighbour.pid in [run.pid for run in _live(client)]

    def _welcome(self) -> None:
        while True:
            link, _ = self._server.accept()
            with link:
                link.sendall(b"welcome")


def _live(client: Client) -> tuple[told.LiveRun, ...]:
    return tuple(told.read(client.call("kernel.ps").value, told.LiveRuns).runs)


@contextmanager
def opened(place: Path, layers: frozenset[str]) -> Iterator[Arena]:
    """An arena in a new home below place, whose runs lack these layers."""
    place.mkdir()
    home = make_home(place / "home")
    (home / "weakened").write_text("\n".join(sorted(layers)))
    with Kernel(home, "tests.attacks.weakened" if layers else "kernel.main") as kernel:
        yield Arena(kernel, place, layers)
