"""Goes through a whole run, with a scripted bus, and leaves no trace (acts on the interpreter).

In the template, so that the interpreter specialises that code (PEP 659) in shared memory, and so that what a run executes is
known there (runtime/preload.py). In the process that stands ready to be the next run, so that the pages which every run
writes to are copied before anybody waits for it: each costs some microseconds. No loop, thread, descriptor, module or signal
handler is left when it returns; and no task of it took a number, since a run's tasks are numbered from the same start in
each of its lives.
"""

import asyncio
import linecache
import os
import signal
import sys
from _thread import get_ident
from collections import deque
from collections.abc import Coroutine, Generator
from contextvars import Context
from typing import Any, Final, NamedTuple

import zmq

from manifests import schema
from runtime import records
from runtime.link import Link
from runtime.loop import new_loop
from runtime.main import EXIT_STOPPED, Life
from runtime.redact import Redactor
from runtime.settings import Settings
from wire import codec, headers, launch, limits

_FD, _POLLIN, _MORE = int(zmq.FD), int(zmq.POLLIN), int(zmq.SNDMORE)
_MODULE: Final = "rehearsed_in_the_wings"
_CODE: Final = b"""from runtime import Call, Hand


class Rehearsed(Hand):
    async def say(self, call: Call, text: str) -> dict[str, object]:
        return {"text": text}
"""
_HAND: Final = schema.HandSection(
    name="rehearsed", version="1.0.0", description="", entry=f"{_MODULE}:Rehearsed", kind="service", autonomy="readonly"
)
_PROVIDED: Final = schema.Provided(
    method="rehearsed.say", summary="", resource="none", effect="read", params={"text": "string"},
    returns={"text": "string"},
)  # fmt: skip
_SCRIPT: Final = (
    (headers.Hello(version=limits.PROTOCOL), None),
    (headers.Call(number=2, method=_PROVIDED.method), {"text": "a call"}),
    (headers.Stop(why="rehearsed", grace=0), None),
)
"""The kernel's messages, each in answer to one of the run's: Hello, Ready and Done. The last, Bye, has no answer."""


class _Frame(NamedTuple):
    bytes: bytes
    more: bool


class _Script:
    """Replaces a socket of the bus. answers: one message for each that is sent."""

    def __init__(self, answers: deque[tuple[_Frame, _Frame]]) -> None:
        self._answers = answers
        self._frames = deque[_Frame]()
        self._waiting = os.eventfd(1)

    def get(self, option: int) -> int:
        return self._waiting if option == _FD else _POLLIN if self._frames else 0

    def send(self, raw: bytes, flags: int) -> None:
        if not flags & _MORE and self._answers:
            self._frames += self._answers.popleft()

    def recv(self, flags: int, copy: bool = True) -> _Frame:
        if not self._frames:
            raise zmq.Again
        return self._frames.popleft()

    def close(self, linger: int = 0) -> None:
        os.close(self._waiting)

    def term(self) -> None:
        """As of a context, but without threads to wait for."""


def rehearse() -> None:
    """Goes through a run from the launch packet to Bye. Raises RuntimeError if it does not follow _SCRIPT."""
    term = signal.getsignal(signal.SIGTERM)
    life, loop = _make_life()
    loop.add_signal_handler(signal.SIGTERM, life.stop, "SIGTERM")
    try:
        if (code := life.run()) != EXIT_STOPPED:
            raise RuntimeError(f"the rehearsed run ended with {code}")
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, term)
        loop.close()
        vars(life).clear()  # a reference cycle, which would otherwise be there in the run
        sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "_name", "") != _HAND.name]
        sys.modules.pop(_MODULE, None)
        linecache.cache.pop(f"{_HAND.name}/{_MODULE}.py", None)


def _make_life() -> tuple[Life, asyncio.SelectorEventLoop]:
    """Makes what `join` makes, but for the bus."""
    manifest = schema.Manifest(hand=_HAND, provides={_PROVIDED.method: _PROVIDED})
    packet = launch.Launch(
        run="r-rehearsed", hand="h-rehearsed", name=_HAND.name, version=_HAND.version, manifest=schema.encode(manifest),
        files={}, settings={},
        rlimits=launch.Rlimits(memory=0, cpu=0, processes=0, open_files=0, file_size=0), uid=None, server_key=b"",
        seed=0, serve="", scratch="", state="", require=(), descriptors=(),
    )  # fmt: skip
    launch.decode(launch.encode(launch.Go()))
    launch.decode(launch.encode(packet))
    manifest = schema.decode(packet.manifest)
    settings = Settings(manifest.settings, {})
    records.redact(Redactor(settings.secrets()))
    records.route_everything()
    records.logger()
    loop, selector = new_loop()
    loop.set_task_factory(_unnumbered)
    link = _make_link()
    link.join()
    start = launch.Start(launch=packet, code={f"{_MODULE}.py": _CODE}, descriptors={}, public=b"", secret=b"")
    life = Life(start, manifest, settings, link, loop, selector, None, None)
    selector.attend(link.descriptors, link.waiting, life.take)
    selector.begin = life.flush
    return life, loop


def _make_link() -> Link:
    """A link on scripts, made without __init__, whose threads would outlive this."""
    answers = deque[tuple[_Frame, _Frame]]()
    for header, body in _SCRIPT:
        answers.append((_Frame(codec.encode(header), more=True), _Frame(codec.encode_body(body), more=False)))
    link = object.__new__(Link)
    script, silence = _Script(answers), _Script(deque())
    link.__dict__.update(_thread=get_ident(), _zmq=script, _socket=script, _monitor=silence, _unsent=[])
    link.descriptors = frozenset((script.get(zmq.FD), silence.get(zmq.FD)))
    return link


def _unnumbered(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any] | Generator[Any, None, Any], **_: Context | None
) -> asyncio.Task[Any]:  # fmt: skip
    """Makes a task with a name, so that it takes no number."""
    return asyncio.Task(work, loop=loop, name="rehearsed")
