"""A WASM Hand is confined as every other: its code is loaded before the last filter, and none can be made after it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.living import ECHO as ECHO_HAND
from tests.living import Kernel, install, make_home
from tests.system.fates import call, pid_of, table
from tests.system.test_wasm import ALLOCATE, ECHO, guest


def test_a_guest_that_has_taken_over_its_process_can_make_no_code(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home"), "tests.system.prying") as kernel, kernel.client() as client:
        install(kernel, guest(tmp_path / "guest", ECHO))
        outcome = table(client.call("kernel.start", "guest", {"inputs": {"a": 1}, "wait": True}).value)
    found = table(outcome["value"])
    assert found["guest"] == {"a": 1}
    assert (found["protect"], found["map"]) == ("Operation not permitted", "Operation not permitted")
    assert "Operation not permitted" in str(found["load"])


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """One with a service that has answered once."""
    place = tmp_path_factory.mktemp("confined")
    export = '(func (export "fine") (param i32 i32 i32 i32) (result i64) (i64.const 0))'
    more = '[provides."guest.fine"]\nsummary = "."\nresource = "none"\neffect = "read"\n'
    with Kernel(make_home(place / "home")) as kernel:
        install(kernel, guest(place / "guest", "", kind="service", whole=f"(module {ALLOCATE} {export})", more=more))
        call(kernel, "guest.fine")
        yield kernel


def test_the_filter_holds_on_every_thread_of_its_run(kernel: Kernel) -> None:
    threads = [_status(one) for one in _seen(kernel, "guest").glob("task/*/status")]
    assert len(threads) >= 4  # the loop's, two of libzmq's, the guest's
    assert {tuple(one[key] for key in ("Seccomp", "NoNewPrivs", "CapEff", "CapBnd")) for one in threads} == {
        ("2", "1", "0" * 16, "0" * 16)
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look into what is not dumpable")
def test_no_run_has_memory_that_is_written_and_executed(kernel: Kernel) -> None:
    module = _rights(_seen(kernel, "guest"))
    install(kernel, ECHO_HAND)
    call(kernel, "echo.say", "", {"text": "up"})
    python = _rights(_seen(kernel, "echo"))
    assert ("r-xp", True) in module  # what was compiled
    assert ("r-xp", True) not in python
    assert not [rights for rights, _ in (*module, *python) if rights[1:3] == "wx"]


def _seen(kernel: Kernel, hand: str) -> Path:
    """Where the process of a service is seen in /proc."""
    return Path("/proc", str(pid_of(kernel, hand)))


def _rights(process: Path) -> list[tuple[str, bool]]:
    """Of each mapping, what may be done there, and whether no file lies behind it."""
    rows = [line.split() for line in (process / "maps").read_text().splitlines()]
    return [(row[1], len(row) < 6) for row in rows]


def _status(path: Path) -> dict[str, str]:
    return {name: value.strip() for name, _, value in (line.partition(":") for line in path.read_text().splitlines())}
