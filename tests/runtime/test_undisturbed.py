"""A large body is read in one go: while one caller's is, all others of a provider wait."""

import gc

import msgspec
import pytest

from runtime.undisturbed import undisturbed
from tests.runtime.peer import Peer, provided

SOURCE = """
    import gc
    from runtime import Call, Hand

    LOOKS = []
    gc.callbacks.append(lambda phase, _: LOOKS.append(phase))

    class Test(Hand):
        async def look(self, call: Call, value: object = None) -> list[object]:
            return [len(LOOKS), gc.isenabled()]
"""


def test_a_body_of_very_many_values_is_read_without_looks_for_garbage(peer: Peer) -> None:
    peer.launch(SOURCE, (provided("test.look", value="any?"),)).ready()
    answers = [peer.answer("test.look"), peer.answer("test.look", value=[[]] * 500_000)]
    (before, _), (after, is_enabled) = msgspec.convert(answers, list[tuple[int, bool]])
    assert after - before < 100, "one for every 700 lists would be 700"
    assert is_enabled


@pytest.mark.parametrize("was_enabled", [True, False])
def test_afterwards_it_is_as_it_was(*, was_enabled: bool) -> None:
    if not was_enabled:
        gc.disable()
    try:
        with undisturbed():
            assert not gc.isenabled()
            with undisturbed():
                pass
            assert not gc.isenabled()
        assert gc.isenabled() is was_enabled
    finally:
        gc.enable()
