"""One question to a Hand that thinks (acts): its run, and what it answers. Shared by `ask` and `chat`."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from kernel.cli import named_files, replies, screen
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, as_json
from kernel.cli.interrupts import Interrupts
from kernel.cli.run_waiting import logs_of, waited
from kernel.cli.start import Started
from kernel.cli.words import Words
from wire.entries import Cost
from wire.pictures import media

DEFAULT: Final = "assistant"
FILE_MOST: Final = 256 * 1024
"""Bytes of a text that goes with a question."""

PICTURES_MOST: Final = 512 * 1024
"""Bytes of all pictures that go with a question: they travel in one body, and to a provider as base64."""

FILES_MOST: Final = 768 * 1024
"""Bytes of all files that go with a question: there is a conversation before it in the same body, too."""


class Question(Struct, frozen=True, kw_only=True):
    """What is asked. pictures: message parts of the type image (runtime/models/messages.py)."""

    text: str
    pictures: tuple[dict[str, object], ...] = ()


class Answered(Struct, frozen=True, kw_only=True):
    """What a run of a Hand with [agent] returns."""

    answer: object
    steps: int = 0
    micro_dollars: int = 0
    notes: tuple[str, ...] = ()


class TakenBack(KeyboardInterrupt):
    """You get this one when Ctrl-C took a question back. run: its run, "" where it had not begun."""

    def __init__(self, run: str) -> None:
        super().__init__(run)
        self.run = run


def asked(
    session: Session,
    client: Client,
    hand: str,
    question: Question,
    before: Sequence[object] | None = None,
    most: Cost | None = None,
    words: Words | None = None,
) -> tuple[str, replies.Outcome]:
    """The run of a question, and how it ended; what is to be known of the answer is said on stderr.

    before: the conversation until now. Raises TakenBack, with its run ended: nobody would hear an answer that is paid for.
    So does a terminal that closes, or SIGTERM, and then this process ends as it does without; killed, it leaves that to
    the kernel.
    """
    run = ""
    with Interrupts() as heard:
        try:
            with heard.later():
                run = _begun(client, hand, question, before, most)
            if words is not None:
                words.follow(run)
            ended = replies.read(waited(session, client, run, words, bound=True).value, replies.Outcome)
        except KeyboardInterrupt:
            try:
                if run:
                    with session.client() as other:  # the first one may be in the middle of an answer
                        other.call("kernel.stop", run, seconds=120)
            finally:
                heard.end()
            raise TakenBack(run) from None
    notes = answered(ended).notes
    if notes and words is not None:
        words.break_off()  # they are lines of their own
    for note in notes:
        session.say(screen.visible(note))
    return run, ended


def _begun(client: Client, hand: str, question: Question, before: Sequence[object] | None, most: Cost | None) -> str:
    """The run of a question. Pictures are the last message of what was before it, which the task is put to."""
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


def answered(ended: replies.Outcome) -> Answered:
    """What it answered; of a Hand without [agent], what it returned."""
    value = ended.value
    return replies.read(value, Answered) if isinstance(value, dict) and "answer" in value else Answered(answer=value)


def look(hand: str, ended: replies.Outcome) -> str:
    """What to type when it did not come to an answer: its work so far, which was paid for, stands in its outcome."""
    value = ended.value if isinstance(ended.value, dict) else {}
    so_far = f"`maniple wait {ended.run}` for its work so far, " if value.get("answer") or value.get("made") else ""
    return so_far + logs_of(hand, ended.run)


def text_of(answer: object) -> str:
    """An answer for people: nothing in it acts on a terminal, not even colours."""
    return screen.prose(whole_of(answer))


def whole_of(answer: object) -> str:
    """An answer as a text, as it is."""
    return answer if isinstance(answer, str) else "" if answer is None else as_json(answer)


def with_files(text: str, files: Sequence[str]) -> Question:
    """A question with files: texts behind it, each below its name, and pictures. Ended for what is neither, or too much."""
    texts, pictures, size, whole = [text], list[dict[str, object]](), 0, 0
    for path in files:
        try:
            with named_files.opened(path) as file:
                content = file.read(max(FILE_MOST, PICTURES_MOST) + 1)
        except OSError as error:
            raise named_files.unreadable(path, error) from None
        if kind := media(content):
            size += len(content)
            if size > PICTURES_MOST:
                why = f"the pictures of a question may have at most {PICTURES_MOST // 1024} KiB together"
                raise Ended(f"{path} is too much: {why}", Exit.USAGE)
            texts.append(f"[the picture {path}]")
            pictures.append({"type": "image", "media": kind, "content": content})
        else:
            texts.append(f"[the file {path}]\n{_text(path, content)}")
        if (whole := whole + len(content)) > FILES_MOST:
            why = f"the files of a question may have at most {FILES_MOST // 1024} KiB together"
            raise Ended(f"{path} is too much: {why}; let the Hand read it with files.read", Exit.USAGE)
    return Question(text="\n\n".join(texts), pictures=tuple(pictures))


def _text(path: str, content: bytes) -> str:
    if len(content) > FILE_MOST:
        raise Ended(f"{path} is longer than {FILE_MOST // 1024} KiB: let the Hand read it with files.read", Exit.USAGE)
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Ended(f"{path} is neither UTF-8 text nor a picture (PNG, JPEG, GIF or WebP)", Exit.USAGE) from None
