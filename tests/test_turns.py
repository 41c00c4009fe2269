"""A test that is to be alone waits for those that run, and those that come later wait for it."""

import fcntl
import os
from pathlib import Path
from threading import Event, Thread

from tests.system.fates import until
from tests.turns import Turns, turn


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

    first = Thread(target=come, args=("alone",), kwargs={"alone": True})
    second = Thread(target=come, args=("later",), kwargs={"alone": False})
    with turn(gate, room, alone=False), turn(gate, room, alone=False):
        first.start()
        until(lambda: _is_shut(gate), "it waits")
        second.start()
        second.join(0.2)
        assert seen == []
    first.join()
    second.join()
    assert seen == ["alone in", "alone out", "later in", "later out"]


def _is_shut(place: Path) -> bool:
    """Whether somebody keeps others out of a place."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def test_those_that_are_alone_one_after_the_other_let_nobody_in_between(tmp_path: Path) -> None:
    gate, room = tmp_path / "gate", tmp_path
    gate.touch()
    turns = Turns(gate, room)
    with turns.next(alone=False, then_alone=True):
        assert not _is_shut(room)
    assert not _is_shut(room)
    with turns.next(alone=True, then_alone=True):
        assert _is_shut(room)
    assert _is_shut(room)
    with turns.next(alone=True, then_alone=False):
        assert _is_shut(room)
    assert not _is_shut(room)
    with turns.next(alone=False, then_alone=False):
        assert not _is_shut(room)
    assert not _is_shut(gate)
