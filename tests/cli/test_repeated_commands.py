"""A command that was killed is typed again: what it left is taken away, or made whole, and it says so."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.cli import installing, mcp_servers, package
from manifests.grants import requested
from manifests.mcp.folder import Wanted, setting_of
from manifests.mcp.tools import Offer
from tests.cli.shell import Shell, is_one_clear_line
from tests.living import ROOT, Kernel, install, make_home, write_hand
from tests.living import Source as Texts

SECRET = "token-of-a-server-that-is-gone"
CLOCK = Wanted(name="clock", version="1.0.0", command=("true",), environment=("TOKEN",))


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("again") / "home")) as kernel:
        yield kernel


def kept(kernel: Kernel, hand: str, name: str) -> list[Path]:
    """What a Hand keeps that ran and printed."""
    state, printed = kernel.home / "state" / hand, kernel.home / "output" / f"{name}.log"
    state.mkdir(exist_ok=True)
    (state / "tokens").write_text(SECRET)
    printed.write_text("what it printed")
    return [state, printed]


def test_a_server_whose_removal_was_killed_leaves_nothing_when_it_is_removed_again(kernel: Kernel) -> None:
    hand, shell = mcp_servers.make_folder(CLOCK, Offer(), {}), Shell(kernel.home)
    with kernel.client() as client:
        seal = package.make_seal(hand, installing.sealing_key(client))
        told = installing.install(client, hand, seal, requested(hand.manifest), as_declared=True)
    assert isinstance(told, dict)
    shell.good("settings", "mcp-clock", "--secret", setting_of("TOKEN"), stdin=f"{SECRET}\n")
    (file,) = (kernel.home / "keys").glob(f"{told['hand']!s}.*")
    left = [file, *kept(kernel, str(told["hand"]), "mcp-clock")]
    with kernel.client() as client:
        client.call("kernel.remove", "mcp-clock")  # and here the command was killed
    assert all(one.exists() for one in left)
    assert shell.good("mcp", "remove", "clock") == "mcp-clock was removed before; what it left is gone now.\n"
    assert not [one for one in left if one.exists()]
    ran = shell.run("mcp", "remove", "clock")
    assert (ran.code, "there is no MCP server clock: see" in ran.err) == (1, True)


def test_a_pipeline_whose_removal_was_killed_tells_what_takes_away_the_rest(kernel: Kernel, tmp_path: Path) -> None:
    file, shell = tmp_path / "nightly.pipeline.toml", Shell(kernel.home)
    shell.good("install", write_hand(tmp_path / "greeter", GREETER), "--yes")
    file.write_text(NIGHTLY)
    shell.good("pipeline", "add", file, "--yes")
    printed = kernel.home / "output" / "nightly.log"
    printed.write_text("what its runs printed")
    with kernel.client() as client:
        client.call("kernel.remove", "nightly")
    ran = shell.run("pipeline", "remove", "nightly")
    assert (ran.code, is_one_clear_line(ran)) == (1, True)
    assert "`maniple remove nightly --purge`" in ran.err
    shell.good("remove", "nightly", "--purge", "--yes")
    assert not printed.exists()
    assert "see `maniple pipeline list`" in shell.run("pipeline", "remove", "nightly").err


def test_skills_whose_last_removal_was_killed_leave_nothing_when_it_is_typed_again(kernel: Kernel) -> None:
    shell = Shell(kernel.home)
    hand = str(install(kernel, SKILLS)["hand"])
    left = kept(kernel, hand, "skills")
    with kernel.client() as client:
        client.call("kernel.remove", "skills")
    assert "what they left is gone now" in shell.good("skills", "remove", "mail")
    assert not [one for one in left if one.exists()]
    assert "no skill mail is installed alone" in shell.run("skills", "remove", "mail").err


def test_a_token_whose_making_was_killed_is_none_or_whole_and_the_next_look_has_one(tmp_path: Path) -> None:
    home, hand = make_home(tmp_path / "home"), "h-0123456789abcdef"
    path, step = home / "keys" / f"{hand}.token", 0
    while True:
        path.unlink(missing_ok=True)
        killed = _token(step, home, hand)
        if killed.returncode == 0:
            break
        assert killed.returncode == -signal.SIGKILL
        before = path.read_text() if path.exists() else ""
        assert len(before) in (0, 44), f"half a token, killed before step {step}"
        drafts = [one for one in path.parent.glob("h-*") if one != path]
        assert not [one for one in drafts if stat.S_IMODE(one.stat().st_mode) & 0o077]
        token = _token(-1, home, hand)
        assert (token.returncode, token.stdout) == (0, path.read_text())
        assert before in ("", path.read_text()), "one that was made stays"
        step += 1
    assert step >= 4
    assert [one.name for one in path.parent.glob("h-*")] == [path.name]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def _token(step: int, home: Path, hand: str) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-m", "tests.cli.mortal", str(step), str(home), hand]
    return subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env={**os.environ}, check=False, timeout=60)


GREETER = Texts(
    """
[hand]
name = "greeter"
version = "1.0.0"
description = "Greets."
entry = "main:Greeter"
kind = "task"
autonomy = "readonly"
""",
    """
from runtime import Hand


class Greeter(Hand):
    async def run(self) -> object:
        return {}
""",
)
NIGHTLY = """
[pipeline]
name = "nightly"
version = "1.0.0"
description = "Greets."

[steps.one]
hand = "greeter"
"""
SKILLS = Texts(
    """
[hand]
name = "skills"
version = "1.0.0"
description = "Stands for the Hand that holds the skills."
entry = "main:Skills"
kind = "service"
autonomy = "readonly"
""",
    """
from runtime import Hand


class Skills(Hand):
    pass
""",
)
