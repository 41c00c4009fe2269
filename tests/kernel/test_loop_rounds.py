"""What several messages bring about goes out together, and neither a flood of them nor a fault holds up the rest."""

from collections.abc import Callable, Iterator

import pytest
import zmq

from kernel.loop import READS_PER_ROUND, Loop

Ends = tuple["zmq.Socket[bytes]", "zmq.Socket[bytes]"]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Two ends of a bus: what is sent into the one is there at the other."""
    made: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    bus, peer = made.socket(zmq.PAIR), made.socket(zmq.PAIR)
    bus.bind("inproc://bus")
    peer.connect("inproc://bus")
    yield bus, peer
    bus.close(0)
    peer.close(0)
    made.term()


def _taker(loop: Loop, bus: "zmq.Socket[bytes]", did: list[str], most: int) -> Callable[[], object]:
    """Takes messages, has something done soon for each, and stops the loop when so many were taken."""

    def take() -> None:
        said = bus.recv().decode()
        did.append(f"took {said}")
        loop.soon(lambda: did.append(f"told {said}"))
        if sum(one.startswith("took") for one in did) == most:
            loop.after(0.0, loop.stop)

    return take


def _nothing() -> None:
    pass


def test_what_messages_bring_about_comes_after_those_that_are_there(ends: Ends) -> None:
    (bus, peer), loop, did = ends, Loop(), list[str]()
    for name in ("a", "b", "c"):
        peer.send(name.encode())
    loop.run(bus, _taker(loop, bus, did, 3), _nothing)
    assert did[:3] == ["took a", "took b", "took c"]


def test_it_comes_before_more_than_so_many_of_them_and_in_order(ends: Ends) -> None:
    (bus, peer), loop, did = ends, Loop(), list[str]()
    for number in range(READS_PER_ROUND + 2):
        peer.send(str(number).encode())
    loop.run(bus, _taker(loop, bus, did, READS_PER_ROUND + 2), _nothing)
    assert did[: 2 * READS_PER_ROUND] == [
        f"{what} {number}" for what in ("took", "told") for number in range(READS_PER_ROUND)
    ]


def test_one_that_raises_costs_itself_alone(ends: Ends, capfd: pytest.CaptureFixture[str]) -> None:
    (bus, _), loop, did = ends, Loop(), list[str]()

    def fail() -> None:
        raise RuntimeError("it fails")

    loop.soon(fail)
    loop.soon(lambda: did.append("told"))
    loop.soon(lambda: loop.after(0.0, loop.stop))
    loop.run(bus, _nothing, _nothing)
    assert did == ["told"]
    assert "it fails" in capfd.readouterr().err


def test_what_a_timer_brings_about_waits_for_no_message(ends: Ends) -> None:
    (bus, _), loop, did = ends, Loop(), list[str]()

    def tell() -> None:
        did.append("told")
        loop.stop()

    loop.after(0.0, lambda: loop.soon(tell))
    loop.after(20.0, loop.stop)
    loop.run(bus, _nothing, _nothing)
    assert did == ["told"]


def test_messages_without_end_hold_up_no_timer(ends: Ends) -> None:
    (bus, peer), loop, taken = ends, Loop(), list[bytes]()

    def take() -> None:
        taken.append(bus.recv())
        peer.send(b"again")

    peer.send(b"once")
    loop.after(0.0, loop.stop)
    loop.run(bus, take, _nothing)
    assert len(taken) <= READS_PER_ROUND
