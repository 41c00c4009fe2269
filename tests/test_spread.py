"""Some of a test's cases run each time, the others in `./just soak`: every case is in one of them."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.living import ROOT
from tests.spread import spread

LEAN: Final = [word for plugin in ("anyio", "hypothesispytest", "xdist") for word in ("-p", f"no:{plugin}")]
"""Without the plugins that take long to be imported and have no part in this."""


def _run(found: list[object], *, wide: bool) -> list[object]:
    return [case.values[0] for case in spread(found, 3) if bool(case.marks) is wide]


def test_as_many_as_are_wanted_run_from_all_over_and_none_is_lost() -> None:
    found: list[object] = [*range(10)]
    assert _run(found, wide=False) == [0, 3, 6]
    assert _run(found, wide=True) == [1, 2, 4, 5, 7, 8, 9]


def test_of_fewer_all_run() -> None:
    assert _run([1, 2], wide=False) == [1, 2]
    assert spread([], 3) == []


def test_what_a_case_is_called_and_marked_stays() -> None:
    mark = pytest.mark.skipif(False, reason="")
    first, second = spread([(1, 2), pytest.param(3, 4, id="named", marks=mark)], 1)
    assert (first.values, second.values, second.id) == ((1, 2), (3, 4), "named")
    assert [one.name for one in second.marks] == ["skipif", "wide"]


def test_the_wide_ones_are_left_out_by_default_and_run_by_their_mark(tmp_path: Path) -> None:
    (tmp_path / "test_two.py").write_text(
        "import pytest\nfrom tests.spread import spread\n"
        "@pytest.mark.parametrize('n', spread([1, 2], 1))\ndef test_it(n):\n    print('ran', n)\n"
    )
    said = []
    for chosen in ([], ["-m", "wide"]):
        command = [sys.executable, "-m", "pytest", "-q", "-s", "-c", str(ROOT / "pyproject.toml"), *LEAN, *chosen]
        done = subprocess.run([*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True)
        said.append([number for number in "12" if f"ran {number}" in done.stdout])
    assert said == [["1"], ["2"]]
