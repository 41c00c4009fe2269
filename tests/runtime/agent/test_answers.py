"""What an answer without a call comes to: the last one, or what is wrong with it and what mends it."""

import pytest

from runtime.agent.answers import Fault, Finished, judge
from runtime.models.messages import Answer, Stop, Text

NUMBER = {"type": "integer"}


def _answer(text: str, stop: Stop = Stop.END, value: object = None) -> Answer:
    return Answer(parts=(Text(text=text),), stop=stop, value=value)


@pytest.mark.parametrize(
    ("answer", "schema", "found"),
    [
        (_answer("done"), None, Finished(value="done")),
        (_answer("7"), NUMBER, Finished(value=7)),
        (_answer("about 7", value=7), NUMBER, Finished(value=7)),
        (_answer(" no. ", Stop.REFUSED), None, Fault(code="refused", why="no.")),
        (_answer(" ", Stop.REFUSED), NUMBER, Fault(code="refused", why="the model refused")),
    ],
)
def test_what_an_answer_comes_to(answer: Answer, schema: dict[str, object] | None, found: Finished | Fault) -> None:
    assert judge(answer, schema) == found


@pytest.mark.parametrize(
    ("answer", "code", "say"),
    [
        (
            _answer("7", Stop.LENGTH),
            "length",
            "a tool call that you were writing then was not made. Answer again, more briefly",
        ),
        (_answer(" \n"), "empty", "Your answer was empty"),
        (_answer('"seven"'), "schema", 'does not match "type": "integer"'),
    ],
)
def test_what_is_no_answer_is_told_with_what_mends_it(answer: Answer, code: str, say: str) -> None:
    found = judge(answer, NUMBER)
    assert isinstance(found, Fault)
    assert found.code == code
    assert say in found.correction
