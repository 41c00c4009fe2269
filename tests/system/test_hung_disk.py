"""A disk that takes nothing more, and gives no error either: what waits for it is bounded, and the emergency stop works."""

import resource
import time
from pathlib import Path

import pytest

from kernel.cli import client as link
from kernel.cli import silence
from kernel.cli.client import Client
from kernel.cli.exits import Ended
from tests.cli.shell import Shell
from tests.living import ECHO, Kernel, Source, install, make_home
from tests.system.fates import begin, ended, entries, pid_of, runs, table, until, verified
from tests.system.hung_disk import BEHIND
from tests.system.test_power_cut import LEDGER

REFUSED = "the log cannot be written: File too large"
TELLER = Source(
    """
[hand]
name = "teller"
version = "1.0.0"
description = "Says when it has heard that its effect is done."
entry = "main:Teller"
kind = "task"
autonomy = "full"

[capabilities]
"ledger.write" = ["*"]
""",
    """
from runtime import Hand


class Teller(Hand):
    async def run(self):
        await self.kernel.call("ledger.write")
        await self.progress(1, 1, "heard")
        await self.sleep(60)
""",
)


def _use_until_nothing_is_taken(client: Client) -> None:
    how = ""
    for _ in range(BEHIND[-1]):
        if (how := ended(client, "kernel.show", "echo")) != "done":
            break
    assert how == "log"


def test_freeze_ends_every_run_also_when_as_much_waits_for_a_hung_disk_as_may(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home"), "tests.system.hung_disk") as kernel:
        install(kernel, ECHO)
        with kernel.client() as client:
            client.call("echo.say", "", {"text": "hi"})
            run = pid_of(kernel, "echo")
            hung = kernel.home / "run" / "hung"
            hung.touch()
            _use_until_nothing_is_taken(client)
            assert ended(client, "echo.say", "", {"text": "hi"}) == "log"
            begun = time.monotonic()
            assert table(client.call("kernel.freeze", seconds=5).value)["frozen"] is True
            assert time.monotonic() - begun < 5
            until(lambda: not Path(f"/proc/{run}").exists(), "its run is ended")
            hung.unlink()
            until(lambda: ended(client, "kernel.status") == "done", "the disk takes it")
            assert ended(client, "echo.say", "", {"text": "hi"}) == "frozen"
        until(lambda: len(entries(kernel.home, "freeze")) == 1, "it is on disk")
        kernel.kill()
        kernel.up()
        with kernel.client() as client:
            assert table(client.call("kernel.status").value)["frozen"] is True
            assert "Traceback" not in kernel.log()


def test_a_run_hears_how_an_effect_ended_only_when_that_is_on_disk(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home"), "tests.system.hung_disk") as kernel:
        install(kernel, LEDGER)
        install(kernel, TELLER)
        hung, end = kernel.home / "run" / "hung", '"kind":"end","method":"ledger.write"'
        hung.write_text(end)
        with kernel.client() as client:
            begin(client, "teller")
            until(lambda: end in (kernel.home / "log" / "entries" / "000000.jsonl").read_text(), "the call has ended")
            heard_by = time.monotonic() + 0.3
            while time.monotonic() < heard_by:
                assert runs(kernel, "teller")[0]["progress"] is None
            hung.unlink()
            until(lambda: runs(kernel, "teller")[0]["progress"], "the run has heard it")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command asks what it waits for after a moment, not after seconds."""
    for where, name in ((link, "TICK"), (silence, "FIRST"), (silence, "AGAIN")):
        monkeypatch.setattr(where, name, 0.2)


@pytest.mark.usefixtures("impatient")
def test_a_change_that_was_made_but_is_not_on_disk_is_told_as_that(tmp_path: Path) -> None:
    said: list[str] = []
    with (
        Kernel(make_home(tmp_path / "home"), "tests.system.hung_disk") as kernel,
        Client(str(kernel.home), say=said.append) as client,
    ):
        client.call("kernel.status")
        (kernel.home / "run" / "hung").write_text('"kind":"root.add"')
        with pytest.raises(Ended, match="did this, but cannot record it: it does not answer; it holds if .* `maniple"):
            client.call("kernel.root-add", "usr", {"path": "/usr"})
        assert len(said) == 1
        (kernel.home / "run" / "hung").unlink()
        with Client(str(kernel.home), is_written=True) as client:
            assert len(entries(kernel.home, "root.add")) == 1
            (kernel.home / "run" / "hung").write_text('"kind":"freeze"')
            assert client.call("kernel.freeze").value == {"frozen": True, "ended": 0, "recorded": False}
            (kernel.home / "run" / "hung").unlink()
            assert client.call("kernel.freeze").value == {"frozen": True, "ended": 0, "recorded": True}


@pytest.mark.usefixtures("impatient")
def test_on_a_disk_that_refuses_the_log_a_change_is_given_up_and_never_made_and_down_works(tmp_path: Path) -> None:
    said: list[str] = []
    with Kernel(make_home(tmp_path / "home")) as kernel:
        with Client(str(kernel.home), say=said.append) as client:
            client.call("kernel.status")
            resource.prlimit(kernel.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            with pytest.raises(Ended, match="nothing was done, as .*File too large.* `maniple status`") as ended:
                client.call("kernel.root-add", "usr", {"path": "/usr"})
            assert ended.value.code == 1
            assert len(said) == 1
            assert f"Waiting for the disk of {kernel.home} to take the log: {REFUSED}" in said[0]
        ran = Shell(kernel.home).run("down")
        assert (ran.code, f"The log may lack its last entries: {REFUSED}" in ran.err) == (0, True)
    kernel.up()
    assert entries(kernel.home, "root.add") == []
    kernel.down()
    verified(kernel.home)
