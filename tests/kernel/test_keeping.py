"""Old tapes are looked for again and again, whatever one search met."""

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kernel.record.keeping import EVERY, Keeping


def test_a_disk_that_fails_one_search_for_old_tapes_does_not_end_the_searches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers: list[float] = []
    identity = SimpleNamespace(journal=SimpleNamespace(days=30, failed_days=90, megabytes=100))
    kernel: Any = SimpleNamespace(  # as much of a kernel as a search needs, since no disk fails to order
        home=SimpleNamespace(at=lambda *names: str(tmp_path.joinpath(*names)), path=str(tmp_path), identity=identity),
        loop=SimpleNamespace(now=time.monotonic, after=lambda seconds, _: timers.append(seconds)),
        log=SimpleNamespace(journal=SimpleNamespace(folder=tmp_path)),
        time=lambda: time.time_ns() // 1000,
    )
    keeping = Keeping(kernel)

    def fails(_: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "scandir", fails)
    with pytest.raises(OSError, match="Input"):
        keeping.erase_old()
    assert timers == [EVERY]
