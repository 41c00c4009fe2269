"""The filter is on every thread that there is and will be, on what is forked, and on what is executed; or it is an error."""

import ctypes
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from kernel.process import confine, seccomp
from manifests.confinement.allowed import Profile
from manifests.confinement.program import build
from tests.kernel.filtered import CANNOT_BE_TOLD, EVERYTHING, MACHINE, NONE, lay_on, outcome

pytestmark = CANNOT_BE_TOLD

ALLOW_EVERYTHING: Final = b"\x06\x00\x00\x00\x00\x00\xff\x7f"


def _states(status: str = "/proc/self/task/*/status") -> list[str]:
    """What `Seccomp:` says of each thread; 2 is a filter, 0 is none."""
    files = sorted(Path("/").glob(status.removeprefix("/")))
    return [re.findall(r"^Seccomp:\t(\d)", file.read_text(), re.MULTILINE)[0] for file in files]


def _parked() -> Callable[[], None]:
    """Start a thread that waits; the function ends it."""
    event = threading.Event()
    thread = threading.Thread(target=event.wait)
    thread.start()

    def end() -> None:
        event.set()
        thread.join()

    return end


def test_threads_from_before_and_after_are_filtered() -> None:
    def work() -> None:
        before = [_parked() for _ in range(3)]
        assert _states() == ["0"] * 4
        lay_on(NONE)
        after = [_parked() for _ in range(3)]
        assert _states() == ["2"] * 7
        for end in before + after:
            end()

    assert outcome(work, None) == "done"


def test_a_thread_from_before_is_refused_what_the_others_are() -> None:
    def work() -> None:
        go, refused = threading.Event(), []

        def ask() -> None:
            go.wait()
            try:
                os.execv("/nowhere", ["nowhere"])
            except PermissionError as error:
                refused.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        lay_on(NONE)
        go.set()
        thread.join()
        assert len(refused) == 1

    assert outcome(work, None) == "done"


def test_a_fork_and_a_program_inherit_the_filter() -> None:
    def fork() -> None:
        child = os.fork()
        if child == 0:
            os._exit(0 if _states() == ["2"] else 1)
        assert os.waitpid(child, 0)[1] == 0

    def program() -> None:
        code = "import re; print(re.findall('Seccomp:\\t(.)', open('/proc/self/status').read())[0])"
        assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"2\n"

    assert outcome(fork, NONE) == "done"
    assert outcome(program, frozenset({Profile.EXEC})) == "done"


def test_a_thread_that_cannot_join_is_an_error_and_no_thread_gets_the_filter() -> None:
    def work() -> None:
        go, end = threading.Event(), threading.Event()

        def stray() -> None:  # a filter of its own: the kernel cannot put ours in front of it
            code = len(ALLOW_EVERYTHING) // 8
            address = ctypes.create_string_buffer(ALLOW_EVERYTHING)
            packed = code.to_bytes(8, "little") + ctypes.addressof(address).to_bytes(8, "little")
            assert seccomp._seccomp(1, 0, packed) == 0
            go.set()
            end.wait()

        confine.control(confine.NO_NEW_PRIVILEGES)
        thread = threading.Thread(target=stray)
        thread.start()
        go.wait()
        with pytest.raises(OSError, match=r"seccomp: thread \d+ cannot join"):
            seccomp.lay_on(build(MACHINE, NONE))
        assert sorted(_states()) == ["0", "2"]
        end.set()
        thread.join()

    assert outcome(work, None) == "done"


@pytest.mark.parametrize(
    "program",
    [b"", ALLOW_EVERYTHING[:-1], b"\x00" * 8, ALLOW_EVERYTHING * 4097],
    ids=["empty", "cut", "no return", "too long"],
)
def test_a_program_that_the_kernel_does_not_take_is_an_error(program: bytes) -> None:
    def work() -> None:
        confine.control(confine.NO_NEW_PRIVILEGES)
        with pytest.raises(OSError, match="seccomp: Invalid argument"):
            seccomp.lay_on(program)
        assert _states() == ["0"]

    assert outcome(work, None) == "done"


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes an ordinary user, whom the kernel asks for no_new_privs")
def test_without_no_new_privs_an_ordinary_user_gets_an_error() -> None:
    def work() -> None:
        os.setresuid(65534, 65534, 65534)
        with pytest.raises(OSError, match="seccomp: Permission denied"):
            seccomp.lay_on(build(MACHINE, NONE))

    assert outcome(work, None) == "done"


def test_what_is_available_is_what_the_kernel_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome(lambda: lay_on(EVERYTHING), None) == "done"
    assert seccomp.available()
    monkeypatch.setattr(seccomp, "_NUMBER", -1)  # another processor: no such call
    assert not seccomp.available()
