"""Judges an answer that calls no tool (pure): it is the final one, or has a fault that the model may be able to correct."""

from collections.abc import Mapping

from msgspec import Struct

from runtime.models.messages import Answer, Stop
from runtime.models.schemas import correction, read


class Finished(Struct, frozen=True, kw_only=True):
    """A final answer: a text, or a value of the schema."""

    value: object


class Fault(Struct, frozen=True, kw_only=True):
    """Why an answer is not final. code: of the run's end if that stays so. correction: for the model, "" if none helps."""

    code: str
    why: str
    correction: str = ""


def judge(answer: Answer, schema: Mapping[str, object] | None) -> Finished | Fault:
    """Return the final answer, checked against the schema if there is one, or the fault."""
    text = answer.text
    if answer.stop is Stop.REFUSED:
        return Fault(code="refused", why=text.strip() or "the model refused")
    if answer.stop is Stop.LENGTH:
        say = (
            "Your answer was too long and was cut off; a tool call that you were writing then was not made. Answer again, "
            "more briefly; what is long, such as a file, needs several calls."
        )
        return Fault(code="length", why="the model's answer was cut off at its length limit", correction=say)
    if not text.strip():
        say = "Your answer was empty. Continue with the task, or give your final answer."
        return Fault(code="empty", why="the model's answer was empty", correction=say)
    if schema is None:
        return Finished(value=text)
    if answer.value is not None:
        return Finished(value=answer.value)
    checked = read(text, dict(schema))
    if checked.problems:
        why = f"the model's answer does not match the schema: {checked.problems[0]}"
        return Fault(code="schema", why=why, correction=correction(checked.problems))
    return Finished(value=checked.value)
