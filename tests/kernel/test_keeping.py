"""Old tapes are looked for again and again, whatever one search met, and while all others have their turns."""

import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kernel.record.keeping import AT_ONCE, EVERY, Keeping
from manifests.keeping import Keep
from wire.tape import HEADS

Turns = deque[tuple[float, Callable[[], object]]]


@pytest.fixture
def turns() -> Turns:
    """When which function is to be called."""
    return deque()


@pytest.fixture
def kernel(tmp_path: Path, turns: Turns) -> Any:
    """As much of a kernel as a search needs, since no disk fails to order; erased: the runs whose tapes it was to erase."""
    erased: list[str] = []
    journal = SimpleNamespace(folder=tmp_path, erase=erased.append)
    return SimpleNamespace(
        home=SimpleNamespace(
            at=lambda *names: str(tmp_path.joinpath(*names[1:])),
            path=str(tmp_path),
            identity=SimpleNamespace(journal=Keep()),
        ),
        loop=SimpleNamespace(now=time.monotonic, after=lambda seconds, act: turns.append((seconds, act))),
        log=SimpleNamespace(size=0, append=lambda *_, **__: 0, after=lambda _, act: act(), journal=journal),
        time=lambda: time.time_ns() // 1000,
        runs={},
        state=SimpleNamespace(unfinished={}),
        results=SimpleNamespace(forget=lambda _: None),
        erased=erased,
    )


def test_a_disk_that_fails_one_search_for_old_tapes_does_not_end_the_searches(
    kernel: Any, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "scandir", fails)
    keeping = Keeping(kernel)
    with pytest.raises(OSError, match="Input"):
        keeping.erase_old()
    assert [seconds for seconds, _ in turns] == [EVERY]


def _turns_taken(kernel: Any, turns: Turns) -> int:
    """How often all others have their turns while one search goes on to its end."""
    Keeping(kernel).erase_old()
    assert turns.popleft()[0] == EVERY
    taken = 0
    while turns:
        turns.popleft()[1]()
        taken += 1
    return taken


def test_all_others_have_their_turns_while_a_tape_of_many_records_is_looked_through(
    kernel: Any, turns: Turns, tmp_path: Path
) -> None:
    (tmp_path / "r-long.tape").write_bytes((b"\1\0\0\0" + bytes(16) + b"x") * 2 * AT_ONCE * HEADS)
    os.utime(tmp_path / "r-long.tape", (0, 0))
    assert _turns_taken(kernel, turns) == 2
    assert kernel.erased == ["r-long"]


def test_all_others_have_their_turns_while_many_tapes_are_looked_through_and_erased(
    kernel: Any, turns: Turns, tmp_path: Path
) -> None:
    for number in range(AT_ONCE + 1):
        (tmp_path / f"r-{number}.tape").touch()
    assert _turns_taken(kernel, turns) == 1
    kernel.home.identity.journal = Keep(days=0, failed_days=0)
    assert _turns_taken(kernel, turns) == 2
    assert len(set(kernel.erased)) == len(kernel.erased) == AT_ONCE + 1
