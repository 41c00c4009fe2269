"""Ctrl-C ends a command quietly and with 130, whenever it comes."""

import signal
import subprocess
import time

import pytest

from tests.cli.shell import MANIPLE, Shell

OUR_START = b"from kernel.cli.main import main"


@pytest.mark.parametrize("instants", [7, pytest.param(30, marks=pytest.mark.wide)])
def test_ctrl_c_while_a_command_starts_shows_no_traceback(instants: int, shell: Shell) -> None:
    """Of its first milliseconds the interpreter itself has some, before any line of Maniple's: those are not judged.

    The instants are spread over the time that the command takes here and now.
    """
    began = time.monotonic()
    shell.begin("ps").communicate(timeout=20)
    took = time.monotonic() - began
    codes = set()
    for instant in range(instants):
        starting = shell.begin("ps")
        time.sleep(took * instant / instants)
        starting.send_signal(signal.SIGINT)
        _, err = starting.communicate(timeout=20)
        assert OUR_START not in err, err.decode()
        codes.add(starting.returncode)
    assert 130 in codes


def test_ctrl_c_ends_what_follows_a_log_without_a_word(shell: Shell) -> None:
    following = shell.begin("audit", "tail", "-f", "-n", "1")
    assert following.stdout is not None
    assert following.stdout.readline()
    following.send_signal(signal.SIGINT)
    _, err = following.communicate(timeout=20)
    assert (following.returncode, err.strip()) == (130, b"")


def test_where_ctrl_c_is_to_be_ignored_it_stays_ignored(shell: Shell) -> None:
    ignored = subprocess.Popen(
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *MANIPLE, "audit", "tail", "-f", "-n", "1"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=shell.environment(),
    )
    assert ignored.stdout is not None
    try:
        assert ignored.stdout.readline()
        ignored.send_signal(signal.SIGINT)
        shell.run("call", "kernel.budget")
        assert ignored.stdout.readline()
    finally:
        ignored.kill()
        ignored.communicate()


def test_ctrl_c_ends_the_waiting_for_a_run_and_says_that_the_run_goes_on(shell: Shell) -> None:
    waiting = shell.begin("start", "greeter", "wait:=true", "--wait")
    assert waiting.stderr is not None
    run = waiting.stderr.readline().decode().split()[0]
    waiting.send_signal(signal.SIGINT)
    _, err = waiting.communicate(timeout=20)
    assert (waiting.returncode, f"{run} goes on" in err.decode(), f"`maniple cancel {run}`" in err.decode()) == (
        130, True, True,
    )  # fmt: skip
    shell.good("cancel", run)
