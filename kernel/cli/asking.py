"""One question to a Hand that thinks (acts): its run, and what it answers. Shared by `ask` and `chat`."""

from collections.abc import Sequence

from msgspec import Struct

from kernel.cli import screen, told
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, as_json
from kernel.cli.run_waiting import waited
from kernel.cli.start import Started
from kernel.cli.words import Words
from wire.entries import Cost

DEFAULT: str = "assistant"
FILE_MOST: int = 256 * 1024
"""Bytes of a file that goes with a question."""


class Answered(Struct, frozen=True, kw_only=True):
    """What a run of a Hand with [agent] returns."""

    answer: object
    steps: int = 0
    micro_dollars: int = 0
    notes: tuple[str, ...] = ()


def begun(
    client: Client, hand: str, task: str, session: Sequence[object] | None = None, most: Cost | None = None
) -> str:
    """The run of a question. session: the conversation before it."""
    inputs: dict[str, object] = {"task": task} | ({} if session is None else {"session": list(session)})
    return told.read(client.call("kernel.start", hand, {"inputs": inputs}, seconds=120, most=most).value, Started).run


def outcome(session: Session, client: Client, run: str, words: Words | None = None) -> told.Outcome:
    """How it ended; what is to be known of the answer is said on stderr. Ctrl-C takes the question back."""
    try:
        ended = told.read(waited(session, client, run, words).value, told.Outcome)
    except KeyboardInterrupt:
        with session.client() as other:  # the first one is in the middle of an answer
            other.call("kernel.stop", run, seconds=120)
        raise
    for note in answered(ended).notes:
        session.say(screen.visible(note))
    return ended


def answered(ended: told.Outcome) -> Answered:
    """What it answered; of a Hand without [agent], what it returned."""
    value = ended.value
    return told.read(value, Answered) if isinstance(value, dict) and "answer" in value else Answered(answer=value)


def text_of(answer: object) -> str:
    """An answer for people: nothing in it acts on a terminal, not even colours."""
    text = answer if isinstance(answer, str) else "" if answer is None else as_json(answer)
    return "\n".join(map(screen.visible, text.split("\n")))


def with_files(text: str, files: Sequence[str]) -> str:
    """A question with texts of files behind it, each below its name. Ended for what is no text, or too long."""
    parts = [text]
    for path in files:
        try:
            with open(path, "rb") as file:
                content = file.read(FILE_MOST + 1)
            if len(content) > FILE_MOST:
                raise Ended(
                    f"{path} is longer than {FILE_MOST // 1024} KiB: let the Hand read it by files.read", Exit.USAGE
                )
            parts.append(f"[the file {path}]\n{content.decode()}")
        except OSError as error:
            raise Ended(f"{path} cannot be read: {error.strerror}", Exit.USAGE) from None
        except UnicodeDecodeError:
            raise Ended(f"{path} is no text in UTF-8", Exit.USAGE) from None
    return "\n\n".join(parts)
