"""The kernel is killed within a login, at each of its steps: afterwards one is logged in or not, and never half."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from urllib.error import URLError

import pytest

from runtime.mcp.kept import FILE
from tests.cli import logging_in
from tests.cli.logging_in import Page, do
from tests.cli.shell import Shell
from tests.living import Kernel, files_containing
from tests.system.authority import Shop, nothing, running
from tests.system.fates import PATIENCE
from tests.system.mcp_servers import reaching_here

pytestmark = pytest.mark.wide
NAME = "mortal"
STEPS = (
    "POST /mcp",
    "GET /.well-known/oauth-protected-resource/mcp",
    "GET /.well-known/oauth-authorization-server",
    "POST /register",
    "GET /authorize",
    "POST /token",
)
"""What is asked in a login, in this order."""


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with running() as shop:
        yield shop


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory, shop: Shop) -> Iterator[Kernel]:
    with reaching_here(tmp_path_factory.mktemp("mortal") / "home") as kernel:
        logging_in.install(kernel, shop, NAME)
        yield kernel


@pytest.fixture
def shell(kernel: Kernel, shop: Shop) -> Iterator[Shell]:
    """Nobody is logged in."""
    shell = Shell(kernel.home)
    shell.good("mcp", "logout", NAME)
    yield shell
    shop.before = shop.after = nothing


class Killer:
    """Kills the kernel when a row is seen, so many seconds later."""

    def __init__(self, kernel: Kernel, row: str, later: float = 0.0) -> None:
        self._kernel, self._row, self._later = kernel, row, later
        self._turn = threading.Lock()
        self.done = threading.Event()

    def __call__(self, row: str) -> None:
        """Look at one."""
        with self._turn:
            if row == self._row and not self.done.is_set():
                time.sleep(self._later)
                self._kernel.kill()
                self.done.set()


def at_page(shell: Shell) -> None:
    """A person logs in, and nothing happens."""
    page = Page(shell, NAME)
    page.open()
    assert page.end().code == 0


def logs_in_until_killed(shell: Shell, killer: Killer) -> None:
    """A person logs in, whose command ends with an error when the kernel is gone, or before that, well."""
    page = Page(shell, NAME)
    if page.url:
        with suppress(URLError, OSError):
            page.open()
    assert killer.done.wait(PATIENCE)
    page.end()


def is_whole(kernel: Kernel, shell: Shell, shop: Shop) -> bool:
    """After another start; whether one is logged in. All else fails."""
    kernel.up()
    found = [path for path in files_containing(kernel.home, *shop.given) if path.name == FILE]
    (tokens,) = [json.loads(path.read_bytes()).get("tokens") for path in found] or [None]
    ran = do(shell, NAME)
    left = files_containing(kernel.home, *shop.given)
    assert {path.name for path in left} <= {FILE}, "what a cut write left is gone when the server's Hand has started"
    assert ("done" in ran.out, f"`maniple mcp login {NAME}`" in ran.err) == (bool(tokens), not tokens), ran.err
    return bool(tokens)


def everything_is_as_ever(kernel: Kernel, shell: Shell, shop: Shop) -> None:
    """One can log in, and no token is where none should be."""
    shop.before = shop.after = nothing
    shell.good("mcp", "logout", NAME)
    at_page(shell)
    assert "done" in do(shell, NAME).out
    assert [path.name for path in files_containing(kernel.home, *shop.given)] == [FILE]
    shell.good("audit", "verify")


@pytest.mark.parametrize("step", STEPS)
def test_a_login_whose_kernel_is_killed_before_it_is_done_is_none(
    kernel: Kernel, shell: Shell, shop: Shop, step: str
) -> None:
    shop.before = killer = Killer(kernel, step)
    logs_in_until_killed(shell, killer)
    shop.before = nothing
    assert not is_whole(kernel, shell, shop)
    everything_is_as_ever(kernel, shell, shop)


@pytest.mark.parametrize("later", [0.0, 0.003, 0.01, 0.03, 0.1])
def test_a_login_whose_kernel_is_killed_while_it_is_written_is_one_or_none(
    kernel: Kernel, shell: Shell, shop: Shop, later: float
) -> None:
    shop.after = killer = Killer(kernel, "POST /token", later)
    logs_in_until_killed(shell, killer)
    shop.after = nothing
    is_whole(kernel, shell, shop)
    everything_is_as_ever(kernel, shell, shop)


@pytest.mark.parametrize("step", [*STEPS[1:], ""])
def test_a_second_login_that_is_cut_off_leaves_the_first_one_or_is_done(
    kernel: Kernel, shell: Shell, shop: Shop, step: str
) -> None:
    """The first is one whose token no longer lets in, but whose refresh token still counts."""
    at_page(shell)
    shop.valid.clear()
    shop.ways["busy"] = 503
    assert f"`maniple mcp login {NAME}`" in do(shell, NAME).err
    del shop.ways["busy"]
    killer = Killer(kernel, step or "POST /token")
    shop.before, shop.after = (killer, nothing) if step else (nothing, killer)
    logs_in_until_killed(shell, killer)
    shop.before = shop.after = nothing
    assert is_whole(kernel, shell, shop)
    everything_is_as_ever(kernel, shell, shop)
