"""What Hands print: a file that is none is told by its path, and keeps the kernel from nothing else."""

import fcntl
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kernel.cli.exits import NotDone
from manifests.printed import FILE_MAX, GONE
from tests.cli.shell import Shell
from tests.living import ECHO, Kernel, install, make_home
from tests.system.fates import call, held_up_by_no_pipe, runs, until

OTHER = ECHO._replace(toml=ECHO.toml.replace('"echo', '"another'))


def test_a_folder_where_one_hand_should_print_stops_that_hand_and_no_care_for_the_rest(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home"), "tests.system.often") as kernel, kernel.client() as client:
        output = kernel.home / "output"
        (output / "another.log").mkdir()
        (output / "echo.log.1").mkdir()
        install(kernel, OTHER)
        install(kernel, ECHO)
        with (output / "echo.log").open("wb") as file:
            file.truncate(FILE_MAX + 1)
        until(lambda: (output / "echo.log").stat().st_size == 0, "what comes after it is kept short")
        until((kernel.home / "log" / "snapshot").exists, "and the state is written down")
        with pytest.raises(NotDone, match=rf"{output}/another\.log, for what it prints, is a folder: move it away"):
            client.call("another.say", "", {"text": "hi"})
        until(lambda: os.listdir(kernel.home / "scratch") == [], "what was made for a run that never was is gone")
        (output / "another.log").rmdir()
        client.call("another.say", "", {"text": "hi"})
        assert "Traceback" not in kernel.log()


def test_long_output_that_is_slow_to_be_emptied_holds_up_the_next_run_of_its_hand_alone(tmp_path: Path) -> None:
    """A run can leave its output in so many pieces that a file system takes many seconds to empty it."""
    with Kernel(make_home(tmp_path / "home"), "tests.system.often") as kernel, kernel.client() as client:
        install(kernel, ECHO)
        install(kernel, OTHER)
        output = kernel.home / "output"
        with (output / "echo.log").open("wb") as log, (output / "echo.log.1").open("wb") as aside:
            log.truncate(FILE_MAX + 1)
            fcntl.flock(aside, fcntl.LOCK_EX)  # whoever is about to empty the one waits for the other
            with ThreadPoolExecutor(1) as waiting:
                said = waiting.submit(call, kernel, "echo.say", "", {"text": "hi"})
                until(lambda: len(runs(kernel)) == 1, "its process has begun")
                assert client.call("another.say", "", {"text": "you"}).value == {"text": "you"}
                assert os.fstat(log.fileno()).st_size > FILE_MAX
                assert not said.done()
                fcntl.flock(aside, fcntl.LOCK_UN)
                assert said.result() == {"text": "hi"}
                assert os.fstat(log.fileno()).st_size < FILE_MAX


@pytest.mark.wide
def test_logs_begin_with_how_much_of_what_a_hand_printed_is_gone(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home"), "tests.system.often") as kernel:
        install(kernel, ECHO)
        log, shell = kernel.home / "output" / "echo.log", Shell(kernel.home)
        line, printed = b"x" * 99 + b"\n", 0

        def prints(lines: int) -> int:
            """As a Hand does; how many bytes that is in all."""
            with log.open("ab") as file:
                file.write(line * lines)
            return printed + len(line) * lines

        printed = prints(FILE_MAX // len(line))
        assert GONE not in shell.good("logs", "echo", "-n", "1000000")
        for more in (1_000, 100_000):
            printed = prints(more)
            until(lambda: log.stat().st_size == 0, "the newest of it is kept aside")
            first = json.loads(log.with_suffix(".log.1").read_bytes().partition(b"\n")[0])
            assert (first["event"], first["bytes"]) == (GONE, printed - FILE_MAX)
        with log.open("ab") as file:
            file.write(b"and now\n")
        shown = shell.good("logs", "echo", "-n", "1000000").splitlines()
        assert (shown[0], shown[-1]) == (f"warning {GONE} bytes={printed - FILE_MAX}", "and now")
        assert shell.good("logs", "echo").splitlines() == shown[-100:]


def test_a_pipe_where_one_hand_should_print_holds_up_nobody(tmp_path: Path) -> None:
    with Kernel(make_home(tmp_path / "home")) as kernel, kernel.client() as client:
        pipe = kernel.home / "output" / "another.log"
        os.mkfifo(pipe)
        install(kernel, OTHER)
        install(kernel, ECHO)
        held_up_by_no_pipe(lambda: _fails(kernel, str(pipe)), pipe, os.O_RDONLY)
        assert client.call("echo.say", "", {"text": "hi"}).value == {"text": "hi"}


def _fails(kernel: Kernel, path: str) -> None:
    told = f"{path}, for what it prints, is not a plain file: move it away"
    with kernel.client() as client, pytest.raises(NotDone, match=told):
        client.call("another.say", "", {"text": "hi"})
