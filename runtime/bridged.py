"""What a bridge keeps of each call that its program answers or makes (acts on the loop's tasks): see runtime/bridge.py."""

import asyncio

from runtime import lines
from wire import limits


class Answering:
    """A call that the program answers: what it said of it, in order, and not yet passed on.

    is_asked: it has been told of it; behind: how much of what it said its caller has not yet. why: it will say no more, and
    its task is cancelled for that.
    """

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self.said: asyncio.Queue[lines.Chunk | lines.Done | lines.Failed] = asyncio.Queue(limits.WINDOW)
        self.is_asked = False
        self.behind = 0
        self.why = ""

    def close(self) -> None:
        """Nobody listens any more; whoever waited for room goes on."""
        while not self.said.empty():
            self.said.get_nowait()


class Making:
    """A call that the program makes, and what of its upload is not yet passed on. is_uploading: more of it is to come."""

    def __init__(self, *, is_uploading: bool) -> None:
        self.is_uploading = is_uploading
        self.uploads: asyncio.Queue[lines.Upload] = asyncio.Queue(limits.WINDOW)
        self.task: asyncio.Task[None] | None = None

    def close(self) -> None:
        """Nothing more of it is passed on; whoever waited for room goes on."""
        while not self.uploads.empty():
            self.uploads.get_nowait()
