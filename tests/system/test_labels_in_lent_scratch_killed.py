"""Labels that came into a lent scratch folder outlive the kernel: the folder does, and what lies in it.

Whichever way they came, and whoever of those that work there heard them: they are on disk before what they mark can be
left there. So a kernel that is killed the moment something lies there has told them to the next one.
"""

import os
import signal
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.living import Kernel, Source, install, make_home
from tests.spread import spread
from tests.system import chaos
from tests.system.actors import actor, ask, cast
from tests.system.fates import call, entries, pid_of, runs, until
from tests.system.test_resuming import begin

_ONCE: Final = Source(
    """
[hand]
name = "once"
version = "1.0.0"
description = "Tells what came from the web, and that once."
entry = "main:Once"
kind = "service"
autonomy = "full"

[provides."once.piece"]
summary = "One piece of a reply that does not end"
resource = "none"
effect = "read"
labels = ["web"]

[provides."once.value"]
summary = "A value"
resource = "none"
effect = "read"
labels = ["web"]

[provides."once.flood"]
summary = "Much more than is kept for who does not read"
resource = "none"
effect = "read"
labels = ["web"]

[provides."once.news"]
summary = "An event"
resource = "none"
effect = "read"

[events]
publishes = ["heard"]
""",
    """
import asyncio

from runtime import Hand
from runtime.calls import answering


class Once(Hand):
    async def first(self):
        if (self.state / "told").exists():
            await asyncio.Event().wait()
        (self.state / "told").touch()

    async def piece(self, call):
        await self.first()
        await call.send(b"what came from the web")
        await asyncio.Event().wait()

    async def value(self, call):
        await self.first()
        return {"text": "what came from the web"}

    async def flood(self, call):
        for _ in range(12):
            await call.send(bytes(1_000_000))

    async def news(self, call):
        await self.first()
        answering.set(0)  # in its own name
        await self.kernel.publish("heard", "what came from the web", labels=("web",))
        await asyncio.Event().wait()
""",
)
_HEARING: Final = """
import asyncio

from runtime import Hand


class Hearing(Hand):
    events = {"once_news": "once.heard", "once_late": "herald.news"}

    async def on_event(self, event):
        (self.scratch / "found").write_text(event.body)

    async def hear(self, way):
        if way in self.events:
            await self.kernel.subscribe(self.events[way])
        self.hearing = asyncio.ensure_future(getattr(self, way)())
        await asyncio.sleep(0)  # it is asked for

    async def once_piece(self):
        async with self.kernel.stream("once.piece") as stream:
            async for piece in stream:
                (self.scratch / "found").write_bytes(piece)

    async def once_value(self):
        reply = await self.kernel.call("once.value")
        (self.scratch / "found").write_text(reply.value["text"])

    async def once_news(self):
        await self.kernel.call("once.news")

    async def once_late(self):
        (self.scratch / "waits").touch()
"""
_WAYS: Final = '"once.*" = ["*"]\n"sink.do" = ["*"]\n\n[events]\nsubscribes = ["once.heard", "herald.news"]\n'
_LODGER: Final = Source(
    f"""
[hand]
name = "lodger"
version = "1.0.0"
description = "Works in its caller's scratch folder."
entry = "main:Lodger"
kind = "task"
autonomy = "full"

[capabilities]
{_WAYS}
"""
    + "".join(
        f"""
[provides."lodger.{verb}"]
summary = "Leave something there"
resource = "none"
effect = "{effect}"
labels = {labels}
"""
        for verb, effect, labels in (
            ("piece", "external", []),
            ("value", "external", []),
            ("news", "external", []),
            ("late", "external", []),
            ("flood", "external", []),
            ("marked", "external", ["web"]),
            ("claim", "external", []),
            ("take", "external", []),
            ("look", "read", []),
            ("tell", "read", []),
        )
    )
    + '\n[confinement]\nscratch = "caller"\n',
    f"""{_HEARING}

class Lodger(Hearing):
    async def leave(self):
        (self.scratch / "found").write_text("what came from the web")
        await asyncio.Event().wait()

    async def piece(self, call):
        await self.once_piece()

    async def value(self, call):
        await self.once_value()
        await asyncio.Event().wait()

    async def news(self, call):
        await self.hear("once_news")
        await asyncio.Event().wait()

    async def flood(self, call):
        sizes = await asyncio.gather(*(self.size() for _ in range(3)))
        (self.scratch / "found").write_text(str(sum(sizes)))

    async def size(self):
        async with self.kernel.stream("once.flood") as stream:
            return sum([len(piece) async for piece in stream])

    async def late(self, call):
        await self.hear("once_late")
        await asyncio.Event().wait()

    async def marked(self, call):
        await self.leave()

    async def claim(self, call):
        call.add_labels("web")
        await call.send(b"what came from the web")
        await asyncio.Event().wait()

    async def take(self, call):
        async for piece in call.upload:
            (self.scratch / "found").write_bytes(piece)

    async def look(self, call):
        if not (self.scratch / "found").exists():
            await self.leave()

    async def tell(self, call):
        return {{"labels": (await self.kernel.call("sink.do")).value["labels"]}}
""",
)
_LANDLORD: Final = Source(
    f"""
[hand]
name = "landlord"
version = "1.0.0"
description = "Reads what lies in its scratch folder when the kernel is another one."
entry = "main:Landlord"
kind = "task"
autonomy = "full"

[capabilities]
"lodger.*" = ["*"]
{_WAYS}
""",
    f"""
from contextlib import suppress

from runtime import CallFailed
from wire import codec, headers
{_HEARING}

class Landlord(Hearing):
    async def run(self, way):
        was_there = (self.scratch / "found").exists()
        if way.startswith("once_"):
            await self.hear(way)
            if not was_there:  # else it is told again what is on its tape
                await asyncio.Event().wait()
        else:
            with suppress(CallFailed):
                await getattr(self, way)()
        found = (self.scratch / "found").read_text()
        own = (await self.kernel.call("sink.do")).value["labels"]
        return {{"found": found, "own": own, "other": (await self.kernel.call("lodger.tell")).value["labels"]}}

    async def lodge_piece(self):
        await self.kernel.call("lodger.piece")

    async def lodge_value(self):
        await self.kernel.call("lodger.value")

    async def lodge_news(self):
        await self.kernel.call("lodger.news")

    async def lodge_flood(self):
        await self.kernel.call("lodger.flood")

    async def lodge_late(self):
        await self.kernel.call("lodger.late")

    async def lodge_marked(self):
        await self.kernel.call("lodger.marked")

    async def lodge_look(self):
        await self.kernel.call("lodger.look", labels=("web",))

    async def lodge_claim(self):
        async with self.kernel.stream("lodger.claim") as stream:
            async for piece in stream:
                (self.scratch / "found").write_bytes(piece)

    async def lodge_take(self):
        async with self.kernel.stream("lodger.take", upload=True) as stream:
            chunk = headers.Chunk(number=stream._opened().number, labels=("web",))
            stream._link.send(chunk, codec.encode_body(b"what came from the web"))
            await asyncio.Event().wait() if not (self.scratch / "found").exists() else None
""",
)
LODGERS: Final = ("piece", "value", "news", "marked", "claim", "take", "look")
OWN: Final = ("piece", "value", "news")


@pytest.fixture(scope="module")
def _kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("killed") / "home"), "tests.system.slow_disk") as kernel:
        cast(kernel, [actor("sink"), actor("herald", more='[events]\npublishes = ["news"]')])
        for source in (_ONCE, _LODGER, _LANDLORD):
            install(kernel, source)
        yield kernel


@pytest.fixture
def kernel(_kernel: Kernel) -> Kernel:
    if _kernel.process is None or _kernel.process.poll() is not None:  # a test that failed left it down
        _kernel.up()
    for told in _kernel.home.glob("state/*/told"):
        told.unlink()
    return _kernel


@pytest.mark.wide
@pytest.mark.parametrize("way", spread([*(f"lodge_{way}" for way in LODGERS), *(f"once_{way}" for way in OWN)], 5))
def test_what_lies_in_a_lent_folder_is_marked_also_for_the_next_kernel(kernel: Kernel, way: str) -> None:
    run = begin(kernel, "landlord", way=way)
    _lies_there(kernel, run)
    kernel.kill()
    kernel.up()
    _is_marked(kernel, run)


@pytest.mark.parametrize("fate", spread(["down", "freeze", "hands", "twice"], 2))
def test_and_whatever_else_becomes_of_those_who_heard_it(kernel: Kernel, fate: str) -> None:
    run = begin(kernel, "landlord", way="lodge_news")
    _lies_there(kernel, run)
    match fate:
        case "down":
            kernel.down()
            kernel.up()
        case "freeze":
            call(kernel, "kernel.freeze")
            call(kernel, "kernel.thaw")
        case "hands":
            for hand in ("landlord", "lodger"):
                os.kill(pid_of(kernel, hand), signal.SIGKILL)
        case "twice":
            for _ in range(2):
                kernel.kill()
                kernel.up()
    _is_marked(kernel, run)


def test_nor_is_it_lost_where_the_landlord_was_killed_before_it_came(kernel: Kernel) -> None:
    run = begin(kernel, "landlord", way="lodge_late")
    until((kernel.home / "scratch" / run / "waits").exists, "its lodger waits")
    before = pid_of(kernel, "landlord")
    os.kill(before, signal.SIGKILL)
    until(lambda: pid_of(kernel, "landlord") != before, "it goes on")
    with kernel.client() as client:
        ask(client, "herald.do", [{"publish": "news", "with": "what came from the web", "labels": ["web"]}])
    _lies_there(kernel, run)
    kernel.kill()
    kernel.up()
    _is_marked(kernel, run)


def test_nor_where_it_came_to_the_landlord_while_that_had_no_process(kernel: Kernel) -> None:
    run = begin(kernel, "landlord", way="once_late")
    until((kernel.home / "scratch" / run / "waits").exists, "it waits")
    (slow := kernel.home / "run" / "slow").touch()  # its next process begins when the end of the first is on disk
    os.kill(pid_of(kernel, "landlord"), signal.SIGKILL)
    until(lambda: not _has_process(kernel), "it has no process", closely=True)
    with kernel.client() as client:
        ask(client, "herald.do", [{"publish": "news", "with": "what came from the web", "labels": ["web"]}])
    assert not _has_process(kernel)
    _lies_there(kernel, run)
    kernel.kill()
    slow.unlink()
    kernel.up()
    _is_marked(kernel, run)


@pytest.mark.wide
def test_a_label_waits_for_the_disk_once_whatever_comes_with_it(kernel: Kernel) -> None:
    """More comes than is kept for a peer that does not read: one that may not be told yet is none."""
    (slow := kernel.home / "run" / "slow").touch()
    run = begin(kernel, "landlord", way="lodge_flood")
    value: Any = chaos.outcome_of(kernel, run)["value"]
    slow.unlink()
    assert value == {"found": "36000000", "own": ["web"], "other": ["web"]}
    assert [one.labels for one in entries(kernel.home, "label") if one.run == run] == [("web",)]


def _has_process(kernel: Kernel) -> bool:
    return any(row["pid"] for row in runs(kernel, "landlord"))


def _lies_there(kernel: Kernel, run: str) -> None:
    found = kernel.home / "scratch" / run / "found"
    until(lambda: found.exists() and found.read_text(), "it lies there", closely=True)


def _is_marked(kernel: Kernel, run: str) -> None:
    value: Any = chaos.outcome_of(kernel, run)["value"]
    assert value == {"found": "what came from the web", "own": ["web"], "other": ["web"]}
