"""A stream that was under way when the kernel died is not begun anew behind what its run has heard of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.living import Kernel, Source, install, make_home
from tests.spread import spread
from tests.system import chaos
from tests.system.fates import entries, until
from tests.system.recordings import SLOW, replay
from tests.system.test_resuming import begin

LISTENER = Source(
    """
[hand]
name = "listener"
version = "1.0.0"
description = "Listens, and tells what it heard."
entry = "main:Listener"
kind = "task"
autonomy = "full"

[capabilities]
"slow.*" = ["*"]
""",
    """
from runtime import CallFailed, Hand


class Listener(Hand):
    async def run(self, upload: bool = False) -> dict[str, object]:
        heard, code = [], ""
        try:
            async with self.kernel.stream("slow.count", "s", {"most": 40, "rest": 0.05}, upload=upload) as stream:
                if upload:
                    for n in range(20):
                        await stream.send(b"x")
                        if n % 4 == 3:
                            await self.kernel.note(f"sent {n}")
                            await self.sleep(0.05)
                    await stream.finish()
                async for piece in stream:
                    heard.append(int(piece))
                    if len(heard) % 4 == 0:
                        await self.kernel.note(f"heard {len(heard)}")
        except CallFailed as error:
            code = error.code
        return {"heard": heard, "code": code}
""",
)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, SLOW)
        install(kernel, LISTENER)
        yield kernel


@pytest.mark.parametrize("upload", spread([False, True], 1))
def test_its_run_hears_that_it_was_interrupted_and_nothing_twice(kernel: Kernel, upload: bool) -> None:
    run = begin(kernel, "listener", upload=upload)
    until(lambda: len(entries(kernel.home, "note")) > 2, "it is in the middle of it")
    kernel.kill()
    kernel.up()
    outcome = chaos.outcome_of(kernel, run)
    assert outcome["outcome"] == "done", outcome
    value = outcome["value"]
    assert isinstance(value, dict)
    assert value["code"] == "interrupted"
    assert value["heard"] == list(range(len(value["heard"])))
    said = replay(kernel, run)
    assert said.code == 0, said.words
