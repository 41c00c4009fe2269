"""A WASM Hand is confined as every other: its code is loaded before the last filter, and none can be made after it."""

import os
from pathlib import Path

import pytest

from kernel.cli.client import Client
from tests.living import ECHO as ECHO_HAND
from tests.living import Kernel, install, make_home
from tests.system.fates import table
from tests.system.test_wasm import ALLOCATE, ECHO, guest, only_run


def test_a_guest_that_has_taken_over_its_process_can_make_no_code(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home"), "tests.system.prying") as kernel, kernel.client() as client:
        install(kernel, guest(tmp_path / "guest", ECHO))
        outcome = table(client.call("kernel.start", "guest", {"inputs": {"a": 1}, "wait": True}).value)
    found = table(outcome["value"])
    assert found["guest"] == {"a": 1}
    assert (found["protect"], found["map"]) == ("Operation not permitted", "Operation not permitted")
    assert "Operation not permitted" in str(found["load"])


def test_the_filter_holds_on_every_thread_of_its_run(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home")) as kernel, kernel.client() as client:
        threads = [_status(one) for one in _service(kernel, client, tmp_path).glob("task/*/status")]
    assert len(threads) >= 4  # the loop's, two of libzmq's, the guest's
    assert {tuple(one[key] for key in ("Seccomp", "NoNewPrivs", "CapEff", "CapBnd")) for one in threads} == {
        ("2", "1", "0" * 16, "0" * 16)
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look into what is not dumpable")
def test_no_run_has_memory_that_is_written_and_executed(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home")) as kernel, kernel.client() as client:
        module = _rights(_service(kernel, client, tmp_path))
        client.call("kernel.stop", "guest")
        install(kernel, ECHO_HAND)
        client.call("echo.say", "", {"text": "up"})
        python = _rights(Path("/proc", str(only_run(client)["pid"])))
    assert ("r-xp", True) in module  # what was compiled
    assert ("r-xp", True) not in python
    assert not [rights for rights, _ in (*module, *python) if rights[1:3] == "wx"]


def _service(kernel: Kernel, client: Client, folder: Path) -> Path:
    """Where a service that has answered once is seen in /proc."""
    export = '(func (export "fine") (param i32 i32 i32 i32) (result i64) (i64.const 0))'
    more = '[provides."guest.fine"]\nsummary = "."\nresource = "none"\neffect = "read"\n'
    whole = f"(module {ALLOCATE} {export})"
    install(kernel, guest(folder / "guest", "", kind="service", whole=whole, more=more))
    client.call("guest.fine")
    return Path("/proc", str(only_run(client)["pid"]))


def _rights(process: Path) -> list[tuple[str, bool]]:
    """Of each mapping, what may be done there, and whether no file lies behind it."""
    rows = [line.split() for line in (process / "maps").read_text().splitlines()]
    return [(row[1], len(row) < 6) for row in rows]


def _status(path: Path) -> dict[str, str]:
    return {name: value.strip() for name, _, value in (line.partition(":") for line in path.read_text().splitlines())}
