"""Whether an answer that asks for no tool is the last one, or what is wrong with it (pure)."""

from collections.abc import Mapping

from msgspec import Struct

from runtime.models.messages import Answer, Stop
from runtime.models.schemas import correction, read


class Finished(Struct, frozen=True, kw_only=True):
    """What was answered: a text, or a value of the schema."""

    value: object


class Fault(Struct, frozen=True, kw_only=True):
    """Why an answer is none. code: the end that this is, if it stays so. say: what mends it, "" where nothing does."""

    code: str
    why: str
    say: str = ""


def judged(answer: Answer, schema: Mapping[str, object] | None) -> Finished | Fault:
    """What an answer comes to."""
    text = answer.text
    if answer.stop is Stop.REFUSED:
        return Fault(code="refused", why=text.strip() or "the model refuses")
    if answer.stop is Stop.LENGTH:
        say = "Your answer was cut off, it was too long. Answer again, shorter."
        return Fault(code="length", why="its answers are cut off", say=say)
    if not text.strip():
        return Fault(code="empty", why="the model answers nothing", say="You answered nothing. Go on, or answer.")
    if schema is None:
        return Finished(value=text)
    if answer.value is not None:
        return Finished(value=answer.value)
    checked = read(text, dict(schema))
    if checked.problems:
        why = f"its answers are not of its schema: {checked.problems[0]}"
        return Fault(code="schema", why=why, say=correction(checked.problems))
    return Finished(value=checked.value)
