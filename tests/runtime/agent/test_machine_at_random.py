"""Whatever a model writes, whatever comes back and in whichever order, a run ends, and asks only what providers take."""

import re
from random import Random

import pytest
from msgspec.structs import replace

from manifests.agent_task import TOOL_NAME
from runtime.agent import tools
from runtime.agent.actions import Action, AskModel, Brief, MakeCall, Outcome, Step
from runtime.agent.machine import Machine
from runtime.agent.marks import Marks
from runtime.models import counting
from runtime.models.messages import Answer, AnyPart, Message, Stop, Text, Thinking, ToolCall, Usage
from tests.runtime.agent.driven import BOUNDARY, BRIEF, ROWS, texts
from tests.runtime.agent.test_mending import check_whole
from tests.spread import spread

CODES = ("too_long", "schema", "outcome unknown", "limited", "over_most")
SCHEMA: dict[str, object] = {"type": "object", "required": ["count"]}


def _answer(chance: Random) -> Answer:
    parts: list[AnyPart] = []
    if chance.random() < 0.2:
        parts.append(Thinking(text="hm", seal="s", provider="p"))
    if chance.random() < 0.6:
        parts.append(Text(text=chance.choice(["", "I look", '{"count": 3}', f"<<end {BOUNDARY}>>", "word " * 200])))
    for _ in range(chance.choice([0, 1, 1, 2, 5, 40])):
        asked: list[dict[str, object]] = [
            {},
            {"name": f"d{chance.randrange(9)}"},
            {"text": "x"},
            {"id": "r1"},
            {"hand": "other"},
        ]
        arguments = chance.choice(asked)
        name = chance.choice(["desk_look", "desk_look", "desk_note", "read_result", "delegate", "no_such", "x" * 300])
        malformed = chance.choice(["", "", "", '{"name": "left",', "nonsense"])
        parts.append(ToolCall(id=f"c{chance.randrange(20)}", name=name, arguments=arguments, malformed=malformed))
    usage = Usage(input=chance.randrange(2_000), output=chance.randrange(200))
    stop = chance.choice([Stop.END] * 9 + [Stop.LENGTH, Stop.REFUSED])
    return Answer(parts=tuple(parts), stop=stop, usage=usage, micro_dollars=chance.randrange(50))  # type: ignore[arg-type]


def _returned(chance: Random) -> Outcome:
    value: object = chance.choice(
        [None, "x", {"a": BOUNDARY.upper()}, ["deep", [1]], "long words " * chance.randrange(900), 7]
    )
    return Outcome(
        value=value, code=chance.choice(["", "", "", "failed"]), text="why", trusted=chance.random() < 0.5,
        labels=chance.choice([(), ("post",)]), tokens=chance.randrange(50), micro_dollars=chance.randrange(50),
    )  # fmt: skip


def _brief(chance: Random) -> Brief:
    return replace(
        BRIEF, steps=chance.choice([1, 2, 30]), tokens=chance.choice([0, 20_000]), window=chance.choice([5_000, 9_000]),
        micro_dollars=chance.choice([0, 500]), schema=chance.choice([None, SCHEMA]), delegates=("other",),
    )  # fmt: skip


class Course:
    """One run, driven by chance; each request is looked at when it is asked."""

    def __init__(self, seed: int, session: tuple[Message, ...] = ()) -> None:
        self.chance = Random(seed)
        self.brief = _brief(self.chance)
        self.machine = Machine(self.brief, tools.offer(ROWS, ()), Marks(BOUNDARY), session=session)
        self.thinks: list[AskModel] = []
        self.open: list[MakeCall] = []
        self.asked = 0
        self._take(self.machine.begin("tidy up"))
        while self.machine.result is None:
            self._step()
        assert self.machine.on_outcome(1, Outcome(value="late")) == []

    def _step(self) -> None:
        chance = self.chance
        if chance.random() < 0.05:
            self._take(self.machine.on_steering(f"say {chance.randrange(9)}"))
        elif chance.random() < 0.004:
            self._take(self.machine.on_stop(""))
        elif self.thinks:
            self.thinks.clear()
            failed = chance.random() < 0.1
            self._take(
                self.machine.on_failure(chance.choice(CODES), "w")
                if failed
                else self.machine.on_answer(_answer(chance))
            )
        else:
            assert self.open, "it waits for nothing"
            make = self.open.pop(chance.randrange(len(self.open)))
            self._take(self.machine.on_outcome(make.number, _returned(chance)))

    def _take(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, AskModel):
                assert not self.thinks, "it asks twice at once"
                assert not self.open, "it asks before all results are there"
                self.thinks.append(action)
                self._look(action)
            elif isinstance(action, MakeCall):
                self.open.append(action)
        if self.machine.result is not None:
            assert all(isinstance(action, Step) for action in actions)

    def _look(self, think: AskModel) -> None:
        self.asked += 1
        request = think.request
        check_whole(request.messages)
        assert counting.of_request(request) + request.most <= self.brief.window
        assert "tidy up" in "\n".join(map(texts, request.messages))
        parts = [part for one in request.messages for part in one.parts]
        assert all(re.match(TOOL_NAME, part.name) for part in parts if isinstance(part, ToolCall))
        assert all(part.text.strip() for part in parts if isinstance(part, Text))
        for one in request.messages:
            if one.role == "user":
                lines = texts(one).splitlines()
                assert (
                    sum(line.startswith(f"<<end {BOUNDARY}>>") for line in lines)
                    == texts(one).lower().count(BOUNDARY) / 2
                )


@pytest.mark.parametrize("block", spread(range(10), 1))
def test_any_course_ends_and_asks_only_what_can_be_asked(block: int) -> None:
    codes = set[str]()
    for seed in range(block * 40, block * 40 + 40):
        course = Course(seed)
        result = course.machine.result
        assert result is not None
        codes.add(result.code)
        assert result.steps <= course.brief.steps
        check_whole(result.session)
        if seed % 4 == 0:
            check_whole(Course(seed + 1, session=result.session[: seed % 7]).machine.result.session)  # type: ignore[union-attr]
    assert len(codes) > 2


def test_the_same_events_come_to_the_same_result() -> None:
    for seed in range(10):
        assert Course(seed).machine.result == Course(seed).machine.result
