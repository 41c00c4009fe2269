"""What a run said before it was told all again is judged as if it came now, whoever makes the kernel look at it."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from kernel.record.tapes import Tape
from wire import headers
from wire.errors import NotNow


class Around:
    """What a tape needs of a kernel whose run takes nothing at first. Not a real one: to be behind at the very end of what it
    is told, and to have said what is not its to say, takes a run that is hostile and a moment that no test can choose.
    """

    def __init__(self) -> None:
        self.looks: list[Callable[[], None]] = []
        self.ends: list[tuple[str, str]] = []
        self.peer = SimpleNamespace(is_behind=True)
        self.loop = SimpleNamespace(after=lambda _, act: self.looks.append(act))
        self.links = SimpleNamespace(end=lambda _, code, why: self.ends.append((code, why)))
        self.router = SimpleNamespace(dispatch=self._dispatch)
        self.runs = {"r-1": SimpleNamespace(id="r-1", state="ready", peer=self.peer)}

    def _dispatch(self, peer: object, header: object, body: bytes) -> None:
        raise NotNow("an upload that was whole")


def test_a_run_that_may_not_say_what_it_said_is_ended_though_only_a_timer_looks() -> None:
    around: Any = Around()
    tape = Tape(around, "r-1", SimpleNamespace(), in_order=True)  # type: ignore[arg-type]  # see above
    fast_forward: Any = SimpleNamespace(next_message=lambda **_: None, remaining=1, unmatched=[], under_way=lambda _: 0)
    tape._fast_forward = fast_forward
    tape._waiting.put(headers.Chunk(number=1), b"")
    tape.pump()
    (look,) = around.looks
    assert around.ends == []
    around.peer.is_behind, fast_forward.remaining = False, 0
    look()
    assert around.ends == [("malformed", "an upload that was whole")]
