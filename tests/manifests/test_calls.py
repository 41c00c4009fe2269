"""What is made of a caller's header, what its provider and the log are told of it, and what a waiter hears at its end."""

from collections.abc import Collection

import pytest
from msgspec import Raw
from msgspec.structs import replace

from manifests.approvals import Reason
from manifests.budgets import Reservations
from manifests.calls import (
    RESTS_FROM,
    OpenCall,
    is_long_wait,
    lend_scratch,
    may_be_made_again,
    open_call,
    outcome_reply,
    paid_from,
    payers_in_chain,
    regrant,
)
from manifests.grants import GrantSet
from manifests.installed import Installed, Package
from manifests.policy import SLEEP, Link, admit, link_of, refusal_entry
from manifests.schema import Capability, Confinement, Effect, HandSection, Limits, Manifest, Provided
from wire import codec, headers, limits
from wire.amounts import Cost, Used
from wire.errors import NotNow, Refusal
from wire.ids import HandId
from wire.rates import Pace
from wire.results import Outcome

OPERATOR = Link(hand="", name="operator", grants=None)
WRITE = Provided(method="web.fetch", summary="", resource="url", effect="write")
URL = "https://example.org/a?token=1"
MOST = Cost(micro_dollars=5, tokens=6)


def _hand(**limits: int) -> Installed:
    section = HandSection(
        name="web", version="1.0.0", description="x", entry="m:C", kind="service", autonomy="readonly"
    )
    package = Package(seal="s", manifest=Manifest(hand=section, limits=Limits(**limits)), digest="")
    return Installed(id=HandId("h-1"), name="web", version="1.0.0", folder="web", number=1, seal="", package=package)


def _opened(
    deadline: int = 0, parent: OpenCall | None = None, owner: Installed | None = None, most: Cost | None = None
) -> OpenCall:
    header = headers.Call(number=7, method="web.fetch", deadline=deadline, labels=("secret",), most=most)
    return open_call(
        header, 4, "r-1", OPERATOR, b"route", provided=WRITE, resource=URL, body=b"\xc0", parent=parent,
        labels=frozenset(("web",)), owner=owner, now=100.0,
    )  # fmt: skip


def test_a_call_lasts_as_long_as_was_asked_and_no_longer_than_its_provider_or_its_parent() -> None:
    assert _opened().deadline == 160
    assert _opened(5_000).deadline == 105
    assert _opened(5_000, owner=_hand(wall_ms=2_000)).deadline == 102
    assert _opened(5_000, parent=_opened(1_000), owner=_hand(wall_ms=2_000)).deadline == 101


def test_a_call_lies_as_many_scheduled_runs_deep_as_what_it_is_made_for() -> None:
    above = _opened()
    assert (above.depth, _opened(parent=above).depth) == (0, 0)
    above.depth = 3
    assert _opened(parent=above).depth == 3


def test_a_call_carries_its_own_labels_and_those_of_what_it_is_made_for() -> None:
    call = _opened(5_000)
    assert (call.caller_number, call.shown_labels()) == (7, ("secret", "web"))
    header = call.header_for_provider(99.0, 12)
    assert (header.number, header.deadline, header.labels, header.time) == (4, 6_000, ("secret", "web"), 12)
    assert call.header_for_provider(1_000.0, 12).deadline == 1
    chunk = call.chunk_header(headers.Chunk(number=4), 7, 13)
    assert (chunk.number, chunk.labels, chunk.time) == (7, ("secret", "web"), 13)


class _Run:
    """A run that lends its scratch folder: what it sees, all that it made see too, as of kernel.runs.Run."""

    def __init__(self, work: OpenCall) -> None:
        self.labels, self.work = work.labels, work

    def mark(self, labels: Collection[str]) -> None:
        if not self.labels >= set(labels):
            self.labels |= set(labels)
            self.work.mark(labels)


def test_all_who_work_in_a_folder_have_each_others_labels_from_the_beginning() -> None:
    web = _hand().package.manifest
    lent = replace(web, confinement=Confinement(scratch="caller"), provides={"web.fetch": WRITE})
    work = _opened()
    landlord = _Run(work)
    declared = replace(WRITE, labels=("declared",))
    before, after = _opened(parent=work), _opened(parent=work)
    before.provided, before.number, before.labels = declared, 6, before.labels | {"claimed"}
    work.children = {before.number: before, after.number: after}
    assert lend_scratch(before, web, {"r-1": landlord}) is None
    assert lend_scratch(before, lent, {"r-1": landlord}) is landlord
    assert landlord.labels == work.labels == before.labels == {"secret", "web", "claimed", "declared"}
    assert lend_scratch(after, lent, {"r-1": landlord}) is landlord
    assert after.labels == before.labels
    before.mark(("found",))
    assert landlord.labels == work.labels == after.labels == before.labels >= {"found"}


def test_the_log_holds_no_query_and_says_what_was_allowed_and_how_it_ended() -> None:
    call = _opened(parent=_opened(), most=Cost(micro_dollars=5, tokens=6))
    begun = call.fields(call.call_entry, call.labels)
    assert begun["detail"] == {"effect": "write", "most": {"micro_dollars": 5, "tokens": 6}}
    assert (begun["call"], begun["parent"], begun["run"]) == (4, 4, "r-1")
    assert begun["resource"].startswith("https://example.org/a?hmac-sha256=")
    call.provider = "r-2"
    over = call.end_entry(
        headers.Failed(number=0, code="gone", text=f"not at {URL}", cost=Cost(micro_dollars=1, tokens=2))
    )
    assert (over["principal"], over["verdict"], over["cost"]) == ("r-2", "failed", Cost(micro_dollars=1, tokens=2))
    assert "token" not in over["why"]
    assert "why" not in call.end_entry(headers.Done(number=0))
    assert call.end_entry(headers.Refused(number=0, code="paused", why="later"))["cost"] is None


def test_what_a_waiter_hears_is_one_whole_value_and_read_unless_it_is_large() -> None:
    def heard(header: headers.End, body: bytes | None) -> dict[str, object]:
        return outcome_reply("r-1", Outcome(header=header, body=body, labels=frozenset()))

    done = heard(headers.Done(number=0), codec.encode_body({"rows": 1}))
    assert done == {"run": "r-1", "outcome": "done", "value": {"rows": 1}, "code": "", "text": ""}
    assert heard(headers.Done(number=0), None)["value"] is None
    large = codec.encode_body([[]] * limits.ARGUMENTS_MAX)
    for unreadable in (b"\xc1", b"\xa1\xff", large[:-1], large + codec.NIL):
        assert str(heard(headers.Done(number=0), unreadable)["text"]).startswith("what it returned cannot be read")
    assert isinstance(unread := heard(headers.Done(number=0), large)["value"], Raw)
    assert bytes(unread) == large
    failed = heard(headers.Failed(number=0, code="gone", text="away"), b"\xc0")
    assert (failed["outcome"], failed["code"], failed["text"]) == ("failed", "gone", "away")
    assert heard(headers.Cancelled(number=0, why="enough"), b"\xc0")["code"] == "cancelled"


@pytest.mark.parametrize("size", [limits.BODY_MAX - 8_500, limits.BODY_MAX - 5])
def test_how_a_run_ended_can_be_told_however_large_what_it_returned_is(size: int) -> None:
    header = headers.Failed(number=0, code="c" * limits.LABEL_MAX, text="t" * limits.WHY_MAX)
    said = outcome_reply("r-1", Outcome(header=header, body=codec.encode_body(b"x" * size), labels=frozenset()))
    codec.encode_body(said)
    assert (said["value"] is None) is str(said["text"]).endswith("what it returned is too large to be handed on")


def test_new_grants_hold_in_every_chain_that_the_hand_is_in() -> None:
    mine = GrantSet.of((Capability(method="web.fetch", allow=("*",)),))
    above, below = _opened(), _opened()
    below.parent, above.by = above, link_of("r-1", _hand(), mine)
    regrant([below], "h-1", GrantSet.of(()), {})
    assert above.by.grants is not None
    assert not above.by.grants.allows("web.fetch", URL)
    assert (below.by, above.by.readonly) == (OPERATOR, True)
    regrant([below], "h-1", GrantSet.of(()), {above.caller: mine})
    assert above.by.grants is mine, "a run of a version that was replaced has its own"
    assert link_of("operator", None, None) == OPERATOR


@pytest.mark.parametrize(("pace", "made", "code"), [("ok", 2, "in_flight"), ("refuse", 0, "rate")])
def test_a_request_beyond_a_limit_is_refused(pace: Pace, made: int, code: str) -> None:
    with pytest.raises(Refusal) as refusal:
        admit(pace, 60, made, 2)
    assert refusal.value.code == code


def test_a_request_within_the_limits_passes_and_a_flood_ends_its_peer() -> None:
    admit("ok", 60, 1, 2)
    with pytest.raises(NotNow):
        admit("flood", 60, 0, 2)


def test_who_is_told_to_wait_may_wait() -> None:
    admit("refuse", 60, 1, 2, SLEEP)
    with pytest.raises(Refusal):
        admit("refuse", 60, 2, 2, SLEEP)
    with pytest.raises(NotNow):
        admit("flood", 60, 0, 2, SLEEP)


def test_a_refusal_in_the_log_names_the_grant_that_is_missing_and_no_secret() -> None:
    said = refusal_entry(Refusal("capability", "no grant", '"web.fetch" = ["*"]'), "r-1", "r-1", "web.fetch", URL)
    assert said["why"] == 'no grant; a grant that would allow it: "web.fetch" = ["*"]'
    assert (said["resource"], said["detail"]) == ("https://example.org/a?…", {"code": "capability"})
    assert refusal_entry(Refusal("method", "none"), "r-1", "", "a\u202eb", "")["method"] == "a\\u202eb"


def test_a_call_that_never_reached_its_provider_was_never_begun() -> None:
    call = _opened()
    begun = [call.was_begun]
    call.step("deliver")
    begun.append(call.was_begun)
    call.take_back()
    begun.append(call.was_begun)
    assert begun == [False, True, True]
    assert (call.state, call.provider) == ("open", "")


def test_a_yes_spares_what_is_made_for_the_call_and_another_call_instead_spares_nothing() -> None:
    approved, edited, instead = _opened(), _opened(), _opened()
    for call in (approved, edited):
        call.hold()
        assert (call.state, call.answer, call.was_begun) == ("held", "held", False)
    approved.release(None)
    assert (approved.state, approved.answer, approved.by.is_approved) == ("open", "approved", True)
    edited.release(instead)
    assert (edited.answer, edited.by.is_approved, edited.children) == ("edited", False, {instead.number: instead})


def _reserved(most: Cost | None = MOST, method: str = "web.fetch") -> OpenCall:
    call = _opened(most=most)
    call.provided = replace(call.provided, method=method)
    if most is not None:
        call.reservation = Reservations().open(call.number, (), (most.tokens, most.micro_dollars), None)
    return call


FAILED = headers.Failed(number=0, code="gone", text="")
ONE = Cost(tokens=1, micro_dollars=1)


@pytest.mark.parametrize(
    ("call", "header", "was_begun", "is_word", "cost"),
    [
        (_reserved(), FAILED, True, False, MOST),
        (_reserved(), FAILED, False, False, None),
        (_reserved(), replace(FAILED, cost=ONE), True, True, ONE),
        (_reserved(method="run"), FAILED, True, False, None),
        (_reserved(None), FAILED, True, False, None),
        (_reserved(), headers.Refused(number=0, code="paused", why=""), True, False, None),
    ],
)
def test_a_call_whose_provider_said_nothing_has_cost_all_that_it_might_unless_it_never_got_there(
    call: OpenCall, header: headers.End, was_begun: bool, is_word: bool, cost: Cost | None
) -> None:
    after, found = call.settle_cost(header, was_begun=was_begun, is_word=is_word)
    assert (found, getattr(after, "cost", None)) == (cost, cost)


def test_the_log_says_who_pays_and_out_of_what() -> None:
    hand, done = link_of("r-1", _hand(), GrantSet.of(())), headers.Done(number=0, cost=ONE)
    above = _reserved()
    above.by = hand
    call = _opened(parent=above)
    assert (call.payers, payers_in_chain(hand, None)) == (("h-1", ""), ("h-1", ""))
    assert call.end_entry(done).get("detail") == {"payers": ["h-1", ""], "within": above.number}
    assert "payers" not in call.call_entry()["detail"], "nothing is reserved for it by itself"
    call.reservation = Reservations().open(call.number, call.payers, (1, 1), above.reservation)
    assert call.call_entry()["detail"] == {"effect": "write", "payers": ["h-1", ""], "within": above.number}
    call.reservation = None
    call.is_detached = True
    assert (call.covered, call.end_entry(done).get("detail")) == (None, {"payers": ["h-1", ""]})
    assert paid_from(call) is None, "what is made for it ends with it, and not with what began it"
    assert paid_from(above) is above.reservation


@pytest.mark.parametrize(
    ("effect", "idempotent", "most", "again"),
    [
        ("read", False, None, True), ("write", True, None, True), ("write", False, None, False),
        ("external", False, None, False), ("read", True, {"tokens": 1}, False),
    ],
)  # fmt: skip
def test_only_what_nobody_notices_or_pays_twice_is_made_again(
    effect: Effect, idempotent: bool, most: object, again: bool
) -> None:
    provided = replace(WRITE, effect=effect, idempotent=idempotent)
    assert may_be_made_again(provided, most) is again
    call = _reserved(None if most is None else MOST)
    call.provided = provided
    assert not call.may_be_made_again
    call.step("deliver")
    assert call.may_be_made_again is again
    call.upload = True
    assert not call.may_be_made_again


def test_a_run_is_put_to_rest_while_it_waits_long_and_not_for_a_short_sleep() -> None:
    sleep, waits, held = (_reserved(None, method) for method in ("kernel.sleep", "kernel.wait", "web.fetch"))
    held.hold()
    sleep.alarm_at = 100 + RESTS_FROM
    assert [is_long_wait(one, 100) for one in (sleep, waits, held, _opened())] == [False, True, True, False]
    sleep.alarm_at += 1
    assert is_long_wait(sleep, 100)


def test_what_a_snapshot_keeps_of_a_call_is_what_the_log_says_of_it() -> None:
    call = _opened(parent=_opened())
    said, kept = call.fields(call.call_entry, call.labels), call.as_open()
    assert (kept.method, kept.resource, kept.run) == (said["method"], said["resource"], said["run"])
    assert (kept.parent, kept.labels) == (said["parent"], said["labels"])


def test_what_a_guest_used_is_said_of_its_calls_end() -> None:
    call = _opened()
    used = Used(fuel=7, wall=9, memory=65_536)
    for header in (headers.Done(number=4, used=used), headers.Failed(number=4, code="fuel", text="", used=used)):
        assert call.end_entry(header).get("detail") == {"used": {"fuel": 7, "wall": 9, "memory": 65_536}}
    assert "detail" not in call.end_entry(headers.Done(number=4))


def test_what_a_snapshot_keeps_of_a_call_is_what_the_next_kernel_settles_it_by() -> None:
    above = _reserved()
    call = _opened(parent=above, most=ONE)
    call.reservation = Reservations().open(call.number, ("h-1", ""), (5, 6), above.reservation)
    kept = call.as_open()
    assert (kept.most, kept.payers, kept.within, kept.inner) == ((5, 6), ("h-1", ""), above.number, (0, 0))
    assert (kept.effect, kept.answer, kept.is_begun) == ("write", "", True)
    assert not call.as_open_again().is_begun, "it reached no provider"
    begun = _opened()
    begun.step("deliver")
    assert begun.as_open_again().is_begun
    call.hold()
    assert (call.as_open().answer, call.as_open_again().is_begun) == ("held", False)
    call.release(_opened())
    assert (call.as_open().answer, call.as_open_again().is_begun) == ("edited", True)
    call.answer, call.by = "", replace(call.by, is_approved=True)
    assert call.as_open().answer == "approved"


def test_the_first_entry_says_who_is_asked_and_instead_of_what_it_is_made() -> None:
    call = _opened()
    assert (call.call_entry()["verdict"], call.is_recorded_first) == ("allowed", True)
    call.asks, call.until, call.heir = (Reason(hand="h-1", name="web", why="so"),), 9, _opened()
    call.by = replace(call.by, is_approved=True)
    begun = call.call_entry()
    assert begun["verdict"] == "held"
    assert begun["detail"] == {
        "effect": "write", "is_approved": True, "instead_of": 4, "until": 9,
        "asks": [{"hand": "h-1", "name": "web", "why": "so", "itself": False}],
    }  # fmt: skip


def test_its_caller_hears_an_end_under_its_own_number_with_all_labels_but_of_a_refusal() -> None:
    call = _opened()
    assert call.end_for_caller(headers.Done(number=4), 12) == headers.Done(number=7, time=12, labels=("secret", "web"))
    refused = headers.Refused(number=4, code="paused", why="later")
    assert call.end_for_caller(refused, 12) == replace(refused, number=7, time=12)


def test_what_only_reads_is_recorded_first_where_it_spends() -> None:
    call = _opened()
    call.provided = replace(WRITE, effect="read")
    assert not call.is_recorded_first
    call.reservation = Reservations().open(4, (), (1, 0), None)
    assert call.is_recorded_first
