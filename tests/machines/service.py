"""Maniple as a service of systemd's, set up by the commands and the unit that docs/home.md prints.

test_systemd.py runs it in a guest. Its tests are in order: each goes on with the service as the one before it left it.
"""

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from kernel.cli import live_runs
from kernel.cli.replies import LiveRun
from kernel.digests import PACKAGES
from tests.living import ECHO, ROOT, Kernel, Source, install
from tests.system.fates import begin, call, entries, entry, outcome, until, verified

PAGE: Final = (ROOT / "docs" / "home.md").read_text().partition("## As a service of the machine")[2]
UNIT: Final = PAGE.partition("```ini\n")[2].partition("```")[0]
SET_UP: Final = PAGE.partition("```sh\n")[2].partition("```")[0]
GROUPS: Final = Path("/sys/fs/cgroup")
LONG: Final = 300.0
"""Seconds that an emulated machine may take for what a command or a start does."""

NAP: Final = Source(
    """
[hand]
name = "nap"
version = "1.0.0"
description = "Sleeps, and says so."
entry = "main:Nap"
kind = "task"
autonomy = "full"
""",
    """
from runtime import Hand


class Nap(Hand):
    async def run(self, seconds: float) -> dict[str, object]:
        await self.sleep(seconds)
        return {"slept": True}
""",
)

STUCK: Final = Source(
    ECHO.toml.replace("echo", "stuck").replace("Echo", "Stuck"),
    """
import asyncio
import time

from runtime import Call, Hand


class Stuck(Hand):
    async def say(self, call: Call, text: str) -> dict[str, object]:
        asyncio.get_running_loop().call_later(0.1, time.sleep, 1000)
        return {"text": text}
""",
)
"""It answers, and then hears of nothing any more, of no signal either."""


def _do(*words: str) -> str:
    """Run a command as root, whoever this process is."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=LONG, check=False, user=0, group=0)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def _property(name: str) -> str:
    return _do("systemctl", "show", "--property", name, "--value", "maniple").strip()


def _answers(home: Path) -> Kernel:
    """The kernel of this home, which systemd started, when it answers."""
    kernel = Kernel(home)

    def is_there() -> bool:
        try:
            call(kernel, "kernel.ps")
        except Exception:  # noqa: BLE001 - whatever it is that a kernel which begins does not do yet
            return False
        return True

    assert until(is_there, "the kernel answers", LONG)
    return kernel


def _run_of_echo(kernel: Kernel) -> LiveRun:
    assert call(kernel, "echo.say", "", {"text": "here"}, seconds=LONG) == {"text": "here"}
    with kernel.client() as client:
        return next(run for run in live_runs.fetch_all(client) if run.hand == "echo")


def _group(pid: int) -> Path:
    (line,) = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return GROUPS / line.removeprefix("0::/")


def _become(user: int, group: int) -> None:
    """Homes are their users' alone."""
    os.seteuid(0)
    os.setegid(group)
    os.seteuid(user)


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    """Maniple where the page has it, compiled, since no user of it may write there."""
    subprocess.run([sys.executable, "-m", "compileall", "-qq", *PACKAGES], cwd=ROOT, check=True)
    place = Path("/opt/maniple/.venv/bin/maniple")
    place.parent.mkdir(parents=True)
    place.write_bytes(Path("/usr/local/bin/maniple").read_bytes())
    place.chmod(0o755)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """The service's home, whose user this process is until the last of these tests."""
    Path("/etc/systemd/system/maniple.service").write_text(UNIT)
    _do("sh", "-e", "-c", SET_UP)
    user = pwd.getpwnam("maniple")
    _become(user.pw_uid, user.pw_gid)
    yield Path("/var/lib/maniple/home")
    _become(0, 0)


@pytest.fixture(scope="module")
def kernel(home: Path) -> Kernel:
    kernel = _answers(home)
    for source in (ECHO, NAP, STUCK):
        install(kernel, source)
    return kernel


def test_systemd_has_no_objection_to_the_unit(home: Path) -> None:
    assert _do("systemd-analyze", "verify", "maniple.service") == ""
    assert (_property("ActiveState"), _property("User")) == ("active", "maniple")


def test_runs_lie_in_groups_of_their_own_within_the_services(kernel: Kernel) -> None:
    run = _run_of_echo(kernel)
    assert set(run.lacking) == {"user-id"}
    group = _group(run.pid)
    service = GROUPS / "system.slice" / "maniple.service"
    assert (group.parent.parent, _group(int(_property("MainPID")))) == (service, service / "kernel")
    assert (group / "memory.max").read_text() != "max\n"


def test_systemd_reads_its_units_again_and_the_groups_stay(kernel: Kernel) -> None:
    group = _group(_run_of_echo(kernel).pid)
    _do("systemctl", "daemon-reload")
    _do("systemctl", "set-property", "--runtime", "maniple.service", "MemoryMax=2G")
    assert (group / "memory.max").exists()
    assert _group(_run_of_echo(kernel).pid) == group


def test_a_kernel_that_is_killed_is_started_again_and_unfinished_runs_go_on(kernel: Kernel) -> None:
    with kernel.client() as client:
        run = begin(client, "nap", seconds=40)
    entry(kernel.home, "run.confined", run=run, seconds=LONG)
    pid = _property("MainPID")
    _do("kill", "-9", pid)
    assert until(lambda: _property("NRestarts") == "1", "it is started again", LONG)
    with _answers(kernel.home).client() as client:
        assert outcome(client, run)["value"] == {"slept": True}
    assert _property("MainPID") != pid
    assert len(entries(kernel.home, "kernel.start")) > 1


def test_a_restart_stops_it_in_order_and_unfinished_runs_go_on(kernel: Kernel) -> None:
    with kernel.client() as client:
        run = begin(client, "nap", seconds=40)
    entry(kernel.home, "run.confined", run=run, seconds=LONG)
    stops = len(entries(kernel.home, "kernel.stop"))
    _do("systemctl", "restart", "maniple")
    assert len(entries(kernel.home, "kernel.stop")) == stops + 1
    with _answers(kernel.home).client() as client:
        assert outcome(client, run)["value"] == {"slept": True}


def test_a_stop_ends_with_0_within_its_time_whatever_a_run_does(kernel: Kernel) -> None:
    call(kernel, "stuck.say", "", {"text": "now"}, seconds=LONG)
    _do("systemctl", "stop", "maniple")
    assert (_property("Result"), _property("ExecMainCode"), _property("ExecMainStatus")) == ("success", "1", "0")
    assert _property("ActiveState") == "inactive"
    assert not (GROUPS / "system.slice" / "maniple.service").exists()
    assert verified(kernel.home).size == len(entries(kernel.home))
    assert {one.kind for one in entries(kernel.home)[-3:]} >= {"kernel.stop", "snapshot"}
