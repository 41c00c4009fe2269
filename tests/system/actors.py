"""Hands that do exactly what a test tells them, so that one kernel serves many attacks.

An actor is sealed, installed and confined like any Hand. Each of its methods takes `steps`, does them, and returns what
became of each; a step may have an actor do further steps in a call of its own, so that any chain of calls can be built.
Steps speak the bus below the runtime's manners: they may name any parent and carry any labels.

    {"call": METHOD, "on": RESOURCE, "with": {...}, "labels": [...], "parent": N, "send": [bytes, ...]}
    {"publish": NAME, "with": BODY} · {"subscribe": EVENT} · {"heard": COUNT} · {"hold": True} · {"numbers": True}
    {"reply": {...}, "labels": [...], "chunks": [bytes, ...]}        what its own call answers with
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from kernel.cli.client import Client
from kernel.cli.exits import NotDone
from tests.living import Kernel, Source, install
from tests.system.fates import PATIENCE
from wire import codec, headers

Step = Mapping[str, object]
Told = dict[str, Any]
"""What became of a step: end, and value, labels, code, why, grant as far as that end has them."""

_MAIN: Final = """
import asyncio

from runtime import Call, CallFailed, CallRefused, CallCancelled, Hand
from runtime.calls import answering, reply_of
from wire import codec, headers


class Actor(Hand):
    async def start(self):
        self.held, self.events, self.came = asyncio.Event(), [], asyncio.Event()
        self.numbers, self.holding = [], 0

    async def on_call(self, call, arguments):
        if call.method == "run":
            return await self.run(**arguments)
        self.numbers.append(call.number)
        try:
            return await self.act(arguments.get("steps") or [], call)
        finally:
            self.numbers.remove(call.number)

    async def run(self, steps=()):
        return await self.act(steps, None)

    async def on_event(self, event):
        self.events.append({"event": f"{event.publisher}.{event.name}", "body": event.body, "labels": event.labels})
        self.came.set()

    async def act(self, steps, call):
        told, answer = [], {}
        for step in steps:
            if "reply" in step:
                call.add_labels(*step.get("labels", ()))
                for chunk in step.get("chunks", ()):
                    await call.send(chunk)
                answer = step["reply"]
            else:
                told.append(await self.do(step, call))
        seen = {} if call is None else {"method": call.method, "resource": call.resource, "labels": call.labels}
        return {"told": told, "run": self.run_id, **seen, **answer}

    async def do(self, step, call):
        if "numbers" in step:
            return {"numbers": [number for number in self.numbers if number != call.number]}
        if "hold" in step:
            self.holding += 1
            await self.held.wait()
            self.holding -= 1
            return {}
        if "release" in step:
            while not self.holding:  # who is to be released may be on his way there
                await asyncio.sleep(0.01)
            self.held.set()
            self.held = asyncio.Event()
            return {}
        if "heard" in step:
            while len(self.events) < step["heard"]:
                self.came.clear()
                await self.came.wait()
            return {"events": self.events}
        if "take" in step:
            return {"chunks": [chunk async for chunk in call.upload], "labels": call.labels}
        try:
            return await self.make(step)
        except CallRefused as end:
            return {"end": "refused", "code": end.code, "why": end.why, "grant": end.grant}
        except CallFailed as end:
            return {"end": "failed", "code": end.code, "why": end.text}
        except CallCancelled as end:
            return {"end": "cancelled", "why": str(end)}

    async def make(self, step):
        if "publish" in step:
            header = headers.Publish(
                number=0, event=step["publish"], labels=tuple(step.get("labels", ())),
                parent=step.get("parent", answering.get()),
            )
            await self.kernel._calls.ask(header, codec.encode_body(step.get("with")))
            return {"end": "done"}
        if "subscribe" in step:
            await self.kernel.subscribe(step["subscribe"])
            return {"end": "done"}
        calls = self.kernel._calls
        header = headers.Call(
            number=0, method=step["call"], resource=step.get("on", ""), upload="send" in step,
            parent=step.get("parent", answering.get()), labels=tuple(step.get("labels", ())),
        )
        open_call = await calls._start(header, codec.encode_body(step.get("with") or {}), streamed=False)
        for part in step.get("send", ()):
            if isinstance(part, dict):
                await self.make(part)
            else:
                await self.chunk(calls, open_call, part)
        if "send" in step:
            await self.chunk(calls, open_call, b"", last=True)
        chunks, then = [], []
        while open_call.end is None or open_call.chunks:
            while open_call.chunks:
                chunks.append(codec.decode_body(open_call.chunks.popleft()))
                calls._link.send(headers.Credit(number=open_call.number, chunks=1)) if open_call.end is None else None
                if "at_chunk" in step and not then:
                    then.append(await self.do(step["at_chunk"], None))
            if open_call.end is None:
                await open_call.wait_for_change()
        reply = reply_of(open_call.end)
        more = {"chunks": chunks, "then": then} if chunks else {}
        return {"end": "done", "value": reply.value, "labels": reply.labels, **more}

    async def chunk(self, calls, open_call, part, last=False):
        while open_call.credit == 0 and open_call.end is None:
            await open_call.wait_for_change()
        if open_call.end is None:
            open_call.credit -= 1
            calls._link.send(headers.Chunk(number=open_call.number, last=last), codec.encode_body(part))
"""

KINDS: Final = ("none", "name", "path", "url", "address", "namespace", "model")


def provided(name: str, verb: str, *, on: str = "none", effect: str = "read", labels: Sequence[str] = ()) -> str:
    """One method of an actor's, as its table in HAND.toml."""
    return f"""
[provides."{name}.{verb}"]
summary = "Do as told"
resource = "{on}"
effect = "{effect}"
labels = {list(labels)!r}
params = {{ steps = "list?" }}
"""


def actor(
    name: str, capabilities: str = "", *, kind: str = "service", autonomy: str = "full", version: str = "1.0.0",
    labels: Sequence[str] = (), hand: str = "", more: str = "",
) -> Source:  # fmt: skip
    """An actor with `do` (none, read), `write`, `external`, and a method for each kind of resource: `at-url` and so on.

    capabilities: rows of [capabilities]; labels: what `labelled` declares; hand: further keys of [hand]; more: tables.
    """
    methods = [provided(name, "do"), provided(name, "labelled", labels=labels or ("web",))]
    methods += [provided(name, effect, effect=effect) for effect in ("write", "external")]
    methods += [provided(name, f"at-{on}", on=on) for on in KINDS[1:]]
    toml = f"""
[hand]
name = "{name}"
version = "{version}"
description = "Does as it is told."
entry = "main:Actor"
kind = "{kind}"
autonomy = "{autonomy}"
{hand}

[capabilities]
{capabilities}

[limits]
calls_per_minute = 60000
in_flight = 64
{more}
{"".join(methods)}
"""
    return Source(toml, _MAIN)


def cast(kernel: Kernel, sources: Iterable[Source]) -> None:
    """Install actors, each with all that it asks for."""
    for source in sources:
        install(kernel, source)


def rows(*methods: str) -> str:
    """Rows of [capabilities]: each method on everything."""
    return "".join(f'"{method}" = ["*"]\n' for method in dict.fromkeys(methods))


def begin(client: Client, method: str, steps: Sequence[Step]) -> None:
    """Have the operator call an actor, without waiting for what becomes of it."""
    client._number += 2
    client._send(headers.Call(number=client._number, method=method), {"steps": list(steps)})


def answer(client: Client) -> list[Told]:
    """What became of the steps of the call that was begun."""
    while True:
        message = client._receive(PATIENCE)
        assert message is not None, "no answer came"
        if isinstance(message[0], headers.Done):
            value: Any = codec.decode_body(message[1])
            return list(value["told"])


def ask(client: Client, method: str, steps: Sequence[Step], on: str = "") -> list[Told]:
    """Have the operator call an actor; what became of its steps."""
    value = client.call(method, on, {"steps": list(steps)}).value
    assert isinstance(value, dict)
    told: list[Told] = value["told"]  # type: ignore[assignment]
    return told


def through(*hops: str, last: Step) -> Step:
    """A step that has each hop's actor call the next, and the last one do `last`: "a.do", "b.do", … ."""
    step = last
    for method in reversed(hops):
        step = {"call": method, "with": {"steps": [step]}}
    return step


def innermost(told: Told) -> Told:
    """Of a chain of calls, what became of its last step; of one that broke earlier, that."""
    while told.get("end") == "done" and isinstance(told["value"], dict) and told["value"].get("told"):
        told = told["value"]["told"][-1]
    return told


def refused(told: Told, code: str) -> Told:
    """It was refused for that reason."""
    assert (told.get("end"), told.get("code")) == ("refused", code), told
    return told


def done(told: Told) -> Told:
    """It was done."""
    assert told.get("end") == "done", told
    return told


def not_done(client: Client, method: str, on: str = "", arguments: object = None) -> NotDone:
    """The end that a call of the operator's comes to, which is not Done."""
    try:
        reply = client.call(method, on, arguments)
    except NotDone as end:
        return end
    raise AssertionError(f"{method} was done: {reply}")
