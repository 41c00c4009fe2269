"""Drives an agent's machine by a script of answers, with methods that are functions, and keeps what it asked and told."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from manifests.schema import Capability
from runtime.agent import tools
from runtime.agent.actions import Action, AskModel, Brief, MakeCall, Outcome, Result, Step
from runtime.agent.machine import Machine
from runtime.agent.marks import Marks
from runtime.models.messages import Answer, Message, Request, Stop, Text, ToolCall, ToolResult, Usage

BOUNDARY = "0123456789abcdef" * 2
BRIEF = Brief(name="tidy", description="Tidies up.", playbook="Look first.")
ROWS = (
    tools.Row(method="desk.look", summary="What lies there", resource="name", effect="read", params={"size": "int?"}),
    tools.Row(method="desk.note", summary="Write", resource="none", effect="write", params={"text": "string"}),
    tools.Row(method="model.complete", summary="Think", resource="model", effect="read"),
    tools.Row(method="kernel.note", summary="Tell", resource="none", effect="read"),
)

Method = Callable[[MakeCall], Outcome]


def call(name: str, /, **arguments: object) -> ToolCall:
    """A tool that is asked for; its id is made from what it asks."""
    return ToolCall(id=f"{name}-{len(str(arguments))}", name=name, arguments=arguments)


def says(text: str = "", *calls: ToolCall, stop: Stop | None = None, used: int = 10) -> Answer:
    """An answer of the model."""
    texts = (Text(text=text),) if text else ()
    usual = Stop.TOOL if calls else Stop.END
    return Answer(parts=(*texts, *calls), stop=stop or usual, usage=Usage(output=used), model="scripted/script")


def looks(name: str = "left") -> Answer:
    return says("", call("desk_look", name=name))


def there(make: MakeCall) -> Outcome:
    """What each method answers, if a test does not say otherwise."""
    return Outcome(value={"text": f"{make.method} {make.resource} {make.arguments}"})


def texts(message: Message) -> str:
    """All text of a message, that of results too."""
    found = []
    for part in message.parts:
        if isinstance(part, Text):
            found.append(part.text)
        elif isinstance(part, ToolResult):
            found += [one.text for one in part.content if isinstance(one, Text)]
    return "\n".join(found)


class Drive:
    """One machine, driven until its script is over or it has a result. reorder: in which order calls of a turn return."""

    def __init__(
        self, answers: Iterable[Answer | tuple[str, str]], *, brief: Brief = BRIEF, method: Method = there,
        session: Sequence[Message] = (), reorder: bool = False, task: str = "tidy up",
        capabilities: Sequence[Capability] = (), meanwhile: Mapping[int, str] | None = None,
    ) -> None:  # fmt: skip
        """answers: or a code and text with which the model fails. meanwhile: what is said while it thinks, by the request."""
        self.machine = Machine(brief, tools.offer(ROWS, capabilities), Marks(BOUNDARY), session=tuple(session))
        self.asked: list[Request] = []
        self.thinks: list[AskModel] = []
        self.steps: list[Step] = []
        self.makes: list[list[MakeCall]] = []
        self._method, self._reorder, self._said = method, reorder, dict(meanwhile or {})
        self._answers = iter(answers)
        self._go(self.machine.begin(task))

    @property
    def result(self) -> Result:
        assert self.machine.result is not None, "it has not ended"
        return self.machine.result

    @property
    def last(self) -> str:
        """The text of the last message of the last request."""
        return texts(self.asked[-1].messages[-1])

    def _go(self, actions: list[Action]) -> None:
        left = list(actions)
        while left:
            self.steps += [one for one in left if isinstance(one, Step)]
            makes = [one for one in left if isinstance(one, MakeCall)]
            thinks = [one for one in left if isinstance(one, AskModel)]
            left = []
            if makes:
                self.makes.append(makes)
            for make in reversed(makes) if self._reorder else makes:
                left += self.machine.on_outcome(make.number, self._method(make))
            for think in thinks:
                self.asked.append(think.request)
                self.thinks.append(think)
                left += self._answered()

    def _answered(self) -> list[Action]:
        answer = next(self._answers, None)
        said = self._said.get(len(self.asked))
        before = [] if said is None else self.machine.on_steering(said)
        if answer is None:
            return before
        if isinstance(answer, tuple):
            return before + self.machine.on_failure(*answer)
        return before + self.machine.on_answer(answer)
