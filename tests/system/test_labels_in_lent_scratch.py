"""Labels go through a scratch folder that is lent: who works in it has seen what the other has, and at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest

from kernel.cli.client import Client
from tests.living import Kernel, Source, install, make_home
from tests.system.actors import actor, ask, cast
from tests.system.fates import runs, until

_LODGER: Final = Source(
    """
[hand]
name = "lodger"
version = "1.0.0"
description = "Works in its caller's scratch folder."
entry = "main:Lodger"
kind = "task"
autonomy = "full"

[capabilities]
"source.labelled" = ["*"]
"sink.do" = ["*"]

[provides."lodger.fetch"]
summary = "Leave there what was heard, and go on working"
resource = "none"
effect = "external"

[provides."lodger.tell"]
summary = "Pass on what is put there meanwhile"
resource = "none"
effect = "external"
returns = { labels = "list" }

[confinement]
scratch = "caller"
""",
    """
import asyncio

from runtime import Hand


class Lodger(Hand):
    async def fetch(self, call):
        await self.kernel.call("source.labelled")
        (self.scratch / "found").write_text("what came from the web")
        await asyncio.sleep(3600)

    async def tell(self, call):
        (self.scratch / "waits").touch()
        while not (self.scratch / "told").exists():
            await asyncio.sleep(0.02)
        return {"labels": (await self.kernel.call("sink.do")).value["labels"]}
""",
)
_LANDLORD: Final = Source(
    """
[hand]
name = "NAME"
version = "1.0.0"
description = "Lends its scratch folder, and looks into it meanwhile."
entry = "main:Landlord"
kind = "KIND"
autonomy = "full"

[capabilities]
"source.labelled" = ["*"]
"sink.do" = ["*"]
"lodger.*" = ["*"]

[events]
subscribes = ["herald.news"]

[provides."NAME.do"]
summary = "Do this"
resource = "none"
effect = "external"
params = { way = "string", alone = "bool?" }
returns = { labels = "list" }
""",
    """
import asyncio

from runtime import Hand
from runtime.calls import answering


class Landlord(Hand):
    async def on_event(self, event):
        (self.scratch / "told").write_text(event.body)

    async def run(self, way):
        return {"labels": await getattr(self, f"go_{way}")()}

    async def do(self, call, way, alone=False):
        if alone:
            answering.set(0)
        return {"labels": await getattr(self, f"go_{way}")()}

    async def there(self, name):
        while not (self.scratch / name).exists():
            await asyncio.sleep(0.02)

    async def go_in(self):
        lodging = asyncio.ensure_future(self.kernel.call("lodger.fetch"))
        await self.there("found")
        labels = (await self.kernel.call("sink.do")).value["labels"]
        lodging.cancel()
        return labels

    async def go_out(self):
        lodging = asyncio.ensure_future(self.kernel.call("lodger.tell"))
        await self.there("waits")
        await self.kernel.call("source.labelled")
        (self.scratch / "told").write_text("what came from the web")
        return (await lodging).value["labels"]

    async def go_deaf(self):
        await self.kernel.call("source.labelled")
        (self.scratch / "told").write_text("what came from the web")
        return []

    async def go_by(self):
        return (await self.kernel.call("lodger.tell")).value["labels"]

    async def go_event(self):
        await self.kernel.subscribe("herald.news")
        return (await self.kernel.call("lodger.tell")).value["labels"]
""",
)


def _landlord(name: str, kind: str) -> Source:
    return Source(_LANDLORD.toml.replace("NAME", name).replace("KIND", kind), _LANDLORD.main)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("lent") / "home")) as kernel:
        cast(kernel, [actor("source", labels=["web"]), actor("sink")])
        for source in (
            _LODGER,
            _landlord("worker", "task"),
            _landlord("house", "service"),
            _landlord("loner", "service"),
            _landlord("inn", "service"),
            _landlord("hearer", "service"),
        ):
            install(kernel, source)
        cast(kernel, [actor("herald", more='[events]\npublishes = ["news"]')])
        yield kernel


@pytest.mark.parametrize("way", ["in", "out"])
def test_what_one_has_seen_marks_the_calls_of_the_other_in_the_same_scratch(client: Client, way: str) -> None:
    """In: a lodger leaves there what it heard, while its call is open. Out: its landlord puts there what it heard later."""
    value: Any = client.call("kernel.start", "worker", {"inputs": {"way": way}, "wait": True}, seconds=60).value
    assert value["value"] == {"labels": ["web"]}


@pytest.mark.parametrize("way", ["in", "out"])
def test_a_service_that_lends_its_scratch_for_one_call_is_no_laundry(client: Client, way: str) -> None:
    assert client.call("house.do", "", {"way": way}, seconds=60).value == {"labels": ["web"]}


@pytest.mark.parametrize("way", ["in", "out"])
def test_nor_is_one_that_lends_it_in_its_own_name(client: Client, way: str) -> None:
    client.call("kernel.stop", "loner")  # its next process has seen nothing
    assert client.call("loner.do", "", {"way": way, "alone": True}, seconds=60).value == {"labels": ["web"]}


def test_nor_is_one_that_hears_an_event_meanwhile(kernel: Kernel, client: Client) -> None:
    with kernel.client() as other, ThreadPoolExecutor(1) as beside:
        lending = beside.submit(other.call, "hearer.do", "", {"way": "event"}, seconds=60)
        (run,) = until(lambda: runs(kernel, "hearer"), "it runs")
        until((kernel.home / "scratch" / str(run["run"]) / "waits").exists, "its lodger waits")
        ask(client, "herald.do", [{"publish": "news", "with": "what came from the web", "labels": ["web"]}])
        assert lending.result().value == {"labels": ["web"]}


def test_nor_is_one_that_lends_for_one_call_what_it_heard_for_another(client: Client) -> None:
    client.call("inn.do", "", {"way": "deaf"}, seconds=60)
    reply = client.call("inn.do", "", {"way": "by"}, seconds=60)
    assert (reply.value, reply.labels) == ({"labels": ["web"]}, ("web",))
