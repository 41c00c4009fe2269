"""`maniple chat` (acts)."""

import os
import shlex
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Final

import click
from msgspec import Struct

from kernel.cli import asking, replies, screen, standard_input
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit, NoKernel, NotDone
from kernel.cli.frame import Session, command, hand_names, write
from kernel.cli.run_waiting import failure_text
from kernel.cli.words import Words
from manifests.capabilities import namespace
from manifests.errors import ResourceInvalid

HISTORY_MOST: Final = 60
"""Messages of the conversation sent with a question; older ones stay in memory."""

PROMPT: Final = "> "
EVENT: Final = "said"
"""The event by which a Hand with [agent] publishes its words as it writes them."""

UNKEPT: Final = "this conversation has neither the question nor its answer"

HELP: Final = """/attach PATH   send a text or a picture with the next question; later questions do not see a picture
/attach        remove the files that were to be sent
/history       show the last messages
/search WORDS  show the messages that contain all these words
/new NAME      begin another conversation, or continue one
/quit          leave; the conversation stays in memory
Anything else is a question. Ctrl-C while it is answered takes it back; Ctrl-D leaves."""


class Message(Struct, frozen=True, kw_only=True):
    """One message in the reply of memory.session.read."""

    role: str
    text: str
    seq: int = 0


class Messages(Struct, frozen=True, kw_only=True):
    """The reply of memory.session.read and memory.session.search."""

    messages: tuple[Message, ...]


@command(json=False)
@click.argument("hand", metavar="[HAND]", default=asking.DEFAULT, shell_complete=hand_names)
@click.option("--name", metavar="NAME", default="main", help="Which conversation; default `main`.")
def chat(session: Session, hand: str, name: str) -> None:
    """Talk with a Hand that thinks, one question per line. /help lists the other commands.

    A conversation is a session of your own memory, and continues where you left it; /help says how to export it. A
    later Hand of the same name does not get it. On a terminal you can edit lines and recall earlier ones; from a
    pipe, each line is a question.
    """
    if screen.is_terminal(sys.stdin):
        with suppress(ImportError):
            import readline  # noqa: F401  from here on input() edits lines
    with closing(_Conversation(session, hand, name)) as talk:
        typed = None if screen.is_terminal(sys.stdin) else standard_input.read_lines("a question")
        while (line := _read_line() if typed is None else next(typed, None)) is not None:
            if line.strip() and not talk.handle_line(line.strip()):
                return


def _read_line() -> str | None:
    """Read the next line from the terminal; None at its end."""
    try:
        return input(PROMPT)
    except EOFError:
        sys.stderr.write("\n")
        return None
    except KeyboardInterrupt:
        sys.stderr.write("\n/quit, or Ctrl-D, leaves\n")
        return ""


class _Conversation:
    """One conversation, and the files that go with its next question."""

    def __init__(self, session: Session, hand: str, name: str) -> None:
        self._session, self._hand = session, hand
        self._words = Words()
        self._client = self._connect()
        self._attached: list[str] = []
        self._commands: dict[str, Callable[[str], None]] = {
            "/help": lambda _: session.say(f"{HELP}\n{self._export_hint()}"),
            "/attach": self._attach,
            "/history": lambda _: self._show(self._read(20), "nothing was said in it yet"),
            "/search": self._search,
            "/new": self._begin,
        }
        try:
            self._hand_id = asking.check_answers(self._client, hand)
            self._open(name)
        except BaseException:
            self._client.close()
            raise

    def _connect(self) -> Client:
        client = self._session.client()
        client.subscribe(f"{self._hand}.{EVENT}", self._words.hear)
        return client

    def close(self) -> None:
        """Disconnect from the kernel."""
        self._client.close()

    def handle_line(self, line: str) -> bool:
        """Run the command or ask the question in a typed line; returns False for /quit."""
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
        """Switch to a conversation; returns its number of messages, at most HISTORY_MOST."""
        key = f"session/{self._hand_id}/cli/{name}/operator"
        try:
            self._key = namespace.normalise(key)
        except ResourceInvalid as error:
            raise Ended(f"{name!r} is not a name for a conversation: {error}", Exit.USAGE) from None
        known = len(self._read(HISTORY_MOST))
        if known:
            self._session.say(f"{name} continues after {known} messages; /history shows them")
        return known

    def _export_hint(self) -> str:
        key = self._key.removeprefix("session/")
        return f"`maniple memory export --session {key}` writes this conversation"

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
        path = resolve_path(path)
        asking.with_files("", [*self._attached, path])
        self._attached.append(path)
        self._session.say(f"{path} goes with the next question")

    def _search(self, words: str) -> None:
        self._show(self._messages("memory.session.search", {"text": words}), "nothing was found")

    def _show(self, messages: tuple[Message, ...], none: str) -> None:
        if not messages:
            self._session.say(none)
        for one in messages:
            write(f"{PROMPT if one.role == 'user' else ''}{asking.text_of(one.text)}\n")

    def _read(self, most: int) -> tuple[Message, ...]:
        return self._messages("memory.session.read", {"most": most, "compact": True})

    def _messages(self, method: str, arguments: dict[str, object]) -> tuple[Message, ...]:
        try:
            return replies.read(self._client.call(method, self._key, arguments).value, Messages).messages
        except NotDone as error:
            if error.reason != "absent":
                raise
            return ()  # a session exists from its first answer on

    def _ask(self, text: str) -> None:
        """Ask one question and print the answer; then append both to the conversation."""
        try:
            question = asking.with_files(text, self._attached)
        except Ended as error:
            raise Ended(f"{error}; /attach alone removes all files") from None
        before = [_message(one.role, one.text) for one in self._read(HISTORY_MOST)]
        self._words.begin()
        try:
            run, ended = asking.ask(self._session, self._client, self._hand, question, before, words=self._words)
        except asking.QuestionCancelled as taken:
            self._words.break_off()
            self._client.close()
            self._client = self._connect()
            self._session.say(f"taken back: {taken.run}".rstrip(": "))
            return
        except NoKernel as error:
            raise NoKernel(f"{error}; {UNKEPT}: ask again in it") from None
        self._attached.clear()
        answer = asking.read_answer(ended).answer
        if ended.outcome != "done":
            self._words.break_off()
            look = asking.next_command(self._hand, ended)
            self._session.say(screen.indented(failure_text(ended, look)))
            return
        whole = asking.raw_text(answer)
        self._words.end(whole)
        said = [{"role": "user", "text": question.text}, {"role": "assistant", "text": whole, "extra": {"run": run}}]
        try:
            self._client.call("memory.session.append", self._key, {"messages": said})
        except NoKernel:
            raise
        except Ended as error:
            raise Ended(f"{error}; {UNKEPT}") from None


def resolve_path(typed: str) -> str:
    """The file that a typed path names: the path itself if it exists, else with quotes and ~ resolved as by a shell."""
    if os.path.lexists(typed):
        return typed
    try:
        words = shlex.split(typed)
    except ValueError:  # an unmatched quote, as in a name
        words = []
    path = os.path.expanduser(words[0] if len(words) == 1 else typed)
    return path if os.path.lexists(path) else typed


def _message(role: str, text: str) -> dict[str, object]:
    return {"role": "assistant" if role == "assistant" else "user", "parts": [{"type": "text", "text": text}]}
