"""Two commands at once: what another one removes meanwhile is passed over, and a removed Hand's secrets go in any case."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kernel.cli import compiling, installed, orphans, package, run_waiting, starting
from kernel.cli.client import Client
from kernel.cli.exits import NoKernel, NotDone
from kernel.cli.install import confirm_and_install
from kernel.cli.remove import remove_hand
from tests.cli.shell import Shell
from tests.living import ECHO, Kernel, install, make_home, write_hand
from tests.system.fates import until

OTHER = ECHO._replace(toml=ECHO.toml.replace("echo", "other"))


class Beside:
    """The operator's link, and what another command does as soon as a method was answered."""

    def __init__(self, client: Client, method: str, happens: Callable[[], object]) -> None:
        self.home = client.home
        self._client, self._method, self._happens = client, method, happens

    def call(self, method: str, *words: Any, **more: Any) -> Any:
        done = self._client.call(method, *words, **more)
        if method == self._method:
            self._happens()
        return done


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """With two Hands, each of which one test removes."""
    with Kernel(make_home(tmp_path_factory.mktemp("beside") / "home")) as kernel:
        for hand in (ECHO, OTHER):
            install(kernel, hand)
        yield kernel


def stale(kernel: Kernel, name: str) -> Path:
    """A file in compiled/ that no Hand runs, and that is old enough to go."""
    path = kernel.home / "compiled" / name
    path.write_bytes(b"")
    os.utime(path, (0, 0))
    return path


def test_of_several_starts_at_once_one_starts_the_kernel_and_the_others_wait_for_it(still: Shell) -> None:
    starts = [still.begin("up", "--json") for _ in range(3)]
    said = [json.loads(start.communicate()[0]) for start in starts]
    assert [start.returncode for start in starts] == [0, 0, 0], said
    assert len({one["pid"] for one in said}) == 1
    assert [one["started"] for one in said].count(True) == 1


def test_a_start_that_waits_for_another_ends_with_it(tmp_path: Path) -> None:
    lock = tmp_path / "run" / "lock"
    lock.parent.mkdir()
    folder = os.open(lock.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for holder in ("", "unknown", f"{os.getpid():<20}\n"):
            lock.write_text(holder)
            assert starting.wait_for_other(str(tmp_path), folder) == -1
        lock.unlink()
        assert starting.wait_for_other(str(tmp_path), folder) == -1
    finally:
        os.close(folder)


def test_a_hand_that_is_removed_while_what_was_compiled_is_swept_is_passed_over(kernel: Kernel) -> None:
    path = stale(kernel, "a")
    with kernel.client() as client, kernel.client() as second:
        beside: Any = Beside(client, "kernel.hands", lambda: second.call("kernel.remove", "other"))
        compiling.remove_unused(beside)
    assert not path.exists()


def test_a_file_that_another_sweep_removes_is_passed_over(kernel: Kernel) -> None:
    path = stale(kernel, "a")
    with kernel.client() as client:
        beside: Any = Beside(client, "kernel.hands", path.unlink)
        compiling.remove_unused(beside)
    assert not path.exists(), "nobody removed it meanwhile"


def test_a_removed_hands_secrets_are_gone_whatever_fails_after(kernel: Kernel) -> None:
    stale(kernel, "a")
    with kernel.client() as client:
        hand = installed.find(client, "echo")
        assert hand is not None
        files = [kernel.home / "keys" / f"{hand.id}.{kind}" for kind in ("secrets", "token")]
        for file in files:
            file.write_bytes(b"{}")

        def fails() -> None:
            raise NotDone("the kernel was stopped", "finishing")

        @contextmanager
        def linked() -> Iterator[Beside]:
            yield Beside(client, "kernel.hands", fails)

        session: Any = SimpleNamespace(home=str(kernel.home), client=linked)
        with pytest.raises(NotDone):
            remove_hand(session, "echo", purge=False)
    assert not any(file.exists() for file in files)


def test_whose_kernel_goes_down_in_order_while_a_run_is_waited_for_hears_how_it_goes_on() -> None:
    def goes_down(*_: object, **__: object) -> None:
        raise NotDone("the kernel went down", "finishing")

    client: Any = SimpleNamespace(call=goes_down)  # what a client hears then; a real kernel would take a second for it
    with pytest.raises(NoKernel, match="the kernel went down: `maniple up` starts it again"):
        run_waiting.await_outcome(client, "r-1", lambda: None)


def _with_secrets(of: Kernel | Shell, hand: str) -> list[Path]:
    """What a Hand may have in keys/, with what a kernel that was killed left of it."""
    files = [of.home / "keys" / f"{hand}.{kind}" for kind in ("secrets", "secrets.new", "token")]
    for file in files:
        file.write_bytes(b"{}")
    return files


def test_secrets_that_a_killed_removal_left_go_with_the_same_words_again(kernel: Kernel) -> None:
    left, theirs = (_with_secrets(kernel, str(install(kernel, hand)["hand"])) for hand in (ECHO, OTHER))
    with kernel.client() as client:
        client.call("kernel.remove", "echo")
    shell = Shell(kernel.home)
    ran = shell.run("remove", "echo")
    assert (ran.code, ran.out) == (0, "echo was removed before; what it left is gone now.\n")
    assert not any(file.exists() for file in left)
    assert all(file.exists() for file in theirs), "another Hand's"
    assert shell.run("remove", "echo").code == 1
    with kernel.client() as client:
        client.call("kernel.remove", "other")


@pytest.mark.wide
def test_secrets_that_a_killed_removal_left_go_when_the_kernel_starts(still: Shell) -> None:
    _with_secrets(still, "h-0123456789abcdef")
    still.good("up")
    assert not [*(still.home / "keys").glob("h-*")]


def test_secrets_that_a_killed_kernel_was_about_to_keep_go_when_the_next_one_starts(still: Shell) -> None:
    still.good("up")
    secret = '[settings.word]\ntype = "string"\nsecret = true\n'
    hand = write_hand(still.home.parent / "echo", ECHO._replace(toml=ECHO.toml + secret))
    still.good("install", hand, "--yes")
    still.good("settings", "echo", "--secret", "word", stdin="hush\n")
    keys = still.home / "keys"
    (kept,) = keys.glob("h-*")
    still.good("down")
    word, token = kept.name[:18], keys / f"{kept.name[:18]}.token"
    drafts = [keys / f"{word}.{end}" for end in ("secrets", "secrets.new", "0123456789abcdef.secrets")]
    for file in (*drafts, token):
        file.write_bytes(b"{}")
        os.utime(file, (0, 0))
    still.good("up")
    assert sorted(keys.glob("h-*")) == sorted([kept, token])
    drafts[2].write_bytes(b"{}")  # as if the kernel were writing it now
    with Client(str(still.home)) as client:
        orphans.remove_orphans(client, 1.0)
    assert drafts[2].exists()


def test_what_a_look_left_that_was_killed_while_it_removed_its_hand_goes_with_the_next(kernel: Kernel) -> None:
    """Its Hand is there no more, and nobody knows its name; that it was one the lock tells, which nobody holds."""
    name = "mcp-look-0123abcd"
    told = install(kernel, ECHO._replace(toml=ECHO.toml.replace("echo", name)))
    with kernel.client() as client:
        client.call(f"{name}.say", "", {"text": "hi"})
        client.call("kernel.remove", name)
    kept, printed = kernel.home / "state" / str(told["hand"]), kernel.home / "output" / f"{name}.log"
    (kept / "note").write_text("what its server kept")
    printed.write_text("what its server printed")
    for lock in (name, "mcp-look-89abcdef"):
        (kernel.home / "run" / f"{lock}.lock").touch()
    ran = Shell(kernel.home).run("mcp", "list")
    assert ran.code == 0, ran
    assert not kept.exists()
    assert not printed.exists()
    assert not [*(kernel.home / "run").glob("mcp-look-*")]


def test_an_upgrade_of_a_hand_that_is_removed_meanwhile_is_refused_and_leaves_nothing(
    kernel: Kernel, tmp_path: Path
) -> None:
    """What is granted with an upgrade is only what is new: as a Hand of its own it would hold nothing else."""
    install(kernel, ECHO)
    later = package.read(str(write_hand(tmp_path / "echo", ECHO._replace(toml=ECHO.toml.replace("1.0.0", "1.1.0")))))
    said: list[str] = []
    session: Any = SimpleNamespace(home=str(kernel.home), say=said.append)
    with kernel.client() as client, kernel.client() as second:
        beside: Any = Beside(client, "kernel.home", lambda: second.call("kernel.remove", "echo"))
        with pytest.raises(NotDone, match="echo was removed, or another one installed, since you were asked"):
            confirm_and_install(session, beside, later, yes=True, next_="")
        assert installed.find(client, "echo") is None
    assert any("an upgrade of 1.0.0" in line for line in said)
    until(lambda: not [*(kernel.home / "hands").glob("echo-*")], "both folders are gone")
