"""What docs/examples/node/maniple.js says is the line protocol, whatever its program does."""

import contextlib
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from socket import SocketIO
from typing import Final

import pytest

from runtime import lines
from runtime.bridge import DESCRIPTOR

NODE: Final = shutil.which("node")
MODULE: Final = Path(__file__).parents[2] / "docs/examples/node/maniple.js"
PROGRAM: Final = """
const { Hand } = require(process.argv[1])
const hand = new Hand({
  async 'test.fall' (call, { how }) {
    if (how === 'number') throw new DOMException('it was taken back', 'AbortError')
    if (how === 'code') throw Object.assign(new Error('no such row'), { code: 'rows' })
    throw how === 'nothing' ? undefined : how
  },
  async 'test.ask' (call) {
    await this.subscribe('clerk.closed')
    await this.progress(1, 2, 'half')
    return this.publish('changed', { price: 3 })
  }
}, event => hand.log(event.name, { body: event.body }))
"""

pytestmark = pytest.mark.skipif(
    NODE is None, reason="there is no node here: the example in docs/examples/node was not run"
)


@pytest.fixture(name="program")
def _program() -> Iterator[SocketIO]:
    """The bridge's side, with a program that has said that it is ready."""
    ours, theirs = socket.socketpair()
    ours.settimeout(30)
    assert NODE is not None
    with contextlib.ExitStack() as stack:
        given = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), DESCRIPTOR)]
        pid = os.posix_spawn(NODE, [NODE, "-e", PROGRAM, str(MODULE)], {}, file_actions=given)
        stack.callback(os.waitpid, pid, 0)
        stack.callback(os.kill, pid, signal.SIGKILL)
        theirs.close()
        stack.enter_context(ours)
        stream = stack.enter_context(ours.makefile("rwb", buffering=0))
        hello = lines.Hello(
            protocol=1, hand="test", version="1.0.0", kind="service", run="r", scratch="", state=None, settings={}
        )
        stream.write(lines.encode(hello))
        assert lines.decode(stream.readline()) == lines.Ready()
        yield stream


def _said(program: SocketIO, message: lines.ToProgram) -> lines.FromProgram:
    program.write(lines.encode(message))
    return lines.decode(program.readline())


def _asked(method: str, **arguments: object) -> lines.Asked:
    return lines.Asked(id=2, method=method, resource="", arguments=arguments, labels=(), deadline=1, upload=False)


@pytest.mark.parametrize(
    ("how", "code", "text"),
    [
        ("number", "20", "it was taken back"),
        ("code", "rows", "no such row"),
        ("a word", "raised", "a word"),
        ("nothing", "raised", "undefined"),
    ],
)
def test_whatever_is_thrown_fails_the_call(program: SocketIO, how: str, code: str, text: str) -> None:
    assert _said(program, _asked("test.fall", how=how)) == lines.Failed(id=2, code=code, text=text)


def test_it_publishes_subscribes_hears_and_tells_how_far_it_is(program: SocketIO) -> None:
    assert _said(program, _asked("test.ask")) == lines.Subscribe(id=1, event="clerk.closed")
    assert _said(program, lines.Done(id=1)) == lines.Progress(id=2, done=1, total=2, text="half")
    assert _said(program, lines.Done(id=2)) == lines.Publish(id=3, name="changed", body={"price": 3})
    refused = lines.Ended(id=3, end="refused", code="capability", text="it may not")
    assert _said(program, refused) == lines.Failed(id=2, code="capability", text="refused: capability: it may not")
    event = lines.Event(publisher="clerk", name="closed", body={"till": 7}, labels=(), missed=0)
    assert _said(program, event) == lines.Log(event="closed", fields={"body": {"till": 7}})
