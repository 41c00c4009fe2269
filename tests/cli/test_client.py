"""The operator's link by itself: what it does when the kernel drops it, and that it leaves nothing open."""

import os

import pytest

from kernel.cli import client as link
from kernel.cli.client import Client
from kernel.cli.exits import Ended
from tests.cli.shell import Shell


def test_a_link_that_the_kernel_dropped_is_noticed(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "QUIET", 0.5)  # the same wait, only shorter: the link, the kernel and the drop are real
    monkeypatch.setattr(link, "HELLO_WITHIN", 0.5)
    with Client(str(shell.home)) as client:
        client._link.send_multipart((b"no header", b"no body"))
        with pytest.raises(Ended, match="dropped this link"):
            client.call("kernel.ps")


def test_a_call_that_takes_long_is_waited_for(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "QUIET", 0.5)  # shorter than the call, which would else have to take long indeed
    with Client(str(shell.home)) as client:
        assert client.call("kernel.sleep", "", {"milliseconds": 3000}).value == {}


def test_a_link_leaves_no_descriptor_open(shell: Shell) -> None:
    for _ in range(3):
        before = len(os.listdir("/proc/self/fd"))
        with Client(str(shell.home)) as client:
            client.call("kernel.ps")
        assert len(os.listdir("/proc/self/fd")) == before
