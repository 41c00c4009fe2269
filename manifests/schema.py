"""A HAND.toml as values: what the checker returns and the kernel keeps in its snapshot (pure).

Separate from check.py, so that a kernel which starts from a snapshot imports no TOML reader.
Every duration is an integer of milliseconds and ends in `_ms`; every size is an integer of bytes. What each key means
stands in reference.py, one row per key; a test holds the two together.
"""

from functools import lru_cache
from typing import Final, Literal, TypeAlias

import msgspec

from manifests.values import LIMITS
from wire.entries import Cost

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
    """[hand]: who it is and how it runs. Exactly one of entry, command, wasm and pipeline says what its code is, or
    none of them does, and [agent] says how it thinks.
    speaks: what a command understands: the lines of docs/command.md, or the Model Context Protocol on its standard streams.
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

    own: a service may use it whoever its caller is (otherwise a call made while answering also needs the caller's
    grant). lent: it is there for the runs that the Hand spawns, and for no call of its own. approval: each call waits for
    the operator's yes (True), or for nobody's (False); None: as its autonomy says.
    """

    method: str
    allow: tuple[str, ...]
    own: bool = False
    lent: bool = False
    approval: bool | None = None


class Provided(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[provides."x.y"]: one method that the Hand answers. most: what a call costs at most whose caller does not say.

    asks: it is a question to the operator, so each call of it waits for him, whoever calls and whatever is granted.
    schemas: by param, what a model is told of it besides its type.
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
    """[events]: `publishes` without the Hand's own name in front, `subscribes` with the publisher's."""

    publishes: tuple[str, ...] = ()
    subscribes: tuple[str, ...] = ()


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[limits]: per run; for a service `cpu_ms` and `wall_ms` hold per call, fuel always does. memory, file_size and disk
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
    """[confinement]: roots = the operator's granted roots are opened for a service as directory descriptors.

    require: layers without which it does not start. network: `host` leaves it the machine's. outside_read: paths.
    programs: it may start the system's. scratch: `caller` lets a run that answers a call work in its caller's.
    """

    roots: bool = False
    require: tuple[str, ...] = ()
    network: Network = "none"
    outside_read: tuple[str, ...] = ()
    programs: bool = False
    scratch: Scratch = "own"


class Allowance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be spent in each window of one kind: tokens, or micro-dollars."""

    amount: int
    window: Window


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[budget]: all of its allowances hold at once; without one of a unit, nothing bounds that unit."""

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
"""Where a run finds programs, and so where those that it requires are looked for."""

CERTIFICATES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where systems keep the certificates that they trust, in one file."""


class Requires(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[requires]: programs that must be in PROGRAM_FOLDERS, and variables that must be set for the kernel, before a start."""

    binaries: tuple[str, ...] = ()
    env: tuple[str, ...] = ()


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[schedule]: exactly one of cron, every_ms, at and on says when; what the others mean stands in firings.py.

    at: wall time of the zone. where: by the path of a value in the event's body, what it must be. quiet: spans of a day.
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
    """[agent]: how a Hand thinks that has no code. model: the resource of its calls of model.complete.

    playbook, schema, task: files of its folder, "" for none. steps: answers of the model. tokens, dollars: what all of
    them may cost, 0 where nothing but its budget bounds that; dollars in micro-dollars. window: tokens of a request, 0
    where the model's own is to be found out.
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
    """The manifest as JSON, for the kernel's snapshot."""
    return _encoder().encode(manifest)


def decode(encoded: bytes) -> Manifest:
    """What `encode` wrote; msgspec.ValidationError or DecodeError when it is something else."""
    return _decoder().decode(encoded)


@lru_cache(maxsize=1)
def _encoder() -> msgspec.json.Encoder:
    return msgspec.json.Encoder()


@lru_cache(maxsize=1)
def _decoder() -> "msgspec.json.Decoder[Manifest]":
    return msgspec.json.Decoder(Manifest)
