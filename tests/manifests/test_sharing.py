"""Calls that are open at a service together pay for its processor time alike, and none for what was used before it came."""

from manifests.calls import OpenCall
from manifests.policy import Link
from manifests.schema import Provided
from manifests.sharing import Shares


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
