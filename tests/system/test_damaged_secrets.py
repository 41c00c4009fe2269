"""Secret settings that cannot be read keep their own Hand down, and nobody else: not its callers, not the kernel."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.cli.exits import NotDone
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


@pytest.mark.parametrize("damage", [b"{", b'{"word":"\xe5"}'], ids=["cut", "no text"])
def test_who_calls_such_a_hand_is_refused_and_lives(damage: bytes, kernel: Kernel) -> None:
    cast(kernel, [actor("relay", rows("echo.say"))])
    call(kernel, "kernel.stop", "echo")
    call(kernel, "relay.do", "", {"steps": []})
    pid = pid_of(kernel, "relay")
    file = _file(kernel)
    whole = file.read_bytes()
    file.write_bytes(damage)
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


def test_a_file_that_is_gone_is_no_file_without_secrets(kernel: Kernel) -> None:
    file = _file(kernel)
    call(kernel, "kernel.stop", "echo")
    file.rename(file.with_suffix(".aside"))
    asked: list[tuple[str, str, dict[str, object]]] = [
        ("echo.say", "", {"text": "x"}), ("kernel.show", "echo", {}), ("kernel.set", "echo", {"values": {"word": "v"}})
    ]  # fmt: skip
    with kernel.client() as client:
        for method, resource, arguments in asked:
            with pytest.raises(NotDone) as refusal:
                client.call(method, resource, arguments)
            assert f"{file.name} is missing: restore it from a backup" in str(refusal.value)
    file.write_bytes(b"{}")
    call(kernel, "kernel.set", "echo", {"values": {"word": "v"}})
    assert call(kernel, "echo.say", "", {"text": "x"}) == {"text": "x"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_secrets_that_a_full_disk_cannot_hold_leave_no_draft(kernel: Kernel) -> None:
    file = _file(kernel)
    whole, keys = file.read_bytes(), file.parent
    with kernel.client() as client:  # which has read its key
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "none", keys], check=False).returncode:
            pytest.skip("nothing can be mounted here")
        try:
            file.write_bytes(whole)
            (keys / "full").write_bytes(bytes(4096))
            with pytest.raises(NotDone, match="could not be kept: No space left"):
                client.call("kernel.set", "echo", {"values": {"word": "more"}})
            assert sorted(os.listdir(keys)) == sorted(["full", file.name])
        finally:
            subprocess.run(["umount", "-l", keys], check=True)
