"""Puts one question to an agent (acts): starts its run and waits for the answer. Shared by `ask` and `chat`."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from kernel.cli import installed, named_files, replies, screen
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, as_json
from kernel.cli.interrupts import Interrupts
from kernel.cli.run_waiting import logs_hint, wait_for_run
from kernel.cli.start import Started
from kernel.cli.words import Words
from wire.amounts import Cost
from wire.pictures import media

DEFAULT: Final = "assistant"
FILE_MAX: Final = 256 * 1024
"""Most bytes of one text file sent with a question."""

PICTURES_MAX: Final = 512 * 1024
"""Most bytes of all pictures of a question: they travel in one body, and to a provider as base64."""

FILES_MAX: Final = 768 * 1024
"""Most bytes of all files of a question: the same body also holds the conversation before it."""


class Question(Struct, frozen=True, kw_only=True):
    """A question. pictures: message parts of the type image (runtime/models/messages.py)."""

    text: str
    pictures: tuple[dict[str, object], ...] = ()


class AgentResult(Struct, frozen=True, kw_only=True):
    """The result of a run of a Hand with [agent]."""

    answer: object
    steps: int = 0
    micro_dollars: int = 0
    notes: tuple[str, ...] = ()


class QuestionCancelled(KeyboardInterrupt):
    """Ctrl-C cancelled a question. run: its run, which has been stopped; "" if none had started."""

    def __init__(self, run: str) -> None:
        super().__init__(run)
        self.run = run


def ask(
    session: Session,
    client: Client,
    hand: str,
    question: Question,
    before: Sequence[object] | None = None,
    most: Cost | None = None,
    words: Words | None = None,
) -> tuple[str, replies.Outcome]:
    """Start a question's run and wait for it; returns its id and outcome, and prints the answer's notes on stderr.

    before: the conversation so far. On Ctrl-C, stops the run, as nobody would read the answer that it costs, and raises
    QuestionCancelled. SIGHUP and SIGTERM also stop the run, and then end this process. If this process is killed, the
    kernel stops the run.
    """
    run = ""
    with Interrupts() as interrupts:
        try:
            with interrupts.deferred():
                run = _start_run(client, hand, question, before, most)
            if words is not None:
                words.follow(run)
            ended = replies.read(wait_for_run(session, client, run, words, bound=True).value, replies.Outcome)
        except KeyboardInterrupt:
            try:
                if run:
                    with session.client() as other:  # the first link may be in the middle of a call
                        other.call("kernel.stop", run, seconds=120)
            finally:
                interrupts.end()
            raise QuestionCancelled(run) from None
    notes = read_answer(ended).notes
    if notes and words is not None:
        words.break_off()  # notes begin on a line of their own
    for note in notes:
        session.say(screen.visible(note))
    return run, ended


def check_answers(client: Client, hand: str) -> str:
    """Return the id of a Hand. Raise Ended if it is a service, which takes no questions; NotDone if it is not installed."""
    found = installed.fetch_details(client, hand).hand
    if found.package.manifest.hand.kind == "service":
        raise Ended(f"{hand} is a service and takes no questions: see `maniple methods {hand}`")
    return found.id


def _start_run(
    client: Client, hand: str, question: Question, before: Sequence[object] | None, most: Cost | None
) -> str:
    """Start the run of a question. Its pictures go as the last message of the conversation before it."""
    try:
        question.text.encode()
    except UnicodeEncodeError:
        raise Ended("the question is not UTF-8 text", Exit.USAGE) from None
    inputs: dict[str, object] = {"task": question.text}
    shown = [{"role": "user", "parts": list(question.pictures)}] if question.pictures else []
    if before is not None or shown:
        inputs["session"] = [*(before or ()), *shown]
    return replies.read(
        client.call("kernel.start", hand, {"inputs": inputs}, seconds=120, most=most).value, Started
    ).run


def read_answer(ended: replies.Outcome) -> AgentResult:
    """The answer of an agent's run; for a Hand without [agent], whatever its run returned."""
    value = ended.value
    return (
        replies.read(value, AgentResult) if isinstance(value, dict) and "answer" in value else AgentResult(answer=value)
    )


def next_command(hand: str, ended: replies.Outcome) -> str:
    """The commands to type after a run without an answer: its outcome may hold its work so far, which was paid for."""
    value = ended.value if isinstance(ended.value, dict) else {}
    so_far = f"`maniple wait {ended.run}` for its work so far, " if value.get("answer") or value.get("made") else ""
    return so_far + logs_hint(hand, ended.run)


def text_of(answer: object) -> str:
    """An answer for people, escaped: nothing in it acts on a terminal, not even colours."""
    return screen.prose(raw_text(answer))


def raw_text(answer: object) -> str:
    """An answer as text, unescaped; a value that is not text as JSON."""
    return answer if isinstance(answer, str) else "" if answer is None else as_json(answer)


def with_files(text: str, files: Sequence[str]) -> Question:
    """Make a question with files: texts are appended, each below its path. Ended for other formats, or too much content."""
    texts, pictures, size, total = [text], list[dict[str, object]](), 0, 0
    for path in files:
        try:
            with named_files.open_to_read(path) as file:
                content = file.read(max(FILE_MAX, PICTURES_MAX) + 1)
        except OSError as error:
            raise named_files.unreadable(path, error) from None
        if kind := media(content):
            size += len(content)
            if size > PICTURES_MAX:
                why = f"the pictures of a question may have at most {PICTURES_MAX // 1024} KiB together"
                raise Ended(f"{path} is too much: {why}", Exit.USAGE)
            texts.append(f"[the picture {path}]")
            pictures.append({"type": "image", "media": kind, "content": content})
        else:
            texts.append(f"[the file {path}]\n{_text(path, content)}")
        if (total := total + len(content)) > FILES_MAX:
            why = f"the files of a question may have at most {FILES_MAX // 1024} KiB together"
            raise Ended(f"{path} is too much: {why}; let the Hand read it with files.read", Exit.USAGE)
    return Question(text="\n\n".join(texts), pictures=tuple(pictures))


def _text(path: str, content: bytes) -> str:
    if len(content) > FILE_MAX:
        raise Ended(f"{path} is longer than {FILE_MAX // 1024} KiB: let the Hand read it with files.read", Exit.USAGE)
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Ended(f"{path} is neither UTF-8 text nor a picture (PNG, JPEG, GIF or WebP)", Exit.USAGE) from None
