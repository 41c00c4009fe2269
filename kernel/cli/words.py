"""The words of a Hand that thinks, printed as it says them (acts): pieces of its event `said`, each once.

A piece that is missing ends the printing of that thought; the whole answer is printed when it is there.
"""

from collections.abc import Callable

import msgspec
from msgspec import Struct

from kernel.cli.frame import write
from wire.codec import Value


class Said(Struct, frozen=True):
    """The body of `said`. thought: which of the run's, from 1; at: characters of it that were said before."""

    run: str
    thought: int
    at: int
    text: str


class Words:
    """What is shown of one run. clear: called before anything is written, to take another line away."""

    def __init__(self) -> None:
        self.clear: Callable[[], None] = lambda: None
        self.begin()

    def begin(self) -> None:
        """A question is asked: whatever comes now is of a run that is not known yet."""
        self._run, self._early = "", list[Said]()
        self._thought, self._text, self._is_whole, self.is_midway = 0, "", True, False

    def follow(self, run: str) -> None:
        """Show what this run says, and what it has said already."""
        self._run = run
        for said in self._early:
            self._show(said)
        self._early.clear()

    def hear(self, body: Value) -> None:
        """An event of the Hand's; one that is not as it should be is passed over."""
        try:
            said = msgspec.convert(body, Said)
        except msgspec.ValidationError:
            return
        if self._run:
            self._show(said)
        else:
            self._early.append(said)

    def end(self, answer: str) -> None:
        """The answer is there: what of it was not shown is, on lines of its own where it is not what was said last."""
        rest = answer
        if self._is_whole and self._text and answer.startswith(self._text):
            rest = answer[len(self._text) :]
        elif self.is_midway:
            self._write("\n")
        is_shown = self._text and not rest and not self.is_midway
        self._write("" if is_shown else rest if rest.endswith("\n") and not self.is_midway else rest + "\n")

    def break_off(self) -> None:
        """Nothing more comes."""
        if self.is_midway:
            self._write("\n")

    def _show(self, said: Said) -> None:
        if said.run != self._run or said.thought < self._thought:
            return
        if said.thought > self._thought:
            self.break_off()
            self._thought, self._text, self._is_whole = said.thought, "", True
        self._is_whole = self._is_whole and said.at == len(self._text)
        if self._is_whole:
            self._text += said.text
            self._write(said.text)

    def _write(self, text: str) -> None:
        """Nothing in it acts on a terminal, not even colours."""
        self.clear()
        write(text)
        if text:
            self.is_midway = not text.endswith("\n")
