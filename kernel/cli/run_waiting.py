"""Waits for a run's end (acts); meanwhile shows on stderr its progress, and what waits for the operator."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kernel.cli import answering, live_runs, replies, screen
from kernel.cli.client import Client, Reply
from kernel.cli.exits import Exit, NoKernel, NotDone, RunNotDone
from kernel.cli.frame import Session, as_json
from kernel.cli.hints import decide_hint
from kernel.cli.progress import PollSchedule, StatusLine
from kernel.cli.words import Words
from manifests.waiting import AWAITS_DECISION
from wire.limits import DEADLINE_MAX


def wait_for_run(
    session: Session, client: Client, run: str, words: Words | None = None, *, bound: bool = False
) -> Reply:
    """Wait for a run, and return the reply of kernel.wait. Shows what waits for the operator, and on a terminal progress.

    bound: the kernel stops the run if this process is killed.
    words: the printer of the run's words; while it is within a line, no progress is drawn there.
    """
    with session.client() as second:
        view = RunView(session, second, run, words)
        try:
            return await_outcome(client, run, view.tick, bound=bound)
        except NoKernel as error:
            if words is not None:
                words.break_off()
            raise NoKernel(f"{error}, and {run} goes on then: `maniple wait {run}` prints its result") from None
        finally:
            view.clear()


def wait_hint(run: str) -> str:
    """The message about a run that was started without waiting for it."""
    return f"It is under way: `maniple wait {run}` prints its result."


def logs_hint(hand: str, run: str) -> str:
    """The commands that show why a run did not succeed."""
    return f"`maniple logs {hand}` and `maniple run-show {run}`"


def print_outcome(session: Session, outcome: replies.Outcome, *, next_command: str) -> None:
    """Print a run's result. Raises Ended if it did not succeed; next_command: what to type then."""
    session.result(outcome, lambda: "" if outcome.value is None else as_json(outcome.value))
    raise_unless_done(outcome, next_command)


def raise_unless_done(outcome: replies.Outcome, next_command: str) -> None:
    """Raise RunNotDone for a run that did not succeed. next_command: what to type then."""
    if outcome.outcome == "done":
        return
    code = Exit.REFUSED if outcome.outcome == "refused" else Exit.FAILED
    raise RunNotDone(failure_text(outcome, next_command), outcome.code or outcome.outcome, code)


def failure_text(outcome: replies.Outcome, next_command: str) -> str:
    """How a run ended, why, and what to type then. It has the lines of the Hand's own text, unescaped."""
    why = f"{outcome.text} ({outcome.code})" if outcome.code and outcome.code not in outcome.text else outcome.text
    see = f"\nsee {next_command}" if "\n" in why else f"; see {next_command}"
    return f"the run {'' if outcome.outcome == 'failed' else 'was '}{outcome.outcome}: {why}{see}"


@contextmanager
def keep_run_on_interrupt(session: Session, run: str) -> Iterator[None]:
    """Within the block Ctrl-C ends only the waiting; a message says that the run goes on, and how to end it."""
    try:
        yield
    except KeyboardInterrupt:
        session.say(f"\n{run} goes on: `maniple wait {run}` waits for it again, `maniple cancel {run}` ends it.")
        raise


class RunView:
    """Shows a run's progress and held calls while the command waits for it."""

    def __init__(self, session: Session, client: Client, run: str, words: Words | None) -> None:
        self._session, self._client, self._run, self._words = session, client, run, words
        self._line = StatusLine()
        self.clear = self._line.clear
        if words is not None:
            words.clear = self.clear
        self._began = time.monotonic()
        self._schedule, self._status = PollSchedule(self._began), "working"
        self._shown: set[int | str] = set()

    def tick(self) -> None:
        """Redraw the status line; poll the kernel when that is due."""
        if self._schedule.due(time.monotonic()):
            self._poll()
        if not (self._words is not None and self._words.is_midway):
            self._line.draw(time.monotonic() - self._began, self._status)

    def _poll(self) -> None:
        mine = live_runs.find(self._client, self._run)
        self._status = mine.progress.shown() if mine and mine.progress else "working"
        if mine is not None and mine.state == AWAITS_DECISION:
            self._say_once(AWAITS_DECISION, f"{self._run} waits for your decision: {decide_hint(self._run)}")
        for one in answering.fetch_held(self._client):
            if self._run in (one.run, *(link.principal for link in one.chain)) and one.call not in self._shown:
                self._say_once(one.call, f"{screen.visible(self._describe(one))}: {answering.answer_hint(one)}")

    def _say_once(self, key: int | str, line: str) -> None:
        """Print a line unless one with the same key was printed before."""
        if key in self._shown:
            return
        self._shown.add(key)
        self.clear()
        if self._words is not None:
            self._words.break_off()
        self._session.say(line)

    def _describe(self, one: answering.HeldCall) -> str:
        """Describe a held call; for a question, the question itself."""
        if one.method == answering.QUESTION:
            try:
                question, choices = answering.question_of(answering.fetch_full(self._client, one.call))
                return f"{one.hand} asks you: {question}" + (f" ({', '.join(choices)})" if choices else "")
            except NotDone as error:
                if error.reason != "gone":  # answered or cancelled meanwhile
                    raise
        return f"{one.hand} asks for {one.method} {one.resource}".rstrip()


def await_outcome(client: Client, run: str, tick: Callable[[], None], *, bound: bool = False) -> Reply:
    """Call kernel.wait until the run ends, however long that takes. bound: see wait_for_run()."""
    asked = {"run": run, **({"bound": True} if bound else {})}
    while True:
        try:
            return client.call("kernel.wait", "", asked, seconds=DEADLINE_MAX / 1000, tick=tick)
        except NotDone as error:
            if error.reason == "finishing":
                raise NoKernel(f"{error}: `maniple up` starts it again") from None
            if error.reason != "deadline":
                raise
