"""A call that a person must say yes to is not made before, is made exactly as it was shown, and once."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from kernel.cli import answering
from kernel.cli.exits import NotDone
from tests.living import ECHO, Kernel, install, make_home, seal_key
from tests.system import fates
from tests.system.actors import actor, ask, rows
from tests.system.approving import POST, answer, begin, furnished, none_waits, outcome, sent, waiting, writer
from tests.system.fates import call, entries, entry, until
from tests.system.test_wasm import ASKS, guest
from wire.approval import Answer, RuleSaid
from wire.codec import Value
from wire.errors import SignatureInvalid
from wire.signing import SigningKey


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("approvals") / "home")) as kernel:
        yield kernel


@pytest.fixture
def kernel(running: Kernel) -> Iterator[Kernel]:
    with furnished(running, writer()) as kernel:
        yield kernel


def texts(value: Value) -> list[str]:
    assert isinstance(value, list)
    return [str(one) for one in value]


def test_nothing_is_done_before_the_answer_and_it_is_done_once_after_it(kernel: Kernel) -> None:
    run = begin(kernel, "ann hello")
    (held,) = waiting(kernel)
    assert (held.hand, held.run, held.method, held.resource) == ("writer", run, "post.send", "ann")
    assert [one.hand for one in held.chain] == ["operator"]
    assert held.asks[0].why == "writer has autonomy supervised, and post.send has effect external"
    time.sleep(0.3)
    assert sent(kernel.home) == []
    assert [row["state"] for row in fates.runs(kernel)] == ["waiting for approval"]
    assert fates.table(call(kernel, "kernel.status"))["approvals"] == 1
    (given,) = answer(kernel, [held], why="I know her")
    assert outcome(kernel, run) == [{"sent": "hello", "to": "ann"}]
    assert sent(kernel.home) == ["ann hello"]
    approval, end = (entry(kernel.home, kind, call=held.call) for kind in ("approval", "end"))
    assert (approval.seq, approval.verdict, approval.why) == (given.entry, "approved", "I know her")
    assert entry(kernel.home, "call", call=held.call).verdict == "held"
    assert held.entry < approval.seq < end.seq
    assert none_waits(kernel)


def test_the_signature_in_the_log_holds_for_whoever_has_the_public_key(kernel: Kernel) -> None:
    begin(kernel, "ann hello")
    held = waiting(kernel)
    answer(kernel, held)
    entries_, key = entry(kernel.home, "approval", call=held[0].call), seal_key(kernel.home).verify_key
    signed = Answer.read(entries_.detail)
    signed.verify(key)
    asked = entry(kernel.home, "call", call=entries_.call)
    assert (signed.statement.arguments, signed.statement.resource) == (asked.arguments, asked.resource)
    with pytest.raises(SignatureInvalid):
        replace(signed, statement=replace(signed.statement, call=2)).verify(key)


def test_a_denial_is_told_with_its_reason_and_nothing_is_done(kernel: Kernel) -> None:
    run = begin(kernel, "ann hello")
    held = waiting(kernel)
    answer(kernel, held, "denied", why="not today")
    assert outcome(kernel, run) == ["refused: denied: the operator said no: not today"]
    assert sent(kernel.home) == []
    assert entry(kernel.home, "approval", call=held[0].call).verdict == "denied"


def test_only_what_acts_beyond_the_machine_waits(kernel: Kernel) -> None:
    assert outcome(kernel, begin(kernel, "ann hello", method="post.read")) == [{}]


def test_a_capability_says_yes_beforehand_or_that_a_person_is_asked(kernel: Kernel) -> None:
    install(kernel, writer("spared", '"post.send" = { allow = ["ann"], approval = false }\n"post.pin" = ["*"]\n'))
    install(kernel, writer("careful", '"post.*" = { allow = ["*"], approval = true }\n', autonomy="full"))
    assert outcome(kernel, begin(kernel, "ann hello", hand="spared")) == [{"sent": "hello", "to": "ann"}]
    run = begin(kernel, "ann hello", hand="careful", method="post.read")
    (held,) = waiting(kernel)
    assert held.asks[0].why == "careful holds post.read with approval = true"
    answer(kernel, [held])
    assert outcome(kernel, run) == [{}]


def test_what_was_not_agreed_at_install_is_asked_about(kernel: Kernel) -> None:
    source = writer("spared", '"post.send" = { allow = ["*"], approval = false }\n')
    install(kernel, source, [])
    with kernel.client() as client:
        client.call("kernel.grant", "spared", {"capabilities": [{"method": "post.send", "allow": ["*"]}]})
        run = begin(kernel, "ann hello", hand="spared")
        answer(kernel, waiting(kernel), "denied")
        outcome(kernel, run)
        agreed = {"method": "post.send", "allow": ["*"], "approval": False}
        client.call("kernel.grant", "spared", {"capabilities": [agreed]})
        assert outcome(kernel, begin(kernel, "ann hello", hand="spared")) == [{"sent": "hello", "to": "ann"}]
        with pytest.raises(NotDone, match="does not ask for"):
            client.call("kernel.grant", "writer", {"capabilities": [agreed]})


def test_what_was_edited_is_the_operators_own_call_and_its_reply_the_hands(kernel: Kernel) -> None:
    run = begin(kernel, "ann hello")
    (held,) = waiting(kernel)
    (given,) = answer(kernel, [held], "edited", instead={"text": "good day"})
    assert outcome(kernel, run) == [{"sent": "good day", "to": "ann"}]
    assert sent(kernel.home) == ["ann good day"]
    own, approval = entry(kernel.home, "call", call=given.instead), entry(kernel.home, "approval", call=held.call)
    assert (own.principal, own.detail["instead_of"]) == ("operator", held.call)
    assert (approval.verdict, approval.detail["instead"]) == ("edited", given.instead)
    assert entry(kernel.home, "end", call=held.call).verdict == "done"


@pytest.mark.wide
def test_what_is_streamed_to_the_operators_own_call_goes_no_further(kernel: Kernel) -> None:
    run = begin(kernel, "ann hi", method="post.spell")
    answer(kernel, waiting(kernel), "edited", instead={"text": "ho"})
    assert outcome(kernel, run) == ["failed: edited"]
    assert sent(kernel.home) == ["ann ho"]


# who may answer ------------------------------------------------------------------------------------------------------


def refused(kernel: Kernel, **how: object) -> str:
    """The code that an answer to the one held call is refused with; it still waits then, and the log has it."""
    (held,) = waiting(kernel)
    before = _refused_answers(kernel)
    with pytest.raises(NotDone) as end:
        answer(kernel, [held], **how)  # type: ignore[arg-type]
    until(lambda: _refused_answers(kernel) == before + 1, "the log has it")
    assert waiting(kernel) == [held]
    assert sent(kernel.home) == []
    return str(end.value)


def _refused_answers(kernel: Kernel) -> int:
    ends = entries(kernel.home, "end")
    return sum((one.method, one.verdict) == ("kernel.answer", "refused") for one in ends)


def test_a_key_that_is_unknown_revoked_or_for_another_hand_answers_nothing(kernel: Kernel) -> None:
    begin(kernel, "ann hello")
    stranger, other = SigningKey("stranger", b"s" * 32), SigningKey("other", b"o" * 32)
    assert "no key" in refused(kernel, key=stranger)
    call(kernel, "kernel.key-add", "", {"key": other.verify_key.text(), "hands": ["post"]})
    assert "not trusted to seal writer" in refused(kernel, key=other)
    call(kernel, "kernel.key-add", "", {"key": stranger.verify_key.text(), "hands": ["writer"]})
    call(kernel, "kernel.key-revoke", stranger.verify_key.id)
    assert "revoked" in refused(kernel, key=stranger)


def test_an_answer_that_was_altered_or_is_used_again_counts_for_nothing(kernel: Kernel) -> None:
    begin(kernel, "ann hello", "bob hello", at_once=True)
    first, second = waiting(kernel, 2)
    key = seal_key(kernel.home)
    with kernel.client() as client:
        one = answering.fetch_full(client, first.call)
        good = Answer.signed(replace(one.statement, verdict="denied", time=1), key)
        statement = good.statement
        changes: list[dict[str, object]] = [
            {"verdict": "approved"}, {"call": second.call}, {"method": "post.pin"}, {"resource": "bob"}, {"hand": "h-x"},
            {"seal": "x"}, {"time": 2}, {"why": "x"}, {"origin": "x"}, {"rule": RuleSaid(pattern="*", until=2**52)},
            {"arguments": replace(statement.arguments, digest="0" * 64)},
        ]  # fmt: skip
        for change in changes:
            said = replace(statement, **change)
            with pytest.raises(NotDone, match="refused: "):
                client.call("kernel.answer", "", {"answer": replace(good, statement=said).to_detail()})
            # also with a genuine signature, where it says something that is not so
            if said.call == first.call and (said.verdict, said.why, said.rule, said.time) == ("denied", "", None, 1):
                with pytest.raises(NotDone, match="is not about call"):
                    client.call("kernel.answer", "", {"answer": Answer.signed(said, key).to_detail()})
        assert len(waiting(kernel, 2)) == 2
        client.call("kernel.answer", "", {"answer": good.to_detail()})
        with pytest.raises(NotDone, match="does not wait"):
            client.call("kernel.answer", "", {"answer": good.to_detail()})
    assert waiting(kernel) == [second]
    assert sent(kernel.home) == []


def test_no_hand_can_answer_or_list(kernel: Kernel) -> None:
    install(kernel, actor("clerk", rows("kernel.*", "post.*")))
    with kernel.client() as client:
        for method in ("kernel.answer", "kernel.approvals"):
            (told,) = ask(client, "clerk.do", [{"call": method, "with": {"answer": {}}}])
            assert (told["end"], told["code"]) == ("refused", "capability")
    assert entry(kernel.home, "refusal", method="kernel.answer", code="capability").verdict == "refused"


# what happens meanwhile ----------------------------------------------------------------------------------------------


@pytest.mark.wide
def test_what_an_approved_call_leads_to_is_not_asked_about_in_its_callers_name(kernel: Kernel) -> None:
    install(kernel, writer("chief", '"kernel.spawn" = ["*"]\n"post.*" = ["*"]\n'))
    install(kernel, writer("clerk", autonomy="full"))
    before = len(entries(kernel.home, "approval"))
    run = begin(kernel, "ann hello", hand="chief", spawn="clerk")
    (held,) = waiting(kernel)
    assert held.method == "kernel.spawn"
    answer(kernel, [held])
    assert outcome(kernel, run) == [{"sent": "hello", "to": "ann"}]
    assert len(entries(kernel.home, "approval")) == before + 1


def test_what_nobody_answers_is_refused_in_the_end(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with open(home / "home.toml", "a") as file:
        file.write('approvals_expire = "1s"\n')
    with Kernel(home) as kernel:
        install(kernel, POST)
        install(kernel, writer())
        (told,) = texts(outcome(kernel, begin(kernel, "ann hello")))
        assert told.startswith("refused: expired: nobody answered whether post.send may be called")
        assert none_waits(kernel)
        assert sent(home) == []


@pytest.mark.wide
def test_only_so_many_wait_of_one_run_and_of_one_hand(kernel: Kernel) -> None:
    letters = [f"to{number} x" for number in range(6)]
    runs = [begin(kernel, *letters, at_once=True) for _ in range(4)]
    held = waiting(kernel, 20)
    assert {sum(one.run == run for one in held) for run in runs} == {5}
    run = begin(kernel, "ann hello")
    (told,) = texts(outcome(kernel, run))
    assert told.startswith("refused: approvals: 20 calls of this Hand wait")
    answer(kernel, held, "denied")
    for run in runs:
        codes = [one.split(": ")[1] for one in texts(outcome(kernel, run))]
        assert sorted(codes) == ["approvals", *["denied"] * 5]


@pytest.mark.wide
def test_calls_that_ask_for_the_same_are_shown_as_one(kernel: Kernel) -> None:
    runs = [begin(kernel, "ann hello") for _ in range(3)]
    begin(kernel, "ann good day")
    held = waiting(kernel, 4)
    assert len({one.like for one in held}) == 2
    with kernel.client() as client:
        same = answering.calls_like(client, next(one.call for one in held if one.run == runs[2]))
    answer(kernel, [one for one in held if one.call in same])
    assert [outcome(kernel, run) for run in runs] == [[{"sent": "hello", "to": "ann"}]] * 3
    assert sent(kernel.home) == ["ann hello"] * 3
    assert len(waiting(kernel)) == 1


SLY = """
import asyncio

from runtime import CallRefused, Cost, Hand


class Writer(Hand):
    async def run(self, letters: list = ()) -> object:
        return await asyncio.gather(*(self.send(**more) for more in (
            {}, {}, {"upload": True}, {"at_most": Cost(tokens=9, micro_dollars=9)}, {"ask_first": "for another reason"},
        )))

    async def send(self, **more):
        try:
            async with self.kernel.stream("post.send", "ann", {"text": "hello"}, **more) as letter:
                if "upload" in more:
                    await letter.send(b"and what nobody was shown")
                    await letter.finish()
                await letter.read()
                return "sent"
        except CallRefused as end:
            return end.code
"""


def test_a_yes_answers_no_call_that_differs_in_anything_that_is_shown(kernel: Kernel) -> None:
    install(kernel, writer("sly")._replace(main=SLY))
    run = begin(kernel, hand="sly")
    held = waiting(kernel, 5)
    plain = [one.call for one in held if one.like == min(other.call for other in held)]
    assert sorted([one.like for one in held].count(like) for like in {one.like for one in held}) == [1, 1, 1, 2]
    answer(kernel, [one for one in held if one.call in plain])
    fates.until(lambda: len(sent(kernel.home)) == 2 == len(plain), "both are sent")
    answer(kernel, waiting(kernel, 3), "denied")
    assert outcome(kernel, run) == ["sent", "sent", "denied", "denied", "denied"]
    assert len(sent(kernel.home)) == 2


@pytest.mark.wide
def test_a_run_that_is_stopped_takes_back_what_it_asked_for(kernel: Kernel) -> None:
    run = begin(kernel, "ann hello")
    held = waiting(kernel)
    call(kernel, "kernel.stop", run)
    assert none_waits(kernel)
    with pytest.raises(NotDone, match="not any more"):
        answer(kernel, held)
    assert sent(kernel.home) == []
    assert entry(kernel.home, "end", call=held[0].call).verdict == "cancelled"


def test_what_was_taken_back_meanwhile_is_refused_to_both_when_it_is_approved(kernel: Kernel) -> None:
    run = begin(kernel, "ann hello")
    held = waiting(kernel)
    call(kernel, "kernel.revoke", "writer", {"method": "post.send"})
    with pytest.raises(NotDone, match="holds no grant"):
        answer(kernel, held)
    (told,) = texts(outcome(kernel, run))
    assert told.startswith("refused: capability")
    assert sent(kernel.home) == []


def test_a_yes_while_something_is_paused_or_frozen_does_not_count_and_the_call_goes_on_waiting(
    kernel: Kernel,
) -> None:
    run = begin(kernel, "ann hello")
    held = waiting(kernel)
    for stop, go, on in (("pause", "resume", "writer"), ("pause", "resume", "post"), ("freeze", "thaw", "")):
        call(kernel, f"kernel.{stop}", on)
        with pytest.raises(NotDone, match="paused|frozen"):
            answer(kernel, held)
        assert waiting(kernel) == held
        call(kernel, f"kernel.{go}", on)
    answer(kernel, held)
    assert outcome(kernel, run) == [{"sent": "hello", "to": "ann"}]
    assert sent(kernel.home) == ["ann hello"]


# rules ---------------------------------------------------------------------------------------------------------------


def days(number: int) -> int:
    return time.time_ns() // 1000 + number * 86_400_000_000


def test_a_rule_spares_the_like_and_nothing_else_until_it_is_taken_back(kernel: Kernel) -> None:
    run = begin(kernel, "ann hello")
    answer(kernel, waiting(kernel), rule=RuleSaid(pattern="ann", until=days(30)))
    outcome(kernel, run)
    assert outcome(kernel, begin(kernel, "ann again")) == [{"sent": "again", "to": "ann"}]
    begin(kernel, "bob hello")
    answer(kernel, waiting(kernel), "denied")
    rules = fates.table(fates.table(call(kernel, "kernel.home"))["rules"])
    assert [fates.table(one)["pattern"] for one in rules["writer"]] == ["ann"]  # type: ignore[union-attr]
    kernel.kill()
    kernel.up()
    assert outcome(kernel, begin(kernel, "ann third")) == [{"sent": "third", "to": "ann"}]
    call(kernel, "kernel.revoke", "writer", {"method": "post.send", "rule": True})
    begin(kernel, "ann hello")
    assert len(waiting(kernel)) == 1
    assert fates.table(call(kernel, "kernel.home"))["rules"] == {}


@pytest.mark.wide
def test_a_rule_ends_by_itself(kernel: Kernel) -> None:
    begin(kernel, "ann hello")
    held = waiting(kernel)
    end = time.time() + 4  # before which a busy machine has begun the next run and asked for its call
    answer(kernel, held, rule=RuleSaid(pattern="*", until=int(end * 1_000_000)))
    assert outcome(kernel, begin(kernel, "bob hello")) == [{"sent": "hello", "to": "bob"}]
    until(lambda: time.time() > end, "its end")
    begin(kernel, "bob hello")
    waiting(kernel)


def test_a_rule_is_never_wider_than_what_its_hand_holds_and_covers_what_was_asked(kernel: Kernel) -> None:
    install(kernel, writer("narrow", '"post.send" = ["a*"]\n'))
    begin(kernel, "ann hello", hand="narrow")
    assert "does not hold post.send on all of '*'" in refused(kernel, rule=RuleSaid(pattern="*", until=days(1)))
    assert "does not cover" in refused(kernel, rule=RuleSaid(pattern="alice", until=days(1)))
    assert "1 to 366 days" in refused(kernel, rule=RuleSaid(pattern="ann", until=days(400)))
    assert "1 to 366 days" in refused(kernel, rule=RuleSaid(pattern="ann", until=1))
    assert "only a yes" in refused(kernel, verdict="denied", rule=RuleSaid(pattern="ann", until=days(1)))


@pytest.mark.wide
def test_a_guest_in_wasm_waits_as_long_as_anybody(kernel: Kernel, tmp_path: Path) -> None:
    more = '[limits]\nwall = "1s"\n[capabilities]\n"echo.say" = { allow = ["*"], approval = true }\n'
    install(kernel, ECHO)
    install(kernel, guest(tmp_path / "guest", "", whole=ASKS, more=more))
    run = str(fates.table(call(kernel, "kernel.start", "guest"))["run"])
    held = waiting(kernel)
    time.sleep(1.6)
    answer(kernel, held)
    assert outcome(kernel, run) == {"text": "hi"}
