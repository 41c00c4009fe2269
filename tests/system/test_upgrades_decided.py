"""What the operator sees and decides of replaced versions: also by an earlier id of an upgraded run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernel.cli.exits import NotDone
from tests.living import Kernel, make_home
from tests.system import chaos
from tests.system.chaos import value
from tests.system.fates import call, entry
from tests.system.upgraded import put_in, sleeping


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        chaos.prepare(kernel)
        yield kernel


def test_a_decision_about_a_run_that_began_anew_is_about_the_one_that_goes_on_instead(kernel: Kernel) -> None:
    put_in(kernel, "1.0.0", "restart")
    first = sleeping(kernel, seconds=1.0)
    put_in(kernel, "1.1.0", "ask")
    again = str(entry(kernel.home, "run.start", instead=first).run)
    with pytest.raises(NotDone, match=f"no run '{first}', which was begun anew as {again}, waits for a decision"):
        call(kernel, "kernel.decide", first, {"how": "finish"})
    put_in(kernel, "1.2.0", "finish")
    entry(kernel.home, "decision", run=again)  # its process is gone, and it waits
    decided: Any = call(kernel, "kernel.decide", first, {"how": "finish"})
    assert decided["runs"] == [{"run": again, "goes_on_as": again}]
    assert value(kernel, first) == "1.1.0"


def test_of_a_hand_its_own_replaced_versions_are_shown_and_the_confinement_of_a_process(kernel: Kernel) -> None:
    put_in(kernel, "1.0.0", "ask")
    waits = sleeping(kernel, seconds=5.0)
    put_in(kernel, "1.1.0")
    entry(kernel.home, "decision", run=waits)  # it has no process, and is the first of its Hand's runs
    sleeping(kernel, seconds=5.0)
    steady: Any = call(kernel, "kernel.show", "steady")
    assert steady["confinement"]
    ledger: Any = call(kernel, "kernel.show", "ledger")
    assert [old["version"] for old in steady["kept"]] == ["1.0.0"]
    assert ledger["kept"] == []
