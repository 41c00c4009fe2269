"""Prints an agent's words as they arrive (acts): the pieces in its `said` events, each once.

After a lost piece nothing more of that thought is printed; the whole answer is, when it has arrived.
"""

from collections.abc import Callable

import msgspec
from msgspec import Struct

from kernel.cli.frame import say, write
from wire.codec import Value


class Said(Struct, frozen=True):
    """Body of the event `said`. thought: its number in the run, from 1. at: the offset of text in it, in characters. again:
    the thought before was cut off, and this one is in its place.
    """

    run: str
    thought: int
    at: int
    text: str
    again: bool = False


class Words:
    """Printer of one run's words at a time. clear: called before each write, to erase a progress line."""

    def __init__(self) -> None:
        self.clear: Callable[[], None] = lambda: None
        self.begin()

    def begin(self) -> None:
        """Reset for a new question, whose run is not known yet: pieces are kept until follow()."""
        self._run, self._unmatched = "", list[Said]()
        self._thought, self._text, self._is_complete, self.is_midway = 0, "", True, False

    def follow(self, run: str) -> None:
        """Print this run's pieces: those kept so far, and from now on each as it arrives."""
        self._run = run
        for said in self._unmatched:
            self._show(said)
        self._unmatched.clear()

    def hear(self, body: Value) -> None:
        """Take the body of an event; a malformed one is ignored."""
        try:
            said = msgspec.convert(body, Said)
        except msgspec.ValidationError:
            return
        if self._run:
            self._show(said)
        else:
            self._unmatched.append(said)

    def end(self, answer: str) -> None:
        """Print what is missing of the final answer: its rest after the last thought, else all of it on new lines."""
        rest = answer
        if self._is_complete and self._text and answer.startswith(self._text):
            rest = answer[len(self._text) :]
        elif self.is_midway:
            self._write("\n")
        is_shown = self._text and not rest and not self.is_midway
        self._write("" if is_shown else rest if rest.endswith("\n") and not self.is_midway else rest + "\n")

    def break_off(self) -> None:
        """End a line that was begun: nothing more will arrive."""
        if self.is_midway:
            self._write("\n")

    def _show(self, said: Said) -> None:
        if said.run != self._run or said.thought < self._thought:
            return
        if said.thought > self._thought:
            self.break_off()
            if said.again and self._thought:
                self.clear()
                say("(this answer broke off; the model was asked again)")
            self._thought, self._text, self._is_complete = said.thought, "", True
        self._is_complete = self._is_complete and said.at == len(self._text)
        if self._is_complete:
            self._text += said.text
            self._write(said.text)

    def _write(self, text: str) -> None:
        """Print text; frame.write makes control characters visible, so nothing in it acts on a terminal."""
        self.clear()
        write(text)
        if text:
            self.is_midway = not text.endswith("\n")
