"""What holds on a Linux that lacks some of what Maniple uses: all tell it, and where it is required, nothing starts.

For the guest of Debian 12: Linux 6.1 has version 2 of Landlock. test_old_linux.py runs it there.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from kernel.cli import live_runs, machine
from manifests.confinement.layers import LAYERS
from tests.attacks.puppet import puppet
from tests.cli.shell import Shell
from tests.living import ECHO, Kernel, Source, install, make_home
from tests.system.fates import call, entry, table

LACKS: Final = ("landlock-tcp", "landlock-scopes")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("old") / "home")) as kernel:
        install(kernel, puppet("plain", (), {}))
        yield kernel


def _start(kernel: Kernel, hand: str) -> dict[str, object]:
    inputs = {"code": "def attack(hand, given): return 'ran'", "given": {}}
    return dict(table(call(kernel, "kernel.start", hand, {"inputs": inputs, "wait": True})))


def test_the_doctor_tells_which_version_of_landlock_this_is_and_what_it_leaves() -> None:
    found = {one.what: one for one in machine.inspect("/")}
    assert found["Landlock"].state == "weak"
    assert found["Landlock"].found.startswith("version 2, which leaves truncating, TCP, devices, signals and abstract")
    assert "6.12" in found["Landlock"].mend


def test_the_doctor_misses_nothing_without_which_maniple_does_not_run() -> None:
    assert machine.lacking(machine.inspect("/")) == ""


def test_a_run_works_and_what_it_lacks_stands_in_the_log(kernel: Kernel) -> None:
    met = _start(kernel, "plain")
    assert met["value"] == {"got": "ran"}
    missing = entry(kernel.home, "run.confined", run=met["run"]).detail["missing"]
    assert isinstance(missing, list)
    assert set(missing) == set(LACKS)


def test_show_and_ps_tell_the_same_of_a_run_that_lives(kernel: Kernel) -> None:
    install(kernel, ECHO)
    call(kernel, "echo.say", "", {"text": "still here"})
    with kernel.client() as client:
        (run,) = live_runs.fetch_all(client)
    told = Shell(kernel.home).good("show", "echo").partition("but not by")[2]
    assert set(run.lacking) == set(LACKS)
    assert all(name in told for name in LACKS)


@pytest.mark.parametrize("layer", LACKS)
def test_a_hand_that_requires_what_is_not_here_does_not_start_and_says_how_to_mend_it(
    layer: str, kernel: Kernel
) -> None:
    source = puppet(f"needs-{layer}", (), {})
    install(kernel, Source(f'{source.toml}\n[confinement]\nrequire = ["{layer}"]\n', source.main))
    met = _start(kernel, f"needs-{layer}")
    (mend,) = (one.mend for one in LAYERS if one.name == layer)
    assert (met["outcome"], met["code"]) == ("refused", "confinement"), met
    assert f"it requires {layer}, which it would not have here ({layer}: {mend})" in str(met["text"])


def test_a_home_that_requires_it_starts_nothing(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    settings = home / "home.toml"
    settings.write_text(f'{settings.read_text()}\nrequire = ["landlock-scopes"]\n')
    with Kernel(home) as kernel:
        install(kernel, puppet("plain", (), {}))
        met = _start(kernel, "plain")
    assert (met["outcome"], met["code"]) == ("refused", "confinement"), met
