"""Clients that do what none should, on the standard streams of `maniple mcp serve`, and others beside them."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.cli.clients import LAB, printed, until
from tests.cli.shell import MANIPLE, Shell
from tests.living import write_hand

GREETING = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "raw", "version": "1"},
}


@pytest.fixture(scope="module")
def desk(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A home with a door `raw` to a Hand `lab`, and to a folder with a large file."""
    shell.good("install", write_hand(tmp_path_factory.mktemp("lab") / "lab", LAB), "--yes")
    store = tmp_path_factory.mktemp("store")
    (store / "large").write_bytes(b"\xff" * 4_000_000)
    shell.good("roots", "add", "store", store)
    shell.good("mcp", "offer", "raw", "lab.wait=*", "lab.raw", "echo.say", "files.read=store/**", "--yes")
    yield shell
    shell.good("roots", "remove", "store")
    shell.good("remove", "door-raw", "--purge", "--yes")
    shell.good("remove", "lab", "--purge", "--yes")


class Raw:
    """A client that writes what it likes."""

    def __init__(self, shell: Shell) -> None:
        self.process = subprocess.Popen(
            [*MANIPLE, "mcp", "serve", "raw"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=shell.environment(),
        )

    def say(self, raw: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(raw)
        self.process.stdin.flush()

    def ask(self, number: int, method: str, params: object) -> None:
        told = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        self.say(json.dumps(told).encode() + b"\n")

    def hear(self) -> dict[str, object]:
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline())
        assert isinstance(told, dict)
        return told

    def greet(self) -> None:
        self.ask(0, "initialize", GREETING)
        assert self.hear()["id"] == 0
        self.say(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')

    def end(self) -> tuple[int, str]:
        """Its exit code and words, when it has ended by itself or because nobody speaks any more."""
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said.decode()


@pytest.fixture
def raw(desk: Shell) -> Iterator[Raw]:
    client = Raw(desk)
    yield client
    if client.process.poll() is None:
        client.process.kill()
    client.process.communicate()


@pytest.mark.wide
def test_lines_that_are_no_message_are_answered_and_too_many_end_the_talk(raw: Raw) -> None:
    for line in (b"{", b"[1]", b'"text"', b"\xff\xfe", b"[" * 5000, b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}'):
        raw.say(line + b"\n")
        told = raw.hear()
        assert told["id"] is None
        assert isinstance(told["error"], dict)
        assert told["error"]["code"] == -32700
    raw.greet()
    raw.say(b"no\n" * 101)
    code, said = raw.end()
    assert code == 1
    assert said == "maniple: its last 101 lines were not messages (malformed)\n"


def test_half_a_letter_that_a_client_sends_is_heard_as_one_that_is_none(raw: Raw) -> None:
    raw.greet()
    raw.say(
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo_say","arguments":{"text":"a \\ud83d"}}}\n'
    )
    told = raw.hear()
    assert (told["id"], "a \\ufffd" in json.dumps(told)) == (1, True)


def test_a_line_without_end_ends_the_talk_and_is_not_gathered(raw: Raw) -> None:
    raw.greet()
    with pytest.raises(BrokenPipeError):
        for _ in range(64):
            raw.say(b"x" * 1024 * 1024)
    code, said = raw.process.wait(30), raw.process.stderr.read().decode() if raw.process.stderr else ""
    assert (code, said) == (1, "maniple: a line has more than 2 MiB (too-large)\n")


def test_more_requests_at_once_than_are_allowed_are_answered_with_an_error_and_another_client_is_served(
    desk: Shell, raw: Raw
) -> None:
    raw.greet()
    for number in range(1, 41):
        raw.ask(number, "tools/call", {"name": "lab_wait", "arguments": {"name": f"flood-{number}"}})
    errors = [raw.hear() for _ in range(8)]
    assert {told["id"] for told in errors} == set(range(33, 41))
    assert "32 requests are open already" in json.dumps(errors[0]["error"])
    other = Raw(desk)
    other.greet()
    other.ask(1, "tools/call", {"name": "echo_say", "arguments": {"text": "here"}})
    assert '"text": "here"' in json.dumps(other.hear())
    assert other.end()[0] == 0
    raw.ask(50, "ping", {})
    assert "error" in raw.hear()
    raw.say(b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}\n')
    until(lambda: "no longer waiting for flood-1\n" in printed(desk))


def test_what_a_client_asked_before_it_closed_its_stream_is_answered_as_when_it_comes_out_of_a_pipe(raw: Raw) -> None:
    raw.ask(0, "initialize", GREETING)
    raw.say(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
    raw.ask(1, "tools/list", {})
    raw.ask(2, "tools/call", {"name": "echo_say", "arguments": {"text": "last words"}})
    told, _ = raw.process.communicate(timeout=30)
    answers = {one["id"]: one for one in map(json.loads, told.splitlines())}
    assert set(answers) == {0, 1, 2}
    assert "echo_say" in json.dumps(answers[1]["result"])
    assert "last words" in json.dumps(answers[2]["result"])


@pytest.mark.parametrize("ending", ["close", "kill"])
def test_calls_of_a_client_that_goes_are_given_up(desk: Shell, raw: Raw, ending: str) -> None:
    raw.greet()
    raw.ask(1, "tools/call", {"name": "lab_wait", "arguments": {"name": f"gone-{ending}"}})
    until(lambda: f"waiting for gone-{ending}" in printed(desk))
    if ending == "close":
        assert raw.end()[0] == 0
    else:
        os.kill(raw.process.pid, signal.SIGKILL)
    until(lambda: f"no longer waiting for gone-{ending}" in printed(desk))


def test_a_client_that_reads_nothing_is_not_read_from_and_holds_up_nobody_else(desk: Shell, raw: Raw) -> None:
    raw.greet()

    def flood() -> None:
        with suppress(OSError):  # it is killed at the end
            for number in range(1, 100):
                raw.ask(number, "tools/call", {"name": "lab_raw", "arguments": {"raw": "A" * 400_000}})

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        other = Raw(desk)
        other.greet()
        other.ask(1, "tools/call", {"name": "echo_say", "arguments": {"text": "here"}})
        assert '"text": "here"' in json.dumps(other.hear())
        assert other.end()[0] == 0
        assert flooding.is_alive()
    finally:
        raw.process.kill()
        flooding.join()


@pytest.mark.wide
def test_who_reads_nothing_of_large_answers_is_let_go_and_another_is_answered(desk: Shell, raw: Raw) -> None:
    """Sixty of them that nobody read filled the door's memory, and calls of others ended in MemoryError."""
    raw.greet()
    for number in range(1, 13):
        raw.ask(number, "tools/call", {"name": "files_read", "arguments": {"path": "store/large"}})
    other = Raw(desk)
    other.greet()
    other.ask(1, "tools/call", {"name": "files_read", "arguments": {"path": "store/large"}})
    assert '"blob"' in json.dumps(other.hear())
    assert other.end() == (0, "")
    code, said = raw.end()
    assert (code, "it read nothing of its answers" in said) == (1, True), said
