"""The life of a run: joined, ready, at work, stopped, in the order that the kernel relies on."""

from tests.runtime.peer import Peer, provided
from wire import headers

ECHO = """
    from runtime import Call, Hand

    class Test(Hand):
        async def say(self, call: Call, text: str) -> dict[str, object]:
            return {"text": text}

        async def ask(self, call: Call) -> object:
            return (await self.kernel.call("other.method", "a/b", size=3)).value
"""
PROVIDES = (provided("test.say", text="string"), provided("test.ask"))


def test_a_hand_of_a_few_lines_answers_a_call(peer: Peer) -> None:
    peer.launch(ECHO, provides=PROVIDES).ready()
    assert peer.answer("test.say", text="hello") == {"text": "hello"}
    assert peer.stop() == 0


def test_a_call_made_while_answering_names_it_as_its_parent(peer: Peer) -> None:
    peer.launch(ECHO, provides=PROVIDES).ready()
    number = peer.call("test.ask")
    call, arguments = peer.expect(headers.Call)
    assert (call.number, call.method, call.resource, call.parent) == (1, "other.method", "a/b", number)
    assert arguments == {"size": 3}
    peer.send(headers.Done(number=1), {"n": 4})
    assert peer.expect(headers.Done) == (headers.Done(number=number), {"n": 4})
