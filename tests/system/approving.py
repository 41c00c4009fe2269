"""What tests of approvals share: Hands that ask before they act, a provider that counts what it really did, and answers.

An answer is signed and sent as `maniple approve` and `deny` do it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kernel.cli import answering
from kernel.cli.answering import AnswerReply, HeldCall
from tests.living import Kernel, Source, install, seal_key
from tests.system import fates
from tests.system.fates import until
from wire import codec
from wire.approval import RuleSaid
from wire.codec import Value
from wire.signing import SigningKey

POST = Source(
    """
[hand]
name = "post"
version = "1.0.0"
description = "Sends letters, and counts them."
entry = "main:Post"
kind = "service"
autonomy = "full"

[provides."post.send"]
summary = "Send a letter"
resource = "name"
effect = "external"
params = { text = "string" }

[provides."post.pin"]
summary = "Send a letter once, however often it is sent"
resource = "name"
effect = "external"
idempotent = true
params = { text = "string" }

[provides."post.read"]
summary = "Read a letter"
resource = "name"
effect = "read"

[provides."post.spell"]
summary = "Send a letter, and say each character"
resource = "name"
effect = "external"
params = { text = "string" }
""",
    """
from runtime import Call, Hand


class Post(Hand):
    async def send(self, call: Call, text: str) -> object:
        with open(self.state / "sent", "a") as file:
            file.write(f"{call.resource} {text}\\n")
        return {"sent": text, "to": call.resource}

    async def pin(self, call: Call, text: str) -> object:
        return await self.send(call, text)

    async def read(self, call: Call) -> object:
        return {}

    async def spell(self, call: Call, text: str) -> object:
        for character in text:
            await call.send(character.encode())
        return await self.send(call, text)
""",
)

_WRITER = """
import asyncio

from runtime import CallFailed, CallRefused, Hand


class Writer(Hand):
    async def run(self, letters: list = (), at_once: bool = False, method: str = "post.send", timeout: float = 0.0,
                  before: str = "", spawn: str = "", reads: bool = False, naps: float = 0.0) -> object:
        if before:
            await self.kernel.note(before)
        if spawn:
            told = await self.kernel.call("kernel.spawn", spawn, {"inputs": {"letters": letters}, "wait": True})
            return told.value["value"]
        if reads:
            sending = [asyncio.create_task(self.send(method, to, text, timeout)) for to, text in letters]
            while not all(one.done() for one in sending):
                await self.kernel.call("post.read", "ann", {})
                await asyncio.wait(sending, timeout=naps)
            return [one.result() for one in sending]
        if at_once:
            return await asyncio.gather(*(self.send(method, to, text, timeout) for to, text in letters))
        return [await self.send(method, to, text, timeout) for to, text in letters]

    async def send(self, method, to, text, timeout):
        more = {} if method == "post.read" else {"text": text}
        try:
            return (await self.kernel.call(method, to, more, timeout=timeout or None)).value
        except CallRefused as end:
            return f"refused: {end.code}: {end.why}"
        except CallFailed as end:
            return f"failed: {end.code}"
"""

ASKS = '"post.*" = ["*"]\n"kernel.note" = ["*"]\n'


def writer(
    name: str = "writer", asks: str = ASKS, *, autonomy: str = "supervised", version: str = "1.0.0", wall: str = "10m"
) -> Source:
    """A task that sends each of its `letters`, [to, text], and returns what became of each."""
    toml = f"""
[hand]
name = "{name}"
version = "{version}"
description = "Writes letters."
entry = "main:Writer"
kind = "task"
autonomy = "{autonomy}"

[limits]
wall = "{wall}"

[capabilities]
{asks}
"""
    return Source(toml, _WRITER)


@contextmanager
def furnished(kernel: Kernel, *hands: Source) -> Iterator[Kernel]:
    """A living kernel with a post that sent nothing yet, and these Hands; all go at the end, and all that waits with them."""
    for hand in (POST, *hands):
        install(kernel, hand)
    yield kernel
    fates.bare(kernel)
    for file in (kernel.home / "state").glob("*/sent"):
        file.unlink()


def begin(kernel: Kernel, *letters: str, hand: str = "writer", **inputs: object) -> str:
    """Start a run that sends letters, each `to text`; its id."""
    told = {"inputs": {"letters": [one.split(" ", 1) for one in letters], **inputs}}
    return str(fates.table(fates.call(kernel, "kernel.start", hand, told))["run"])


def outcome(kernel: Kernel, run: str) -> Value:
    """What a run returned, as soon as it has."""
    told = fates.table(fates.call(kernel, "kernel.wait", "", {"run": run}, seconds=60))
    assert told["outcome"] == "done", told
    return told["value"]


def sent(home: Path) -> list[str]:
    """What the post really did, in order."""
    return [line for file in (home / "state").glob("*/sent") for line in file.read_text().splitlines()]


def waiting(kernel: Kernel, count: int = 1) -> list[HeldCall]:
    """What waits, as soon as it is so many calls; in the order in which they were made."""

    def found() -> list[HeldCall]:
        with kernel.client() as client:
            rows = answering.fetch_held(client)
        return list(rows) if len(rows) == count else []

    return sorted(until(found, f"{count} held calls"), key=lambda one: one.call)


def none_waits(kernel: Kernel) -> bool:
    """Whether nothing waits."""
    with kernel.client() as client:
        return not answering.fetch_held(client)


def answer(
    kernel: Kernel, calls: Sequence[HeldCall], verdict: str = "approved", *, why: str = "", key: SigningKey | None = None,
    rule: RuleSaid | None = None, instead: object = None,
) -> list[AnswerReply]:  # fmt: skip
    """Answer calls with the home's own key, or another."""
    body = None if instead is None else codec.encode_body(instead)
    with kernel.client() as client:
        return answering.answer(
            client, key or seal_key(kernel.home), [one.call for one in calls], verdict, why=why, rule=rule, body=body
        )  # fmt: skip
