"""A disk that takes nothing more, and gives no error either: what waits for it is bounded, and the emergency stop works."""

import resource
import time
from pathlib import Path

from kernel.cli.client import Client
from tests.cli.shell import Shell
from tests.living import ECHO, Kernel, install, make_home
from tests.system.fates import ended, entries, pid_of, table, until, verified
from tests.system.hung_disk import BEHIND


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


def test_down_stops_a_kernel_whose_disk_refuses_the_log(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, ECHO)
        with kernel.client() as client:
            client.call("echo.say", "", {"text": "hi"})
            resource.prlimit(kernel.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            until(lambda: ended(client, "echo.say", "", {"text": "hi"}) == "log", "the log takes nothing")
        ran = Shell(kernel.home).run("down")
        assert (
            ran.code,
            "The log may lack its last entries: the log cannot be written: File too large" in ran.err,
        ) == (0, True)
    kernel.up()
    kernel.down()
    verified(kernel.home)
