"""Calls that are open at a service together pay for its processor time alike, and none for what was used before it came."""

from manifests.calls import OpenCall
from manifests.policy import Link
from manifests.schema import Provided
from manifests.sharing import UNHEARD_MOST, Serving, Shares


def _come(number: int, shares: Shares) -> OpenCall:
    provided = Provided(method="a.b", summary="", resource="none", effect="read")
    call = OpenCall(
        number, "r-1", Link(hand="h-1", name="a", grants=None), b"", 1, provided=provided, resource="", body=b"",
        parent=None, deadline=0.0, labels=frozenset(), most=None, upload=False,
    )  # fmt: skip
    call.shares = shares.sum
    return call


def test_open_calls_share_what_the_first_process_uses_and_it_is_nobodys_while_none_is_open() -> None:
    shares = Shares()
    shares.take(3.0, ())
    one = _come(2, shares)
    shares.take(4.0, [one])
    other = _come(4, shares)
    shares.take(6.0, [one, other])
    assert (shares.of(one), shares.of(other)) == (2.0, 1.0)
    shares.take(0.5, ())  # another process, which has used less
    shares.take(1.5, [other])
    assert shares.of(other) == 2.0


def test_what_the_other_processes_use_is_charged_to_those_that_were_open_at_two_looks() -> None:
    shares = Shares()
    one = _come(2, shares)
    shares.take_beside(5.0, [one])
    assert shares.of(one) == 0.0, "it may have been used before it came"
    other = _come(4, shares)
    shares.take_beside(7.0, [one, other])
    assert (shares.of(one), shares.of(other)) == (1.0, 0.0)
    shares.take_beside(9.0, [one, other])
    assert (shares.of(one), shares.of(other)) == (2.0, 1.0)
    shares.take_beside(0.0, [one, other])  # of another process
    shares.take_beside(3.0, [other])
    assert (shares.of(one), shares.of(other)) == (5.0, 4.0)


def test_a_call_that_was_ended_over_its_provider_is_charged_until_that_one_says_so_too() -> None:
    shares, serving = Shares(), Serving()
    gone, there = _come(2, shares), _come(4, shares)
    serving.update({2: gone, 4: there})
    serving.over(gone, is_word=False)
    assert (list(serving), serving.charged, serving.overdue) == ([4], [there, gone], 1)
    shares.take(2.0, serving.charged)
    assert (shares.of(gone), shares.of(there)) == (1.0, 1.0)
    assert (serving.heard(2), serving.charged, serving.overdue) == (None, [there], 0)
    assert serving.heard(4) is there
    serving.over(there, is_word=True)
    assert serving.charged == []


def test_of_calls_that_nobody_says_are_over_the_oldest_are_kept() -> None:
    serving = Serving()
    for number in range(2, UNHEARD_MOST + 4):
        serving[number] = _come(number, Shares())
        serving.over(serving[number], is_word=False)
    assert [call.number for call in serving.charged] == list(range(2, UNHEARD_MOST + 2))
    serving.over(_come(1, Shares()), is_word=False)
    assert len(serving.charged) == UNHEARD_MOST, "one that it never got is nothing to it"
