"""What pipelines may do, and what starts them: the less of two grants, what they lend, and their schedules."""

from collections.abc import Iterator
from typing import Any

import pytest

from kernel.cli.client import Client
from kernel.cli.exits import NotDone
from tests.living import Kernel, Source, install, make_home
from tests.system.beats import SCHEDULING, begun, ended, following, told
from tests.system.fates import bare, begin, entries, ran, until
from tests.system.piped import WORKER, add, furnish, ledger


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("authority") / "home")) as kernel:
        yield kernel
        kernel.down()


@pytest.fixture
def kernel(living: Kernel) -> Iterator[Kernel]:
    """A kernel with the Hands of the steps, and an empty ledger."""
    furnish(living)
    yield living
    bare(living)


def test_a_step_may_do_the_less_of_what_its_hand_and_the_pipeline_are_granted(kernel: Kernel, client: Client) -> None:
    text = """
[lends]
"ledger.add" = ["book/a"]
"kernel.sleep" = ["*"]
[inputs]
on = "string"
[steps.a]
hand = "worker"
with = { on = "${inputs.on}" }
"""
    add(kernel, "narrow", text)
    assert ran(client, "narrow", on="book/a")["outcome"] == "done"
    outcome = ran(client, "narrow", on="book/b")
    assert (
        "narrow (in whose name worker calls) holds no grant for ledger.add on 'book/b', nor lends it" in outcome["text"]
    )
    client.call("kernel.revoke", "narrow", {"method": "ledger.add"})
    assert ran(client, "narrow", on="book/a")["outcome"] == "failed"
    client.call("kernel.grant", "narrow", {"capabilities": [{"method": "ledger.add", "allow": ["book/a"]}]})
    assert ran(client, "narrow", on="book/a")["outcome"] == "done"
    client.call("kernel.revoke", "worker", {"method": "ledger.add"})
    assert ran(client, "narrow", on="book/a")["outcome"] == "failed"
    assert ledger(client) == ["book/a ", "book/a "]


RELAY = Source(
    """
[hand]
name = "relay"
version = "1.0.0"
description = "Adds for whoever asks."
entry = "main:Relay"
kind = "task"
autonomy = "full"

[capabilities]
"ledger.add" = ["book/**"]

[provides."relay.add"]
summary = "Add in the caller's name"
resource = "none"
effect = "write"
""",
    """
from runtime import Call, Hand


class Relay(Hand):
    async def add(self, call: Call) -> object:
        return (await self.kernel.call("ledger.add", "book/a", text="relayed", key="r")).value
""",
)

LENDER = Source(
    """
[hand]
name = "lender"
version = "1.0.0"
description = "Lends what it may not use."
entry = "main:Lender"
kind = "task"
autonomy = "full"

[capabilities]
"kernel.spawn" = ["worker"]
"relay.add" = ["*"]

[lends]
"ledger.add" = ["book/**"]
"kernel.sleep" = ["*"]
"kernel.spawn" = ["lender"]
""",
    """
from runtime import CallFailed, CallRefused, Hand


class Lender(Hand):
    async def run(self) -> object:
        told = await self.kernel.check("ledger.add", "book/a")
        refused = {}
        for method, on in (("ledger.add", "book/a"), ("kernel.spawn", "lender")):
            try:
                await self.kernel.call(method, on, {"text": "its own"} if on == "book/a" else {})
            except CallRefused as error:
                refused[method] = error.code
        try:
            await self.kernel.call("relay.add")
        except CallFailed as error:
            refused["relay.add"] = error.text
        outcome = await self.kernel.spawn_and_wait("worker", {"text": "its child's"})
        listed = [row["method"] for row in await self.kernel.describe(hand="kernel")]
        return {"check": told.allowed, "refused": refused, "child": outcome.outcome, "sleeps": "kernel.sleep" in listed}
""",
)


def test_what_a_hand_lends_it_cannot_use_itself_nor_by_a_hand_that_it_calls(kernel: Kernel, client: Client) -> None:
    install(kernel, RELAY)
    install(kernel, LENDER)
    value = ran(client, "lender")["value"]
    assert value["check"] is False
    assert "lender (in whose name relay calls) may lend ledger.add" in value["refused"].pop("relay.add", "")
    assert value["refused"] == {"ledger.add": "capability", "kernel.spawn": "capability"}
    assert value["child"] == "done"
    assert ledger(client) == ["book/a its child's"]


def test_a_pipeline_whose_file_was_changed_does_not_start(kernel: Kernel, client: Client) -> None:
    folder = add(kernel, "sealed", '[steps.a]\nhand = "worker"\n')["folder"]
    file = kernel.home / "hands" / str(folder) / "sealed.pipeline.toml"
    file.chmod(0o600)
    file.write_text(file.read_text() + "\n")
    with pytest.raises(NotDone) as end:
        begin(client, "sealed")
    assert end.value.reason == "seal"


EVENTS = Source(
    WORKER.toml.replace('"worker"', '"caller"').replace("Worker", "Caller").replace('"ledger.add" = ["book/**"]\n', "")
    + """
[events]
publishes = ["called"]
""",
    """
from runtime import Hand


class Caller(Hand):
    async def run(self) -> None:
        await self.publish("called", {})
""",
)


@pytest.mark.wide
def test_a_scheduled_pipeline_is_started_with_the_inputs_of_its_schedule(kernel: Kernel, client: Client) -> None:
    install(kernel, SCHEDULING)
    add(kernel, "beat", """
[inputs]
when = "string"
word = "string"
[schedule]
every = "1s"
inputs = { when = "$time", word = "hello" }
[steps.a]
hand = "worker"
with = { text = "${inputs.word}" }
[outputs]
when = "${inputs.when}"
""")  # fmt: skip
    row = until(lambda: ended(client, "beat")[1:], "two runs")[0]
    value: Any = told(client, "kernel.wait", "", {"run": row["run"]})
    assert (value["outcome"], value["value"]) == ("done", {"when": row["planned"]})
    assert {*ledger(client)} == {"book/a hello"}


@pytest.mark.soak  # 120 runs of a pipeline
def test_a_loop_from_a_pipeline_over_an_event_of_its_step_is_ended_and_told(kernel: Kernel, client: Client) -> None:
    install(kernel, SCHEDULING)
    install(kernel, EVENTS)
    add(kernel, "echoes", '[schedule]\non = "caller.called"\noverlap = "queue"\n[steps.a]\nhand = "caller"\n')
    until(lambda: following(client, "echoes"), "it is known")
    client.call("kernel.start", "caller", {"wait": True})
    skipped = until(lambda: ended(client, "echoes", "skipped"), "the end of the loop", 120)
    assert "caller.called began 120 runs of it within 60 s" in skipped[0]["why"]
    assert len(begun(kernel.home, "echoes")) <= 121
    assert until(lambda: [one for one in entries(kernel.home, "event") if one.method == "scheduling.loop"], "its event")
