"""A full day's work passes under the filter, and what needs a profile is refused without it and passes with it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

from kernel.process import seccomp
from manifests.confinement.allowed import Profile
from tests import libffi
from tests.kernel.seccomp_workload import PIECES
from tests.spread import spread

pytestmark = pytest.mark.skipif(not seccomp.available(), reason="this machine has no filter of system calls")

ROOT: Final = Path(__file__).resolve().parent.parent.parent
WITH: Final[Mapping[str, Profile]] = {
    **dict.fromkeys(("program", "shell", "interpreter", "node", "callback"), Profile.EXEC),
    **dict.fromkeys(("connection", "interfaces"), Profile.INET),
}
"""The pieces of work that need a profile."""

ALSO: Final[Mapping[str, Profile]] = {"connection": Profile.PROXY}
"""Another profile that allows a piece, together with `exec`."""

REFUSED: Final[Mapping[str, str]] = {"callback": "MemoryError"}
"""What a piece raises without its profile, if not PermissionError."""


@cache
def _results(*profiles: Profile) -> Mapping[str, str]:
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.kernel.seccomp_workload", folder, *profiles]
        done = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr.decode()
        results = json.loads(done.stdout)
    assert isinstance(results, dict)
    assert tuple(results) == PIECES
    return results


def _skip_what_is_not_here(piece: str) -> None:
    if piece == "callback" and not libffi.makes_code():
        pytest.skip("the libffi on this machine brings the code of callbacks with it, and makes none")
    if piece == "node" and shutil.which("node") is None:
        pytest.skip("Node.js is not on this machine")


@pytest.mark.parametrize("piece", spread([piece for piece in PIECES if piece not in WITH], 7))
@pytest.mark.parametrize("profiles", [(), (Profile.EXEC,), (Profile.INET,), tuple(Profile)], ids="+".join)
def test_work_of_every_run_passes_under_every_filter(piece: str, profiles: tuple[Profile, ...]) -> None:
    assert _results(*profiles)[piece] == "done"


@pytest.mark.parametrize("piece", WITH)
def test_work_that_needs_a_profile_passes_with_it_and_is_refused_without(piece: str) -> None:
    _skip_what_is_not_here(piece)
    assert _results(WITH[piece])[piece] == "done"
    assert _results(*Profile)[piece] == "done"
    others = [profile for profile in Profile if profile not in (WITH[piece], ALSO.get(piece))]
    for without in (_results(), _results(*others)):
        assert REFUSED.get(piece, "PermissionError") in without[piece]
