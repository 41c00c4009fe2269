"""What a Hand raises, and what does not fit its HAND.toml: told in one line, at the right moment, to the right one."""

import pytest
from msgspec.structs import replace

from runtime import Failure
from tests.runtime.peer import Peer, provided
from tests.system.fates import until
from wire import headers
from wire.amounts import Cost

RAISING = """
    from runtime import Call, Failure, Hand

    class Test(Hand):
        async def fall(self, call: Call) -> None:
            call.add_labels("web")
            call.cost(tokens=1)
            raise RuntimeError("two\\nlines  " + "x" * 5000)

        async def ask(self, call: Call) -> None:
            await self.kernel.call("a.b")

        async def fail(self, call: Call) -> None:
            raise Failure("c" * 100, "t" * 5000, thing=object())

        async def mark(self, call: Call) -> str:
            call.add_labels("l" * 100)
            call.cost(tokens=7, micro_dollars=11)
            return "done"

        async def split(self, call: Call) -> str:
            call.add_labels("secret\\nfile")
            return "done"

        async def absurd(self, call: Call) -> str:
            call.cost(tokens=2**70)
            return "done"

        async def typed(self, call: Call, count: int, wait: float = 1.0) -> object:
            return [count, wait]
"""
RAISES = (
    provided("test.fall"),
    provided("test.ask"),
    provided("test.fail"),
    provided("test.mark"),
    provided("test.split"),
    provided("test.absurd"),
    provided("test.typed", count="int", wait="duration?"),
)


def test_a_hand_whose_files_cannot_run_is_told_so_without_the_runtimes_own_traceback(peer: Peer) -> None:
    peer.launch("class Test:\n    pass\n")
    assert peer.exit_code() == 1
    (record,) = peer.records()
    told = "entry = 'main:Test' is not a class made from runtime.Hand"
    assert (record["event"], record["why"], "exception" in record) == ("the Hand broke", told, False)


def test_a_detail_has_any_name() -> None:
    detail = {"code": "E7", "text": "no such row", "self": True}
    failure = Failure("rows", "It cannot be.", **detail)
    assert (failure.code, failure.text, failure.detail) == ("rows", "It cannot be.", detail)


def test_a_method_that_raises_fails_its_call_in_one_line_and_logs_the_rest(peer: Peer) -> None:
    peer.launch(RAISING, RAISES).ready()
    peer.call("test.fall")
    failed, _ = peer.expect(headers.Failed)
    assert failed.code == "raised"
    assert failed.text.startswith("RuntimeError: two lines xxx")
    assert len(failed.text) <= 1024
    assert (failed.labels, failed.cost) == (("web",), Cost(tokens=1, micro_dollars=0))
    (record,) = peer.records()
    assert (record["event"], record["method"]) == ("a call raised", "test.fall")
    assert 'raise RuntimeError("two' in str(record["exception"])
    assert "runtime/" not in str(record["exception"]), "its author looks for a line of his own"
    assert peer.stop() == 0


def test_a_call_that_was_refused_is_traced_to_the_line_that_made_it(peer: Peer) -> None:
    peer.launch(RAISING, RAISES).ready()
    peer.call("test.ask")
    asked, _ = peer.expect(headers.Call)
    peer.send(headers.Refused(number=asked.number, code="capability", why="it may not"))
    peer.expect(headers.Failed)
    (record,) = peer.records()
    trace = str(record["exception"])
    assert (trace.count('  File "'), 'await self.kernel.call("a.b")' in trace) == (1, True), trace
    assert trace.endswith("CallRefused: capability: it may not")


def test_a_failure_on_purpose_is_made_to_fit_and_is_not_logged(peer: Peer) -> None:
    peer.launch(RAISING, RAISES).ready()
    peer.call("test.fail")
    failed, detail = peer.expect(headers.Failed)
    assert (len(failed.code), len(failed.text), detail) == (64, 1024, None)
    assert peer.stop() == 0
    assert peer.records() == []


def test_a_call_whose_labels_cannot_travel_fails_and_its_cost_is_told_all_the_same(peer: Peer) -> None:
    peer.launch(RAISING, RAISES).ready()
    peer.call("test.mark")
    failed, _ = peer.expect(headers.Failed)
    assert (failed.code, failed.labels, failed.cost) == ("raised", (), Cost(tokens=7, micro_dollars=11))


def test_a_label_that_would_be_two_where_labels_are_kept_a_line_each_is_one(peer: Peer) -> None:
    peer.launch(RAISING, RAISES).ready()
    peer.call("test.split")
    done, _ = peer.expect(headers.Done)
    assert done.labels == ("secret\ufffdfile",)


def test_a_call_whose_cost_cannot_travel_has_its_end_all_the_same(peer: Peer) -> None:
    peer.launch(RAISING, RAISES).ready()
    peer.call("test.absurd")
    failed, _ = peer.expect(headers.Failed)
    assert (failed.code, failed.cost) == ("raised", None)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [({}, "`count` is missing"), ({"count": "x"}, "`count`: "), ({"count": 1, "cuont": 2}, 'did you mean "count"?')],
)
def test_arguments_that_do_not_fit_the_params_never_reach_the_hand(
    peer: Peer, arguments: dict[str, object], why: str
) -> None:
    peer.launch(RAISING, RAISES).ready()
    peer.call("test.typed", **arguments)  # type: ignore[arg-type]
    failed, _ = peer.expect(headers.Failed)
    assert failed.code == "arguments"
    assert why in failed.text


def test_arguments_arrive_converted_and_those_left_out_keep_their_default(peer: Peer) -> None:
    peer.launch(RAISING, RAISES).ready()
    assert peer.answer("test.typed", count=3, wait="2m") == [3, 120.0]
    assert peer.answer("test.typed", count=3, wait=None) == [3, 1.0]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("pass", "test.check is answered by `async def check(self, call, ...)`, which is missing"),
        ("def check(self, call, count): ...", "which is missing"),
        ("async def check(self): ...", "it takes no call"),
        ("async def check(self, call): ...", "does not take the params of HAND.toml: it has no parameter count"),
        ("async def check(self, call, count=1, *, more): ...", "its more may be left out, so it needs a default"),
        ("async def check(self, call, count): ...", "its count may be left out, so it needs a default"),
    ],
)
def test_a_hand_that_does_not_fit_its_manifest_does_not_start(peer: Peer, source: str, why: str) -> None:
    peer.launch("from runtime import Hand\nclass Test(Hand):\n    " + source, (provided("test.check", count="int?"),))
    assert why in peer.expect(headers.Bye)[0].why
    assert peer.exit_code() == 1


@pytest.mark.parametrize("takes", ["count=1", "*, count=None", "**params", "count=1, *rest", "count=1, more=2"])
def test_a_method_may_take_its_params_in_any_way_that_fits(peer: Peer, takes: str) -> None:
    source = f"from runtime import Hand\nclass Test(Hand):\n    async def check(self, call, {takes}): return 1"
    peer.launch(source, (provided("test.check", count="int?"),)).ready()
    assert peer.answer("test.check", count=3) == 1


ANSWERING = """
    from dataclasses import dataclass
    from runtime import Call, Hand

    @dataclass
    class Row:
        a: int = 1

    class Test(Hand):
        async def give(self, call: Call, what: object) -> object:
            call.add_labels("web")
            call.cost(tokens=3)
            return what

        async def row(self, call: Call) -> object:
            return Row()
"""
ANSWERS = (
    replace(provided("test.give", what="any"), returns={"a": "int", "b": "string?"}),
    replace(provided("test.row"), returns={"a": "int"}),
)


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({"a": "secret"}, "`a`: it is a text, not an int"),
        ({"a": None}, "`a`: it is nothing, not an int"),
        ({"b": 1}, "`a` is missing, declared as int; `b`: it is a number, not a string"),
        (None, "it is nothing, not a table"),
    ],
)
def test_an_answer_that_is_not_what_the_method_declares_fails_its_call_and_is_logged(
    peer: Peer, what: object, why: str
) -> None:
    peer.launch(ANSWERING, ANSWERS).ready()
    peer.call("test.give", what=what)
    failed, _ = peer.expect(headers.Failed)
    assert (failed.code, failed.text) == ("returns", f"test.give answered with something else than it declares: {why}")
    assert (failed.labels, failed.cost) == (("web",), Cost(tokens=3, micro_dollars=0))
    (record,) = peer.records()
    assert (record["level"], record["method"], record["why"]) == ("error", "test.give", why)
    assert peer.answer("test.give", what={"a": 1, "more": 2}) == {"a": 1, "more": 2}, "the Hand goes on"
    assert peer.stop() == 0


def test_what_becomes_a_table_on_its_way_is_one(peer: Peer) -> None:
    peer.launch(ANSWERING, ANSWERS).ready()
    assert peer.answer("test.row") == {"a": 1}


def test_a_task_whose_answer_is_not_what_it_declares_has_failed(peer: Peer) -> None:
    peer.launch(ANSWERING, ANSWERS, kind="task").ready()
    peer.call("test.give", what=1)
    assert peer.expect(headers.Failed)[0].code == "returns"
    assert peer.stop() == 1


def test_a_method_named_like_something_every_hand_has_is_answered_by_on_call(peer: Peer) -> None:
    plain = "from runtime import Hand\nclass Test(Hand):\n    pass"
    peer.launch(plain, (provided("test.stop"),))
    assert "override on_call" in peer.expect(headers.Bye)[0].why


def test_on_call_may_answer_everything_itself(peer: Peer) -> None:
    source = """
        from runtime import Hand

        class Test(Hand):
            async def on_call(self, call, arguments):
                return [call.method, call.resource, arguments]
    """
    peer.launch(source, (provided("test.stop"),)).ready()
    assert peer.answer("test.stop", "r", n=1) == ["test.stop", "r", {"n": 1}]


def test_a_module_that_exits_says_bye_all_the_same(peer: Peer) -> None:
    peer.launch("raise SystemExit(3)")
    peer.expect(headers.Bye)
    assert peer.exit_code() == 1


BREAKING = """
    import asyncio
    from runtime import Call, Hand

    class Test(Hand):
        async def fall(self, call: Call) -> str:
            self.in_background(self._fall())
            return "done"

        async def _fall(self) -> None:
            raise RuntimeError("it is over")

        async def wait(self, call: Call) -> None:
            await asyncio.sleep(60)

        async def stop(self) -> None:
            (self.scratch / "stopping").touch()
            await asyncio.sleep(1)
"""


def test_a_call_that_comes_while_a_run_breaks_is_left_to_the_next(peer: Peer) -> None:
    peer.launch(BREAKING, (provided("test.fall"),)).ready()
    peer.call("test.fall")
    peer.expect(headers.Done)
    until((peer.scratch / "stopping").exists, "it stops")
    peer.call("test.fall")
    peer.expect(headers.Bye)
    assert peer.exit_code() == 1
    assert [record["event"] for record in peer.records()] == ["the Hand raised"]


def test_who_waits_for_a_run_that_breaks_is_told_so_and_not_that_his_call_was_cancelled(peer: Peer) -> None:
    peer.launch(BREAKING, (provided("test.fall"), provided("test.wait"))).ready()
    waiting = peer.call("test.wait")
    peer.call("test.fall")
    peer.expect(headers.Done)
    failed, _ = peer.expect(headers.Failed)
    assert (failed.number, failed.code, failed.text) == (waiting, "ended", "the Hand broke before it answered")
    peer.expect(headers.Bye)
    assert peer.exit_code() == 1


def test_a_call_that_the_hand_itself_cancels_is_told_why(peer: Peer) -> None:
    """It breaks over it no more than over one that its caller takes back."""
    peer.launch(
        """
        import asyncio
        from runtime import Call, Hand

        class Test(Hand):
            async def leave(self, call: Call) -> None:
                asyncio.current_task().cancel("nobody reads it")
                await asyncio.sleep(60)
        """,
        (provided("test.leave"),),
    ).ready()
    number = peer.call("test.leave")
    cancelled, _ = peer.expect(headers.Cancelled)
    assert (cancelled.number, cancelled.why) == (number, "nobody reads it")
    assert peer.stop() == 0
