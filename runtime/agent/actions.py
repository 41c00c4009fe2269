"""Values that pass between an agent's machine, which decides, and its Hand, which acts (values only)."""

from msgspec import Struct

from manifests.agent_task import Task
from runtime.agent.skills import Known
from runtime.models.messages import Message, Request, Usage


class Brief(Struct, frozen=True, kw_only=True):
    """What a run starts from: its [agent] section, its files and its grants. schema: of the answer, None for text.

    task: what a driver without a language model does. steps: the most answers of the model. tokens, micro_dollars: the
    most the run may use, 0 for no bound. window: tokens of one request with its answer, 0 to take the model's.
    delegates: Hands it may spawn. skills: those it may read; can_place: their files may be written where its shell
    works. takes_pictures: its model accepts pictures, as far as is known.
    """

    name: str
    description: str
    playbook: str = ""
    schema: dict[str, object] | None = None
    task: Task | None = None
    steps: int = 40
    tokens: int = 0
    micro_dollars: int = 0
    window: int = 0
    delegates: tuple[str, ...] = ()
    skills: tuple[Known, ...] = ()
    can_place: bool = False
    takes_pictures: bool = True


class Recalled(Struct, frozen=True, kw_only=True):
    """A text that memory recalled for the task. at: where in it the match begins, in characters."""

    text: str
    labels: tuple[str, ...] = ()
    at: int = 0


class Outcome(Struct, frozen=True, kw_only=True):
    """How a call ended. code: "" if it succeeded, and value is the reply; else text says why it failed.

    trusted: the kernel or this runtime wrote the text of the failure, so it needs no marks.
    """

    value: object = None
    code: str = ""
    text: str = ""
    trusted: bool = False
    labels: tuple[str, ...] = ()
    tokens: int = 0
    micro_dollars: int = 0


class AskModel(Struct, frozen=True, kw_only=True):
    """Ask the model. tokens, micro_dollars: the most that may cost, 0 for no bound.

    pause: seconds to wait first, at most; the Hand draws between half of it and all of it, so that runs that wait for
    one model do not all ask at once.
    """

    request: Request
    tokens: int = 0
    micro_dollars: int = 0
    pause: int = 0


class MakeCall(Struct, frozen=True, kw_only=True):
    """Make a call. number: identifies its Outcome. tokens, micro_dollars: as in AskModel.

    spawned_together: how many runs of other Hands are begun at once, this one included.
    """

    number: int
    method: str
    resource: str
    arguments: dict[str, object]
    tokens: int = 0
    micro_dollars: int = 0
    spawned_together: int = 1


class Step(Struct, frozen=True, kw_only=True):
    """Report to people what happens. what: a row of docs/agents.md; number: answers of the model so far."""

    what: str
    number: int
    text: str


Action = AskModel | MakeCall | Step


class Result(Struct, frozen=True, kw_only=True):
    """How a run ended. code: "" if the task is done, else the reason; why: the reason in words.

    answer: a text, or a value of the schema; of unfinished work, the model's last text. usage: of its model. tokens,
    micro_dollars: of its model, its tools and the runs it delegated to. made: one line per call. session: all messages
    of the conversation, those given to the run included.
    """

    answer: object = None
    code: str = ""
    why: str = ""
    steps: int = 0
    usage: Usage = Usage()
    tokens: int = 0
    micro_dollars: int = 0
    models: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    session: tuple[Message, ...] = ()
