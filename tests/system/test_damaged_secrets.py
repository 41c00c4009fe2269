"""Secret settings that cannot be read keep their own Hand down, and nobody else: not its callers, not the kernel."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.living import ECHO, Kernel, install, make_home
from tests.system.actors import actor, ask, cast, refused, rows
from tests.system.fates import call, entries, pid_of, state_of, until

WORD = '\n[settings.word]\ntype = "string"\nsecret = true\nhelp = "What nobody sees"\n'


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("damaged") / "home")) as kernel:
        install(kernel, ECHO._replace(toml=ECHO.toml + WORD))
        call(kernel, "kernel.set", "echo", {"values": {"word": "w"}})
        yield kernel


def _file(kernel: Kernel) -> Path:
    (file,) = (kernel.home / "keys").glob("*.secrets")
    return file


def test_who_calls_such_a_hand_is_refused_and_lives(kernel: Kernel) -> None:
    cast(kernel, [actor("relay", rows("echo.say"))])
    call(kernel, "kernel.stop", "echo")
    call(kernel, "relay.do", "", {"steps": []})
    pid = pid_of(kernel, "relay")
    file = _file(kernel)
    whole = file.read_bytes()
    file.write_text("{")
    with kernel.client() as client:
        (told,) = ask(client, "relay.do", [{"call": "echo.say", "with": {"text": "x"}}])
    file.write_bytes(whole)
    assert "restore it from a backup" in refused(told, "secrets")["why"]
    assert pid_of(kernel, "relay") == pid


def test_the_kernel_starts_without_such_a_hand_and_with_it_when_the_file_is_whole(kernel: Kernel) -> None:
    call(kernel, "kernel.start", "echo")
    kernel.kill()
    file, last = _file(kernel), len(entries(kernel.home))
    whole = file.read_bytes()
    file.write_bytes(b"{")
    kernel.up()
    until(
        lambda: [
            one for one in entries(kernel.home, "refusal") if one.seq >= last and one.detail.get("code") == "secrets"
        ],
        "its start is refused",
    )
    assert state_of(kernel, "echo") == "stopped"
    file.write_bytes(whole)
    assert call(kernel, "echo.say", "", {"text": "x"}) == {"text": "x"}
    until(lambda: state_of(kernel, "echo") == "ready", "it is up")
