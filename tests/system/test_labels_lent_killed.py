"""Labels that came by a lent scratch folder outlive the kernel: the folder does, and what lies in it."""

from pathlib import Path
from typing import Any, Final

import pytest

from tests.living import Kernel, Source, install, make_home
from tests.system import chaos
from tests.system.actors import actor, cast
from tests.system.fates import until
from tests.system.test_labels_lent import _LODGER
from tests.system.test_resuming import begin

_READER: Final = Source(
    """
[hand]
name = "reader"
version = "1.0.0"
description = "Reads what a lodger left in its scratch folder when that is gone."
entry = "main:Reader"
kind = "task"
autonomy = "full"

[capabilities]
"source.labelled" = ["*"]
"sink.do" = ["*"]
"lodger.*" = ["*"]
""",
    """
from runtime import CallFailed, Hand


class Reader(Hand):
    async def run(self):
        code = ""
        try:
            await self.kernel.call("lodger.fetch")
        except CallFailed as failed:
            code = failed.code
        found = (self.scratch / "found").read_text()
        return {"code": code, "found": found, "labels": (await self.kernel.call("sink.do")).value["labels"]}
""",
)


@pytest.mark.parametrize("way", ["down", "kill"])
def test_what_a_lodger_left_is_marked_also_for_the_next_kernel(tmp_path: Path, way: str) -> None:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        cast(kernel, [actor("source", labels=["web"]), actor("sink")])
        install(kernel, _LODGER)
        install(kernel, _READER)
        run = begin(kernel, "reader")
        until(lambda: [*kernel.home.glob("**/found")], "the lodger has left it there")
        getattr(kernel, way)()
        kernel.up()
        value: Any = chaos.outcome_of(kernel, run)["value"]
        assert value == {"code": "outcome unknown", "found": "what came from the web", "labels": ["web"]}
