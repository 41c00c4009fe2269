"""Events, settings and the typed kernel handle, as a Hand meets them."""

import pytest

from manifests.schema import Setting
from tests.runtime.peer import Peer, provided
from wire import codec, headers, limits

SOURCE = """
    import asyncio
    from runtime import Call, CallRefused, Event, Hand

    class Test(Hand):
        async def start(self) -> None:
            self.heard = []
            self.gate = asyncio.Event()
            await self.kernel.subscribe("other.alert")

        async def on_event(self, event: Event) -> None:
            if event.body == "wait":
                await self.gate.wait()
            if event.body == "fall":
                raise ValueError("fell")
            self.heard.append([event.publisher, event.name, event.body, list(event.labels), event.missed])

        async def what(self, call: Call) -> object:
            return self.heard

        async def open(self, call: Call) -> None:
            self.gate.set()

        async def tell(self, call: Call) -> object:
            try:
                await self.kernel.publish("loaded", {"rows": 3}, labels=("a\\tb",))
            except CallRefused as error:
                return error.code
"""
PROVIDES = tuple(map(provided, ("test.what", "test.open", "test.tell")))


@pytest.fixture
def hand(peer: Peer) -> Peer:
    peer.launch(SOURCE, PROVIDES)
    subscribe, _ = peer.expect(headers.Subscribe)
    assert (subscribe.number, subscribe.event) == (1, "other.alert")
    peer.send(headers.Done(number=1))
    return peer.ready()


def test_an_event_is_heard_and_credited_when_it_is_dealt_with(hand: Peer) -> None:
    hand.send(headers.Event(event="other.alert", labels=("web",), missed=2), {"n": 1})
    assert hand.expect(headers.Credit)[0] == headers.Credit(number=0, chunks=1)
    assert hand.answer("test.what") == [["other", "alert", {"n": 1}, ["web"], 2]]


def test_events_are_dealt_with_one_after_the_other(hand: Peer) -> None:
    for body in ("first", "wait", "third"):
        hand.send(headers.Event(event="other.alert"), body)
    hand.expect(headers.Credit)
    assert hand.answer("test.what") == [["other", "alert", "first", [], 0]]  # no second credit came before it
    hand.call("test.open")
    seen = [hand.next()[0] for _ in range(3)]
    assert seen.count(headers.Credit(number=0, chunks=1)) == 2
    value = hand.answer("test.what")
    assert isinstance(value, list)
    assert [heard[2] for heard in value if isinstance(heard, list)] == ["first", "wait", "third"]


def test_an_event_that_raises_or_cannot_be_read_is_logged_and_the_next_is_heard(hand: Peer) -> None:
    hand.send(headers.Event(event="other.alert"), "fall")
    hand.send_raw(codec.encode(headers.Event(event="other.alert")), b"\xc1")
    hand.send(headers.Event(event="other.alert"), "next")
    for _ in range(3):
        hand.expect(headers.Credit)
    assert hand.answer("test.what") == [["other", "alert", "next", [], 0]]
    assert [record["published"] for record in hand.records()] == ["other.alert", "other.alert"]


def test_events_beyond_their_window_end_the_run(hand: Peer) -> None:
    hand.send(headers.Event(event="other.alert"), "wait")
    for _ in range(limits.EVENT_WINDOW + 1):
        hand.send(headers.Event(event="other.alert"), "more")
    assert hand.exit_code() == 75


def test_publishing_waits_for_its_answer(hand: Peer) -> None:
    number = hand.call("test.tell")
    publish, body = hand.expect(headers.Publish)
    assert (publish.event, publish.parent, body) == ("loaded", number, {"rows": 3})
    assert publish.labels == ("a\ufffdb",)
    hand.send(headers.Done(number=publish.number))
    assert hand.expect(headers.Done)[1] is None


def test_publishing_without_a_grant_is_refused(hand: Peer) -> None:
    hand.call("test.tell")
    publish, _ = hand.expect(headers.Publish)
    hand.send(headers.Refused(number=publish.number, code="capability", why="not granted"))
    assert hand.expect(headers.Done)[1] == "capability"


# settings -------------------------------------------------------------------------------------------------------------

SETTINGS = {
    "every": Setting(type="duration", default="60s"),
    "target": Setting(type="string", required=True),
    "key": Setting(type="string", secret=True),
}
READER = """
    from runtime import Call, Hand

    class Test(Hand):
        changes = []

        async def on_settings(self, changed):
            self.changes.append([sorted(changed), self.settings["target"]])

        async def read(self, call: Call) -> object:
            return {**self.settings, "changes": self.changes}

        async def show(self, call: Call) -> object:
            self.log.info(f"settings are {self.settings}", raw=dict(self.settings))
            return self.settings.of("every", float)
"""


@pytest.fixture
def reader(peer: Peer) -> Peer:
    given: dict[str, object] = {"target": "a", "key": "abracadabra"}
    return peer.launch(
        READER, tuple(map(provided, ("test.read", "test.show"))), settings=SETTINGS, values=given
    ).ready()


def test_settings_are_typed_and_have_their_defaults(reader: Peer) -> None:
    assert reader.answer("test.read") == {"every": 60.0, "target": "a", "key": "abracadabra", "changes": []}
    assert reader.answer("test.show") == 60.0


def test_settings_change_while_the_hand_lives(reader: Peer) -> None:
    reader.send(headers.Event(event="kernel.settings"), {"target": "b", "every": "5m", "key": "abracadabra"})
    reader.expect(headers.Credit)
    changes = [[["every", "target"], "b"]]
    assert reader.answer("test.read") == {"every": 300.0, "target": "b", "key": "abracadabra", "changes": changes}
    reader.send(headers.Event(event="kernel.settings"), {"target": "b", "every": "5m", "key": "abracadabra"})
    reader.expect(headers.Credit)
    value = reader.answer("test.read")
    assert isinstance(value, dict)
    assert value["changes"] == changes


def test_settings_that_do_not_fit_change_nothing(reader: Peer) -> None:
    reader.send(headers.Event(event="kernel.settings"), {"target": 3})
    reader.expect(headers.Credit)
    value = reader.answer("test.read")
    assert isinstance(value, dict)
    assert value["target"] == "a"
    (record,) = reader.records()
    assert "`target`" in str(record["why"])


def test_secret_settings_old_and_new_never_reach_the_log(reader: Peer) -> None:
    reader.send(headers.Event(event="kernel.settings"), {"target": "abracadabra", "key": "open sesame"})
    reader.expect(headers.Credit)
    reader.answer("test.show")
    text = reader.log.read_text()
    assert "abracadabra" not in text
    assert "open sesame" not in text
    (record,) = reader.records()
    assert record["raw"] == {"every": 60.0, "target": "[redacted]", "key": "[redacted]"}


# the kernel's own methods ---------------------------------------------------------------------------------------------

ASKING = """
    import msgspec
    from runtime import Call, Hand

    class Test(Hand):
        async def ask(self, call: Call, code: str) -> object:
            return msgspec.to_builtins(await eval(code, {"kernel": self.kernel, "self": self}))
"""


SPENT: dict[str, object] = {
    "tokens": 5,
    "micro_dollars": 6,
    "calls": 7,
    "calls_per_minute": 300,
    "tokens_left": None,
    "micro_dollars_left": 7,
    "milliseconds_left": 4_000,
    "tokens_in_all": 9,
    "micro_dollars_in_all": 8,
    "budget": [],
}
ENDED = {"run": "r-1", "outcome": "done", "value": [4], "code": "", "text": ""}
METHODS = {"methods": [{"method": "a.b"}]}


@pytest.mark.parametrize(
    ("code", "method", "resource", "arguments", "reply", "value"),
    [
        (
            'kernel.check("files.read", "a/b")',
            "kernel.check",
            "",
            {"method": "files.read", "resource": "a/b"},
            {"allowed": False, "why": "not granted", "grant": "g", "new": 1},
            {"allowed": False, "approval": False, "code": "", "why": "not granted", "grant": "g"},
        ),
        ("kernel.budget()", "kernel.budget", "", {}, SPENT, SPENT),
        (
            'kernel.spawn("child", {"n": 1}, detached=True)',
            "kernel.spawn",
            "child",
            {"inputs": {"n": 1}, "detached": True},
            {"run": "r-1"},
            "r-1",
        ),
        (
            'kernel.spawn_and_wait("child", {"n": 1})',
            "kernel.spawn",
            "child",
            {"inputs": {"n": 1}, "wait": True},
            ENDED,
            ENDED,
        ),
        ('kernel.wait("r-1")', "kernel.wait", "", {"run": "r-1"}, ENDED, ENDED),
        ('kernel.stop("r-1")', "kernel.stop", "r-1", {}, None, None),
        ('kernel.pause("child")', "kernel.pause", "child", {}, None, None),
        ('kernel.resume("child")', "kernel.resume", "child", {}, None, None),
        ("kernel.list()", "kernel.list", "", {}, {"hands": [{"name": "child"}]}, [{"name": "child"}]),
        ('kernel.describe(method="a.b")', "kernel.describe", "", {"method": "a.b"}, METHODS, [{"method": "a.b"}]),
        ('kernel.describe(hand="a")', "kernel.describe", "", {"hand": "a"}, METHODS, [{"method": "a.b"}]),
        ("kernel.settings()", "kernel.settings", "", {}, {"settings": {"n": 1}}, {"n": 1}),
        ("kernel.sleep(1.5)", "kernel.sleep", "", {"milliseconds": 1500}, None, None),
        ("kernel.sleep(-61)", "kernel.sleep", "", {"milliseconds": 0}, None, None),
        ('kernel.note("half way")', "kernel.note", "", {"text": "half way"}, None, None),
        (
            'self.progress(3, 9, "rows")',
            "kernel.note",
            "",
            {"text": "rows", "done": 3, "total": 9},
            None,
            None,
        ),
    ],
)
def test_each_kernel_method_is_one_call(
    peer: Peer, code: str, method: str, resource: str, arguments: object, reply: object, value: object
) -> None:
    peer.launch(ASKING, (provided("test.ask", code="string"),)).ready()
    peer.call("test.ask", code=code)
    call, given = peer.expect(headers.Call)
    assert (call.method, call.resource, given) == (method, resource, arguments)
    peer.send(headers.Done(number=call.number), reply)
    assert peer.expect(headers.Done)[1] == value


def test_an_answer_of_the_kernel_in_another_shape_is_a_failure_and_no_crash(peer: Peer) -> None:
    peer.launch(ASKING, (provided("test.ask", code="string"),)).ready()
    peer.call("test.ask", code="kernel.list()")
    call, _ = peer.expect(headers.Call)
    peer.send(headers.Done(number=call.number), {"hands": 3})
    assert "otherwise than agreed" in peer.expect(headers.Failed)[0].text
