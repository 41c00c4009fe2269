"""The types of a checked HAND.toml, which check.py returns and the kernel stores in its snapshot (pure).

Separate from check.py, so that a kernel which starts from a snapshot imports no TOML reader.
Every duration is an integer of milliseconds and ends in `_ms`; every size is an integer of bytes. reference.py documents
each key, one row per key; a test holds the two together.
"""

from functools import lru_cache
from typing import Final, Literal, TypeAlias

import msgspec

from manifests.values import LIMITS
from wire.amounts import Cost

RunKind: TypeAlias = Literal["task", "service"]
Autonomy: TypeAlias = Literal["readonly", "supervised", "full"]
Isolation: TypeAlias = Literal["fork", "exec"]
ResourceKind: TypeAlias = Literal["none", "name", "path", "url", "address", "namespace", "model"]
Effect: TypeAlias = Literal["read", "write", "external"]
Network: TypeAlias = Literal["none", "host"]
Speaks: TypeAlias = Literal["lines", "mcp"]
Scratch: TypeAlias = Literal["own", "caller"]
RestartWhen: TypeAlias = Literal["never", "failure", "always"]
Window: TypeAlias = Literal["hour", "day", "month"]
Missed: TypeAlias = Literal["skip", "latest", "all"]
Overlap: TypeAlias = Literal["skip", "queue", "replace"]
OnUpgrade: TypeAlias = Literal["finish", "restart", "ask"]
SettingType: TypeAlias = Literal["string", "int", "float", "bool", "duration", "size", "list", "dict"]

READ: Final[Effect] = "read"
ASK: Final[OnUpgrade] = "ask"


class HandSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[hand]: its identity and how it runs. Exactly one of entry, command, wasm and pipeline names its code; a Hand with
    an [agent] has none of them.
    speaks: the protocol of a command on its standard streams: the lines of docs/command.md, or MCP.
    """

    name: str
    version: str
    description: str
    kind: RunKind
    autonomy: Autonomy
    entry: str = ""
    command: tuple[str, ...] = ()
    speaks: Speaks = "lines"
    wasm: str = ""
    pipeline: str = ""
    isolation: Isolation = "fork"
    autostart: bool = False
    idle_ms: int = 60_000
    needs: tuple[str, ...] = ()
    on_upgrade: OnUpgrade = ASK


class Capability(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A method pattern and the resource patterns it may be used on; an empty `allow` covers nothing.

    own: a service may use it for any caller (otherwise a call made while answering also needs the caller's grant).
    lent: only runs that the Hand spawns may use it, not the Hand itself. approval: whether each call waits for the
    operator's approval; None: the Hand's autonomy decides.
    """

    method: str
    allow: tuple[str, ...]
    own: bool = False
    lent: bool = False
    approval: bool | None = None


class Provided(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[provides."x.y"]: one method that the Hand answers. most: the most a call may cost if its caller sets no `most`.

    asks: each call is a question to the operator and waits for the answer, whoever calls and whatever is granted.
    schemas: by param, the JSON Schema keywords that models get besides its type.
    """

    method: str
    summary: str
    resource: ResourceKind
    effect: Effect
    idempotent: bool = False
    asks: bool = False
    most: Cost | None = None
    labels: tuple[str, ...] = ()
    params: dict[str, str] = {}
    schemas: dict[str, dict[str, object]] = {}
    returns: dict[str, str] = {}


class Events(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[events]: names in `publishes` omit the Hand's own name, those in `subscribes` begin with the publisher's."""

    publishes: tuple[str, ...] = ()
    subscribes: tuple[str, ...] = ()


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[limits] per run; `fuel` is per call, and so are `cpu_ms` and `wall_ms` of a service. memory, file_size and disk
    in bytes."""

    memory: int = LIMITS["memory"].default
    cpu_ms: int = LIMITS["cpu"].default
    wall_ms: int = LIMITS["wall"].default
    processes: int = LIMITS["processes"].default
    open_files: int = LIMITS["open_files"].default
    file_size: int = LIMITS["file_size"].default
    disk: int = LIMITS["disk"].default
    calls_per_minute: int = LIMITS["calls_per_minute"].default
    in_flight: int = LIMITS["in_flight"].default
    fuel: int = LIMITS["fuel"].default


class Restart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[restart]: more than `times` restarts within `within_ms` quarantine the Hand."""

    when: RestartWhen = "failure"
    times: int = 5
    within_ms: int = 60_000


class Confinement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[confinement]. roots: a service gets the operator's roots that it was granted, as open directory descriptors.

    require: layers without which the Hand does not start. network: `host` shares the machine's network. outside_read:
    paths. programs: it may run the system's programs. scratch: with `caller`, it works in its caller's scratch folder.
    """

    roots: bool = False
    require: tuple[str, ...] = ()
    network: Network = "none"
    outside_read: tuple[str, ...] = ()
    programs: bool = False
    scratch: Scratch = "own"


class Allowance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The most that may be spent per window, in tokens or micro-dollars."""

    amount: int
    window: Window


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[budget]: all allowances apply at once. A unit without an allowance is unlimited."""

    tokens: tuple[Allowance, ...] = ()
    dollars: tuple[Allowance, ...] = ()


class Setting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[settings.x]: one typed setting. default, choices, min and max are values as settings.py delivers them
    (a duration in seconds, a size in bytes); default None means that there is none."""

    type: SettingType
    required: bool = False
    default: object = None
    help: str = ""
    secret: bool = False
    choices: tuple[str | int, ...] = ()
    min: float | int | None = None
    max: float | int | None = None


PROGRAM_FOLDERS: Final = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin")
"""The PATH of a run, in which [requires] looks for programs."""

CERTIFICATES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where Linux distributions keep the bundle of certificate authorities that they trust."""


class Requires(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[requires]: programs that must be in PROGRAM_FOLDERS, and variables that must be set for the kernel, before a start."""

    binaries: tuple[str, ...] = ()
    env: tuple[str, ...] = ()


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[schedule]: exactly one of cron, every_ms, at and on says when; firings.py explains the other keys.

    at: wall-clock time of the timezone. where: required values in the event's body, by path. quiet: spans of a day.
    """

    cron: str = ""
    every_ms: int = 0
    at: str = ""
    on: str = ""
    where: dict[str, object] = {}
    timezone: str = "UTC"
    missed: Missed = "latest"
    overlap: Overlap = "skip"
    jitter_ms: int = 0
    quiet: tuple[str, ...] = ()
    inputs: dict[str, object] = {}


class Agent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[agent]: the agent loop of a Hand without code. model: the resource of its model.complete calls.

    playbook, schema, task: files in its folder, "" for none. steps: the most answers of the model in a run. tokens,
    dollars: the most that a run may spend, 0 if only its budget bounds it; dollars in micro-dollars. window: tokens of a
    request, 0 to use the model's own context window.
    """

    model: str
    playbook: str = ""
    schema: str = ""
    task: str = ""
    steps: int = 40
    tokens: int = 0
    dollars: int = 0
    window: int = 0


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole HAND.toml, checked."""

    hand: HandSection
    agent: Agent | None = None
    capabilities: tuple[Capability, ...] = ()
    lends: tuple[Capability, ...] = ()
    provides: dict[str, Provided] = {}
    events: Events = Events()
    limits: Limits = Limits()
    budget: Budget = Budget()
    restart: Restart = Restart()
    confinement: Confinement = Confinement()
    schedule: Schedule | None = None
    settings: dict[str, Setting] = {}
    requires: Requires = Requires()


def encode(manifest: Manifest) -> bytes:
    """Encode the manifest as JSON, for the kernel's snapshot."""
    return _encoder().encode(manifest)


def decode(encoded: bytes) -> Manifest:
    """Decode what `encode` wrote. Raises msgspec.ValidationError or DecodeError for anything else."""
    return _decoder().decode(encoded)


@lru_cache(maxsize=1)
def _encoder() -> msgspec.json.Encoder:
    return msgspec.json.Encoder()


@lru_cache(maxsize=1)
def _decoder() -> "msgspec.json.Decoder[Manifest]":
    return msgspec.json.Decoder(Manifest)
