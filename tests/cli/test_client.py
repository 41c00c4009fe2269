"""The operator's link by itself: what it does when the kernel drops it, and that it leaves nothing open."""

import os
import signal
import subprocess
import sys
import time

import pytest
import zmq

from kernel.cli import client as link
from kernel.cli import silence
from kernel.cli.client import Client
from kernel.cli.exits import Ended, NoKernel
from tests.cli.shell import Shell
from tests.living import ROOT
from wire import codec, headers


@pytest.mark.wide
def test_a_link_that_the_kernel_dropped_is_noticed(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST", "ANSWER_WITHIN"):  # the same wait, only shorter: the link, the kernel and the drop are real
        monkeypatch.setattr(silence, name, 0.5)
    with Client(str(shell.home)) as client:
        client._link.send_multipart((b"no header", b"no body"))
        with pytest.raises(Ended, match="dropped this link"):
            client.call("kernel.ps")


def test_a_call_that_takes_long_is_waited_for(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "TICK", 0.25)
    monkeypatch.setattr(silence, "FIRST", 0.25)  # shorter than the call, which would else have to take long indeed
    with Client(str(shell.home)) as client:
        assert client.call("kernel.sleep", "", {"milliseconds": 1200}).value == {}


def test_a_kernel_that_is_busy_for_most_of_a_minute_has_not_dropped_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(silence, "monotonic", lambda: now)  # no kernel of a test stands still for so long
    numbers = iter((3, 5))
    waits = silence.Silence("home", lambda: next(numbers), print, None)
    while now < 55:
        now += 1
        waits.check(False)
    assert waits.number == 3


@pytest.mark.parametrize(("pace", "is_told"), [(4, False), (0, True)])
def test_only_a_disk_that_takes_nothing_of_the_log_ends_a_command(pace: int, is_told: bool) -> None:
    said, given_up = list[str](), list[str]()
    waits = silence.Silence("home", lambda: 3, said.append, given_up.append)
    for round_ in range(5):
        status = {"entries": 10 + 10 * round_, "durable": 2 + pace * round_}
        waits.learn(headers.Done(number=3), codec.encode_body(status))
    assert (bool(said), bool(given_up)) == (is_told, is_told)


@pytest.mark.wide
@pytest.mark.alone
def test_the_last_word_of_a_kernel_is_heard_after_its_end(still: Shell) -> None:
    """Where a disk is quick the kernel is gone before its answer to `down` is read."""
    still.good("up")
    with Client(str(still.home)) as client:
        client._send(headers.Call(number=1, method="kernel.down"), {})
        assert client.wait_for_exit(30)
        found = client._receive(5.0)
        before = time.monotonic()
    assert time.monotonic() - before < 0.15, "nobody is there to say Bye to"
    assert found is not None
    assert isinstance(found[0], headers.Done)


def test_a_kernel_that_dies_while_it_is_greeted_is_told_as_that(still: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The link breaks as it does for a key that the kernel does not know, and that may be seen before the death is."""
    still.good("up")
    pid = int(str(still.result("status")["pid"]))
    greet = Client._greet

    def killed_before(client: Client, hello: headers.Hello) -> None:
        client._monitor.recv_multipart()  # it is connected
        os.kill(pid, signal.SIGKILL)
        assert client._monitor.poll(10_000), "the break is told"
        greet(client, hello)

    monkeypatch.setattr(link, "_BROKEN", link._BROKEN | zmq.EVENT_CONNECTED)
    monkeypatch.setattr(Client, "_greet", killed_before)
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(NoKernel, match="ended before it answered"):
        Client(str(still.home))


def test_a_link_leaves_no_descriptor_open(shell: Shell) -> None:
    for _ in range(3):
        before = len(os.listdir("/proc/self/fd"))
        with Client(str(shell.home)) as client:
            client.call("kernel.ps")
        assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(("command", "other"), [("ps", "hashlib"), ("hands", "hashlib"), ("status", "wire.verify")])
def test_a_command_that_only_shows_loads_nothing_of_what_decides(command: str, other: str) -> None:
    """Half of the time of `maniple ps` is imports."""
    code = f"import sys, kernel.cli.main, kernel.cli.{command}; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT).stdout
    assert not {"manifests.state", "manifests.calls", "nacl", "wire.signing", other} & {*said.split()}
