"""Homes for tests of the command line, made by the command line itself: one with a running kernel, shared, and copies."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shell import Shell, copied_home
from tests.living import ECHO, Source, write_hand

GREETER = Source(
    """
[hand]
name = "greeter"
version = "1.0.0"
description = "Greets, fails or waits, as it is told."
entry = "main:Greeter"
kind = "task"
autonomy = "full"

[capabilities]
"echo.say" = ["*"]

[settings.greeting]
type = "string"
default = "Hello"
help = "What to say"

[settings.times]
type = "int"
default = 1
min = 1
max = 9

[settings.token]
type = "string"
secret = true
""",
    """
import asyncio

from runtime import Failure, Hand


class Greeter(Hand):
    async def run(self, who: str = "world", fail: bool = False, wait: bool = False) -> object:
        print("printed", who)
        await self.progress(1, 4, "thinking")
        self.log.info("greeting", who=who)
        if fail:
            raise Failure("unkind", "it does not greet today")
        if wait:
            await asyncio.Event().wait()
        reply = await self.kernel.call("echo.say", text=who)
        return {"text": f"{self.settings['greeting']}, {reply.value['text']}!" * self.settings["times"]}
""",
)


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for Hands' folders and other files that commands are given."""
    return tmp_path_factory.mktemp("places")


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A home with the bundled Hands, as `init` makes it, for copying."""
    shell = Shell(tmp_path_factory.mktemp("furnished") / "home")
    shell.result("init")
    return shell


@pytest.fixture(scope="session")
def shell(furnished: Shell, tmp_path_factory: pytest.TempPathFactory, places: Path) -> Iterator[Shell]:
    """A home with a running kernel, the bundled Hands, `echo` (a service) and `greeter` (a task)."""
    shell = copied_home(furnished, tmp_path_factory.mktemp("cli") / "home")
    shell.good("up")
    try:
        shell.good("install", write_hand(places / "echo", ECHO), "--yes")
        shell.good("install", write_hand(places / "greeter", GREETER), "--yes")
        yield shell
    finally:
        shell.run("down")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """An empty home, as `init --no-hands` makes it, for copying."""
    shell = Shell(tmp_path_factory.mktemp("made") / "home")
    shell.good("init", "--no-hands")
    return shell


@pytest.fixture
def still(made: Shell, tmp_path: Path) -> Iterator[Shell]:
    """An empty home whose kernel does not run; a kernel that the test starts is ended with it."""
    shell = copied_home(made, tmp_path / "home")
    yield shell
    if (shell.home / "run" / "bus").exists():
        shell.run("down")
