"""Waiting for a run's end (acts): how far it is meanwhile, and what of it waits for the operator, on stderr."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kernel.cli import answering, live_runs, replies, screen
from kernel.cli.client import Client, Reply
from kernel.cli.exits import Exit, NoKernel, NotDone
from kernel.cli.frame import Session, as_json
from kernel.cli.history import how_to_decide
from kernel.cli.progress import Line, Looks
from kernel.cli.words import Words
from manifests.waiting import WAITS
from wire.limits import DEADLINE_MAX


def waited(session: Session, client: Client, run: str, words: Words | None = None, *, bound: bool = False) -> Reply:
    """The run's outcome; meanwhile, on a terminal, how far it is, and everywhere what waits for the operator.

    bound: the run ends with this process, if that is killed.
    words: what is printed meanwhile of what it says; where those are in the middle of a line, that one is theirs.
    """
    with session.client() as second:
        view = View(session, second, run, words)
        try:
            return outcome_of(client, run, view.tick, bound=bound)
        except NoKernel as error:
            if words is not None:
                words.break_off()
            raise NoKernel(f"{error}, and {run} goes on then: `maniple wait {run}` prints its result") from None
        finally:
            view.clear()


def under_way(run: str) -> str:
    """What is said of a run that nobody waits for."""
    return f"It is under way: `maniple wait {run}` prints its result."


def logs_of(hand: str, run: str) -> str:
    """Where to look when a run did not succeed."""
    return f"`maniple logs {hand}` and `maniple run-show {run}`"


def result(session: Session, outcome: replies.Outcome, *, look: str) -> None:
    """Print what a run came to. Raises Ended for one that did not succeed. look: where to look then."""
    session.result(outcome, lambda: "" if outcome.value is None else as_json(outcome.value))
    end(outcome, look)


def end(outcome: replies.Outcome, look: str) -> None:
    """Raises NotDone for a run that did not succeed. look: where to look then."""
    if outcome.outcome == "done":
        return
    code = Exit.REFUSED if outcome.outcome == "refused" else Exit.FAILED
    why = f"{outcome.text} ({outcome.code})" if outcome.code and outcome.code not in outcome.text else outcome.text
    raise NotDone(f"{how_it_ended(outcome)}: {why}; see {look}", outcome.code or outcome.outcome, code)


def how_it_ended(outcome: replies.Outcome) -> str:
    """In words, how a run that did not succeed ended."""
    return f"the run {'' if outcome.outcome == 'failed' else 'was '}{outcome.outcome}"


@contextmanager
def left_alone(session: Session, run: str) -> Iterator[None]:
    """Ctrl-C within ends the waiting and not the run: that is said, with what does end it."""
    try:
        yield
    except KeyboardInterrupt:
        session.say(f"\n{run} goes on: `maniple wait {run}` waits for it again, `maniple cancel {run}` ends it.")
        raise


class View:
    """What is said of a run while somebody waits for it."""

    def __init__(self, session: Session, client: Client, run: str, words: Words | None) -> None:
        self._session, self._client, self._run, self._words = session, client, run, words
        self._line = Line()
        self.clear = self._line.clear
        if words is not None:
            words.clear = self.clear
        self._began = time.monotonic()
        self._looks, self._said = Looks(self._began), "working"
        self._told: set[int | str] = set()

    def tick(self) -> None:
        """Draw the line anew; and now and then look what is new."""
        if self._looks.due(time.monotonic()):
            self._look()
        if not (self._words is not None and self._words.is_midway):
            self._line.draw(time.monotonic() - self._began, self._said)

    def _look(self) -> None:
        mine = live_runs.find(self._client, self._run)
        self._said = mine.progress.shown() if mine and mine.progress else "working"
        if mine is not None and mine.state == WAITS:
            self._say(WAITS, f"{self._run} waits for your decision: {how_to_decide(self._run)}")
        for one in answering.held(self._client):
            if self._run in (one.run, *(link.principal for link in one.chain)) and one.call not in self._told:
                self._say(one.call, f"{screen.visible(self._wish(one))}: {answering.what_to_type(one)}")

    def _say(self, what: int | str, line: str) -> None:
        """One line, and each but once."""
        if what in self._told:
            return
        self._told.add(what)
        self.clear()
        if self._words is not None:
            self._words.break_off()
        self._session.say(line)

    def _wish(self, one: answering.Held) -> str:
        """What a call that waits wants: of a question, the question itself."""
        if one.method == answering.QUESTION:
            try:
                question, choices = answering.asked(answering.whole(self._client, one.call))
                return f"{one.hand} asks you: {question}" + (f" ({', '.join(choices)})" if choices else "")
            except NotDone as error:
                if error.reason != "gone":  # answered or taken back since
                    raise
        return f"{one.hand} asks for {one.method} {one.resource}".rstrip()


def outcome_of(client: Client, run: str, tick: Callable[[], None], *, bound: bool = False) -> Reply:
    """How a run ended, however long that takes: kernel.wait. bound: as of waited()."""
    asked = {"run": run, **({"bound": True} if bound else {})}
    while True:
        try:
            return client.call("kernel.wait", "", asked, seconds=DEADLINE_MAX / 1000, tick=tick)
        except NotDone as error:
            if error.reason != "deadline":
                raise
