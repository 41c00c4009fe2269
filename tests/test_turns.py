"""A test that is to be alone waits for those that run, and those that come later wait for it."""

import fcntl
from pathlib import Path
from threading import Event, Thread

from tests.system.fates import until
from tests.turns import turn


def test_whoever_is_alone_comes_when_all_have_left_and_before_who_came_later(tmp_path: Path) -> None:
    gate, room = tmp_path / "gate", tmp_path
    gate.touch()
    seen: list[str] = []
    together = Event()

    def come(name: str, *, alone: bool) -> None:
        with turn(gate, room, alone=alone):
            seen.append(f"{name} in")
            if alone:
                together.wait(0.2)
            seen.append(f"{name} out")

    def is_shut() -> bool:
        with gate.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    first = Thread(target=come, args=("alone",), kwargs={"alone": True})
    second = Thread(target=come, args=("later",), kwargs={"alone": False})
    with turn(gate, room, alone=False), turn(gate, room, alone=False):
        first.start()
        until(is_shut, "it waits")
        second.start()
        second.join(0.2)
        assert seen == []
    first.join()
    second.join()
    assert seen == ["alone in", "alone out", "later in", "later out"]
