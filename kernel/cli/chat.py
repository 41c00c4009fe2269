"""`maniple chat` (acts)."""

import os
import shlex
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Final

import click
from msgspec import Struct

from kernel.cli import asking, installed, replies, screen, standard_input
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit, NoKernel, NotDone
from kernel.cli.frame import Session, command, hand_names, write
from kernel.cli.run_waiting import how_it_ended
from kernel.cli.words import Words
from manifests.capabilities import namespace
from manifests.errors import ResourceInvalid

BEFORE: Final = 60
"""Messages of the conversation that go with a question; older ones stay in memory."""
MARK: Final = "> "
SAID: Final = "said"
"""The event of a Hand with [agent] that has its words as they come."""

HELP: Final = """/attach PATH   send a text or a picture with the next question; later questions do not see a picture
/attach        remove the files that were to be sent
/history       show the last messages
/search WORDS  show the messages that contain all these words
/new NAME      begin another conversation, or continue one
/quit          leave; the conversation stays in memory
Anything else is a question. Ctrl-C while it is answered takes it back; Ctrl-D leaves."""


class Said(Struct, frozen=True, kw_only=True):
    """A message of memory.session.read."""

    role: str
    text: str
    seq: int = 0


class Messages(Struct, frozen=True, kw_only=True):
    """memory.session.read and .search."""

    messages: tuple[Said, ...]


@command(json=False)
@click.argument("hand", metavar="[HAND]", default=asking.DEFAULT, shell_complete=hand_names)
@click.option("--name", metavar="NAME", default="main", help="Which conversation; default `main`.")
def chat(session: Session, hand: str, name: str) -> None:
    """Talk with a Hand that thinks, one question per line. /help lists the other commands.

    A conversation is a session of your own memory, and continues where you left it. To export it: `maniple memory
    export --session HAND/cli/NAME/operator`. On a terminal you can edit lines and recall earlier ones; from a pipe,
    each line is a question.
    """
    if screen.is_terminal(sys.stdin):
        with suppress(ImportError):
            import readline  # noqa: F401  from here on input() edits lines
    with closing(_Talk(session, hand, name)) as talk:
        typed = None if screen.is_terminal(sys.stdin) else standard_input.lines("a question")
        while (line := _line() if typed is None else next(typed, None)) is not None:
            if line.strip() and not talk.take(line.strip()):
                return


def _line() -> str | None:
    """The next line that somebody types; None at the end."""
    try:
        return input(MARK)
    except EOFError:
        return None
    except KeyboardInterrupt:
        sys.stderr.write("\n/quit, or Ctrl-D, leaves\n")
        return ""


class _Talk:
    """One conversation. attached: files that go with the next question."""

    def __init__(self, session: Session, hand: str, name: str) -> None:
        self._session, self._hand = session, hand
        self._words = Words()
        self._client = self._linked()
        self._attached: list[str] = []
        self._commands: dict[str, Callable[[str], None]] = {
            "/help": lambda _: session.say(HELP),
            "/attach": self._attach,
            "/history": lambda _: self._show(self._read(20), "nothing was said in it yet"),
            "/search": self._search,
            "/new": self._begin,
        }
        try:
            if installed.shown(self._client, hand).hand.package.manifest.hand.kind == "service":
                raise Ended(f"{hand} is a service and takes no questions: see `maniple methods {hand}`")
            self._open(name)
        except BaseException:
            self._client.close()
            raise

    def _linked(self) -> Client:
        client = self._session.client()
        client.subscribe(f"{self._hand}.{SAID}", self._words.hear)
        return client

    def close(self) -> None:
        """Let go of the kernel."""
        self._client.close()

    def take(self, line: str) -> bool:
        """A line that was typed; whether it goes on."""
        word, _, rest = line.partition(" ")
        if word in ("/quit", "/exit"):
            return False
        try:
            if word in self._commands:
                self._commands[word](rest.strip())
            elif word.startswith("/"):
                self._session.say(f"there is no {word}: /help lists the commands")
            else:
                self._ask(line)
        except NoKernel:
            raise
        except Ended as error:
            self._session.say(str(error))
        return True

    def _open(self, name: str) -> int:
        """How many messages it has, of those that go with a question."""
        key = f"session/{self._hand}/cli/{name}/operator"
        try:
            self._key = namespace.normalise(key)
        except ResourceInvalid as error:
            raise Ended(f"{name!r} is not a name for a conversation: {error}", Exit.USAGE) from None
        known = len(self._read(BEFORE))
        if known:
            self._session.say(f"{name} continues after {known} messages; /history shows them")
        return known

    def _begin(self, name: str) -> None:
        if not name:
            raise Ended("/new NAME begins a conversation, or continues one")
        if not self._open(name):
            self._session.say(f"{name} begins")

    def _attach(self, path: str) -> None:
        if not path:
            self._attached.clear()
            self._session.say("no file goes with the next question")
            return
        path = typed_path(path)
        asking.with_files("", [*self._attached, path])
        self._attached.append(path)
        self._session.say(f"{path} goes with the next question")

    def _search(self, words: str) -> None:
        self._show(self._messages("memory.session.search", {"text": words}), "nothing was found")

    def _show(self, messages: tuple[Said, ...], none: str) -> None:
        if not messages:
            self._session.say(none)
        for one in messages:
            write(f"{MARK if one.role == 'user' else ''}{asking.text_of(one.text)}\n")

    def _read(self, most: int) -> tuple[Said, ...]:
        return self._messages("memory.session.read", {"most": most, "compact": True})

    def _messages(self, method: str, arguments: dict[str, object]) -> tuple[Said, ...]:
        try:
            return replies.read(self._client.call(method, self._key, arguments).value, Messages).messages
        except NotDone as error:
            if error.reason != "absent":
                raise
            return ()  # it begins with its first answer

    def _ask(self, text: str) -> None:
        """One question, and its answer; both are remembered when it is there."""
        try:
            question = asking.with_files(text, self._attached)
        except Ended as error:
            raise Ended(f"{error}; /attach alone removes all files") from None
        before = [_message(one.role, one.text) for one in self._read(BEFORE)]
        self._words.begin()
        try:
            run, ended = asking.asked(self._session, self._client, self._hand, question, before, words=self._words)
        except asking.TakenBack as taken:
            self._words.break_off()
            self._client.close()
            self._client = self._linked()
            self._session.say(f"taken back: {taken.run}".rstrip(": "))
            return
        except NoKernel as error:
            raise NoKernel(
                f"{error}; this conversation has neither the question nor its answer: ask again in it"
            ) from None
        self._attached.clear()
        answer = asking.answered(ended).answer
        if ended.outcome != "done":
            self._words.break_off()
            look = asking.look(self._hand, ended)
            self._session.say(f"{how_it_ended(ended)}: {screen.visible(ended.text)}; see {look}")
            return
        whole = asking.whole_of(answer)
        self._words.end(whole)
        said = [{"role": "user", "text": question.text}, {"role": "assistant", "text": whole, "extra": {"run": run}}]
        self._client.call("memory.session.append", self._key, {"messages": said})


def typed_path(typed: str) -> str:
    """The path that somebody typed: as it is, or as a shell takes it, for here none does away with quotes, or knows ~."""
    if os.path.lexists(typed):
        return typed
    try:
        words = shlex.split(typed)
    except ValueError:  # a quote that is a letter
        words = []
    whole = os.path.expanduser(words[0] if len(words) == 1 else typed)
    return whole if os.path.lexists(whole) else typed


def _message(role: str, text: str) -> dict[str, object]:
    return {"role": "assistant" if role == "assistant" else "user", "parts": [{"type": "text", "text": text}]}
