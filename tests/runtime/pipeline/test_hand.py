"""The Hand that a pipeline is, with the kernel's side of its calls in the test's hand."""

import pytest

from tests.runtime.peer import Peer
from tests.runtime.pipeline.driven import HEAD
from wire import headers

SOURCE = f'''
from manifests.pipeline.check import check
from runtime.pipeline.hand import PipelineHand

class Test(PipelineHand):
    async def start(self):
        self._pipeline = check("""{HEAD}
[steps.a]
hand = "worker"
retry = {{ times = 3, backoff = "1s" }}
""", file="made.pipeline.toml")
'''


@pytest.mark.parametrize("what", ["kernel.note", "kernel.sleep"])
def test_it_fails_with_the_reason_that_it_may_not_even_note_or_wait(peer: Peer, what: str) -> None:
    peer.launch(SOURCE, kind="task").ready()
    peer.call("run")
    while True:
        header, _ = peer.next()
        if isinstance(header, headers.Failed):
            break
        if not isinstance(header, headers.Call):
            continue
        if header.method == what:
            peer.send(headers.Refused(number=header.number, code="log", why="its reserve is spent"))
        elif header.method == "kernel.spawn":
            peer.send(headers.Failed(number=header.number, code="ended", text="it broke"))
        else:
            peer.send(headers.Done(number=header.number))
    assert (header.code, header.text) == ("log", "its reserve is spent")
    assert peer.stop() == 0
