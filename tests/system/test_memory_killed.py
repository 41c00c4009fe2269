"""The memory Hand, and the kernel above it, killed at instants chosen by a seed: every write that was answered is there."""

import contextlib
import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any, Final

import pytest

from kernel.cli.exits import Ended
from tests.living import ROOT, Kernel, install, make_home
from tests.system.fates import until
from wire.errors import ManipleError

CHAT: Final = "session/bot/mail/-/ada"


class Writer(threading.Thread):
    """Writes until it is told to stop; what it was answered is in `told`."""

    def __init__(self, kernel: Kernel, name: str) -> None:
        super().__init__(name=name)
        self.kernel, self.told, self.stopped = kernel, dict.fromkeys(("key", "said"), 0), threading.Event()
        self.unexpected: list[str] = []

    def run(self) -> None:
        while not self.stopped.is_set():
            with contextlib.suppress(ManipleError, OSError, AssertionError), self.kernel.client() as client:
                while not self.stopped.is_set():
                    self._write(client)
            time.sleep(0.02)

    def _write(self, client: Any) -> None:
        space = f"shared/{self.name}"
        try:
            made = client.call(
                "memory.change", space, {"changes": [{"key": "n", "value": self.told["key"]}]}, seconds=20
            )
            self.told["key"] = made.value["versions"][0]
            said = [{"role": "user", "text": f"word {self.name}"}]
            self.told["said"] = client.call("memory.session.append", space, {"messages": said}, seconds=20).value[
                "last"
            ]
        except Ended as ended:
            reason = getattr(ended, "reason", "no kernel")
            if reason not in ("outcome unknown", "ended", "no kernel", "deadline", "poison", "cancelled", "finishing"):
                self.unexpected.append(f"{reason}: {ended}")
            raise


def pid_of_memory(kernel: Kernel) -> int:
    with kernel.client() as client:
        runs: Any = client.call("kernel.ps").value
    return next((int(run["pid"]) for run in runs["runs"] if run["hand"] == "memory" and run["state"] == "ready"), 0)


def killed(tmp_path: Path, seed: int, times: int) -> int:
    """Kill so many times, the kernel every fifth; how many writes were answered."""
    chance = random.Random(seed)
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, ROOT / "hands" / "memory")
        writers = [Writer(kernel, f"writer-{number}") for number in range(3)]
        for writer in writers:
            writer.start()
        try:
            for number in range(times):
                until(lambda: all(writer.told["said"] > 0 for writer in writers), "a first write of each")
                before = [writer.told["key"] for writer in writers]
                pid = until(lambda: pid_of_memory(kernel), "a memory that is ready")
                time.sleep(chance.uniform(0, 0.15))
                if number % 5 == 4:
                    kernel.kill()
                    kernel.up()
                else:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                until(lambda: any(now.told["key"] > was for now, was in zip(writers, before, strict=True)), "a write")
                with kernel.client() as client:
                    client.call("kernel.start", "memory")  # or it would wait longer after each death
        finally:
            for writer in writers:
                writer.stopped.set()
            for writer in writers:
                writer.join(60)
        assert [writer.unexpected for writer in writers] == [[]] * 3
        with kernel.client() as client:
            for writer in writers:
                space = f"shared/{writer.name}"
                assert client.call("memory.verify", space).value == {"ok": True, "problems": [], "mended": []}
                found: Any = client.call("memory.get", space, {"key": "n"}).value
                assert found["version"] >= writer.told["key"]
                said: Any = client.call("memory.session.read", space, {"after": 0, "most": 1_000}).value
                assert [row["seq"] for row in said["messages"]] == [*range(1, len(said["messages"]) + 1)]
                assert len(said["messages"]) >= min(1_000, writer.told["said"])
        return sum(writer.told["key"] + writer.told["said"] for writer in writers)


def test_a_killed_memory_and_a_killed_kernel_lose_nothing_that_was_answered(tmp_path: Path) -> None:
    assert killed(tmp_path, 1, 5) > 30


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(4))
def test_killed_again_and_again_they_lose_nothing_either(tmp_path: Path, seed: int) -> None:
    assert killed(tmp_path, seed, 60) > 300
