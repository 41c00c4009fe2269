"""Held calls as people are shown them: a page of them fits into one answer, whatever they are like."""

import pytest
from msgspec.structs import replace

from manifests.approvals import Reason
from manifests.calls import OpenCall
from manifests.holding import KEPT_MOST, LISTED, SMALL, check_kept, crowding, row
from manifests.installed import Installed, Package
from manifests.names import LONGEST_NAME
from manifests.policy import Link
from manifests.readers import LONGEST_SUMMARY
from manifests.schema import HandSection, Manifest, Provided
from wire import codec, headers, limits
from wire.errors import Refusal
from wire.ids import HandId

WIDE = "\U00010400"
"""A character of four bytes."""


def test_a_page_of_the_largest_held_calls_fits_into_one_answer() -> None:
    name, method = "n" * LONGEST_NAME, "m." + "m" * (limits.METHOD_MAX - 2)
    provided = Provided(method=method, summary=WIDE * LONGEST_SUMMARY, resource="path", effect="external")
    labels = frozenset(WIDE * (limits.LABEL_MAX - 2) + f"{number:02}" for number in range(limits.LABELS_MAX))
    call: OpenCall | None = None
    for depth in range(limits.CHAIN_MAX):
        call = OpenCall(
            2**53 - 2 - depth, "r-0123456789abcdef", Link(hand="h-0123456789abcdef", name=name, grants=None), b"", 1,
            provided=provided, resource="r" * limits.RESOURCE_MAX, body=b"", parent=call, deadline=0.0, labels=labels,
            most=None, upload=True,
        )  # fmt: skip
    assert call is not None
    whose, wish = (
        Reason(hand=call.by.hand, name=name, why=f"{name} holds {method} with approval = true"),
        WIDE * limits.WHY_MAX,
    )
    call.asks = (replace(whose, why=f"{name} asks you itself: {wish}", itself=True), *[whose] * limits.CHAIN_MAX)
    told = row(call, [call], _installed(name))
    assert len(codec.encode_body({"approvals": [told] * LISTED})) <= limits.BODY_MAX


@pytest.mark.parametrize(
    ("places", "greedy", "held"),
    [
        (64, 1, [32]),
        (32, 1, [16]),
        (32, 4, [16, 8, 4, 2]),
        (5, 1, [3]),
        (4, 2, [2, 1]),
        (3, 1, [2]),
        (2, 1, [1]),
        (1, 1, [1]),
    ],
)
def test_whatever_greedy_hands_have_open_another_finds_a_place(places: int, greedy: int, held: list[int]) -> None:
    served: list[OpenCall] = []
    for hand in map("h-{}".format, range(greedy)):
        while len(served) < places and hand not in crowding(served, places):
            served.append(_call(hand))
    assert [sum(one.by.hand == f"h-{number}" for one in served) for number in range(greedy)] == held
    assert places == 1 or (len(served) < places and "h-other" not in crowding(served, places))


def test_the_operator_crowds_nobody_out() -> None:
    assert crowding([_call("") for _ in range(4)], 4) == set()
    assert crowding([_call(""), _call(""), _call("h-1")], 4) == {"h-1"}


def _call(hand: str) -> OpenCall:
    provided = Provided(method="a.b", summary="", resource="none", effect="read")
    return OpenCall(
        2, "r-1", Link(hand=hand, name="a", grants=None), b"", 1, provided=provided, resource="", body=b"", parent=None,
        deadline=0.0, labels=frozenset(), most=None, upload=False,
    )  # fmt: skip


def _installed(name: str) -> Installed:
    section = HandSection(name=name, version="1.0.0", description="x", entry="m:C", kind="task", autonomy="full")
    package = Package(seal="", manifest=Manifest(hand=section), digest="")
    return Installed(id=HandId("h-1"), name=name, version="1.0.0", folder="f", number=1, seal="", package=package)


class _Looked(OpenCall):
    """A call that counts how often all that is shown of it is compared."""

    looks = 0

    def shown_labels(self) -> tuple[str, ...]:
        """As it is."""
        type(self).looks += 1
        return super().shown_labels()


def test_a_page_of_many_held_calls_compares_each_with_those_of_its_own_hand_alone() -> None:
    provided = Provided(method="a.b", summary="", resource="none", effect="external")
    held = [
        _Looked(
            2 * number, "r-1", Link(hand=f"h-{number // 20}", name="n", grants=None), b"", 1, provided=provided,
            resource="", body=bytes([number % 2]), parent=None, deadline=0.0, labels=frozenset(), most=None, upload=False,
        )
        for number in range(1, 1_001)
    ]  # fmt: skip
    rows = [row(call, held, _installed("n")) for call in held[:LISTED]]
    assert [one["like"] for one in rows[:3]] == [2, 4, 2]
    assert _Looked.looks <= LISTED * (20 + 2)


def _kept(hand: str, body: int, *early: int, state: str = "open") -> OpenCall:
    call = OpenCall(
        2, "r-1", Link(hand=hand, name="n", grants=None), b"", 1,
        provided=Provided(method="a.b", summary="", resource="none", effect="read"), resource="", body=bytes(body),
        parent=None, deadline=0.0, labels=frozenset(), most=None, upload=bool(early),
    )  # fmt: skip
    call.early, call.state = [(headers.Chunk(number=1), bytes(one)) for one in early], state
    return call


def test_what_is_kept_for_all_open_calls_of_a_hand_is_bounded() -> None:
    half, mib = KEPT_MOST // 2, limits.MIB
    mine = [_kept("h-1", half - mib, state="delivered"), _kept("h-1", 0, mib, half - mib)]
    check_kept(mine, "h-1", mib)
    with pytest.raises(Refusal, match="128 MiB already"):
        check_kept([*mine, _kept("h-1", 1)], "h-1", mib)
    check_kept([*mine, _kept("h-1", mib)], "h-2", mib)
    check_kept([*mine, _kept("", mib)], "", mib)
    check_kept([*mine, _kept("h-1", mib)], "h-1", SMALL)
