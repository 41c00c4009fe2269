"""What an agent's machine is told, and what it wants done (values only)."""

from msgspec import Struct

from runtime.agent.skills import Known
from runtime.models.messages import Message, Request, Task, Usage


class Brief(Struct, frozen=True, kw_only=True):
    """What an agent is: of [agent], its files and its run. schema: of its answers, None for text. task: for drivers without a
    language model.

    steps, tokens, micro_dollars: what it may use at most, 0 where nothing bounds the last two. window: tokens of a request
    and its answer, 0 where it is to be found out. delegates: Hands that it may begin runs of. skills: that it may read;
    can_place: whether their files may be laid where a shell works. sees: its model takes pictures, as far as is known.
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
    sees: bool = True


class Recalled(Struct, frozen=True, kw_only=True):
    """What memory recalled of the task. at: where in it stands what was found."""

    text: str
    labels: tuple[str, ...] = ()
    at: int = 0


class Returned(Struct, frozen=True, kw_only=True):
    """How a call ended. code: "" when it was done, and then value is its reply. ours: its text is the kernel's own."""

    value: object = None
    code: str = ""
    text: str = ""
    ours: bool = False
    labels: tuple[str, ...] = ()
    tokens: int = 0
    micro_dollars: int = 0


class Think(Struct, frozen=True, kw_only=True):
    """Ask the model. tokens, micro_dollars: what that may cost, 0 where nothing bounds it.

    after: so many seconds at most, and half of them at least, so that many who wait do not ask all at once.
    """

    request: Request
    tokens: int = 0
    micro_dollars: int = 0
    after: int = 0


class Make(Struct, frozen=True, kw_only=True):
    """Make a call. number: by which its end is told. tokens, micro_dollars: as of Think.

    among: how many runs of other Hands are begun at once, this one with them.
    """

    number: int
    method: str
    resource: str
    arguments: dict[str, object]
    tokens: int = 0
    micro_dollars: int = 0
    among: int = 1


class Step(Struct, frozen=True, kw_only=True):
    """Tell people what happens. what: a row of docs/agents.md; number: the step, 0 before the first."""

    what: str
    number: int
    text: str


Action = Think | Make | Step


class Result(Struct, frozen=True, kw_only=True):
    """The one end. code: "" when it is done, else why it ended before, in words in `why`.

    tokens, micro_dollars: of its model, its tools, and those who worked for it. usage: of its model.
    answer: what was answered, of the schema if there is one; of work that is not done, what was said last. made: the calls
    that were made, a line each. session: all messages of this conversation, those that were given among them.
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
