"""Packets between kernel, template and a run's process before the run joins the bus (pure).

The template never sees the launch packet: it knows a run only as a number and a descriptor. Both conversations go over
SOCK_SEQPACKET pairs, so that a packet and its descriptors (SCM_RIGHTS) arrive whole.

    kernel → template   Fork, with the run's end of its own descriptor; Sweep; Trim; Measure
    template → kernel   Warm, once; Born, with the run's pidfd; Grouped; Died; Measured

and then, over the run's own descriptor:

    kernel → run   Launch, with the descriptors that `descriptors` names, in that order
    run → kernel   Joining: the public half of the CURVE key pair that it made for itself
    kernel → run   Go: the bus knows that key
    run → kernel   Confined: it is on the bus, every layer is applied, and no byte of the Hand's code has run
    kernel → run   Go: it is in its control group too, and the Hand's code may begin
    run → kernel   Unfit: the run ends here instead, and why (an altered file, a layer that could not be applied)
"""

from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from wire.canonical import READ_ERRORS
from wire.errors import CodecError

PACKET_MAX: Final = 160 * 1024
"""Largest packet, in bytes: below the usual socket buffer, since a packet is sent whole or not at all."""


class Fork(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="fork"):
    """Sent by the kernel with one descriptor. Answered with Born, later with Died. isolated: exec an interpreter of its own.

    usual: it needs the namespaces that most runs have, so the spare may become this run. memory: bytes that all its processes
    may use together.
    """

    number: int
    isolated: bool
    usual: bool
    memory: int


class Sweep(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="sweep"):
    """Sent by the kernel with one descriptor, a folder: remove `name` in it with all it holds. Not answered."""

    name: str


class Trim(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="trim"):
    """Sent by the kernel with one or two descriptors: a file of output that is too long, and the one where its end is kept,
    if that can be opened. file_size: the Hand's limit, in bytes. Not answered.
    """

    file_size: int


class Bound(Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True):
    """Limits of one run. folders: how many of the descriptors are its own; most: bytes of its folders, less than 0 if its
    tape alone takes more. memory: bytes of its processes, of which more are resident, so that what they share must be known;
    0 if that need not be looked at.
    """

    number: int
    folders: int
    most: int
    memory: int = 0


class Measure(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="measure"):
    """Sent by the kernel with descriptors of folders, those of the first run first. Answered with Measured for each run
    whose folders or memory take more than they may, or that holds too many locks; for none, if no process can be made for it.
    """

    runs: tuple[Bound, ...]


Excess: TypeAlias = Literal["disk", "memory", "locks"]
"""What a run has too much of: bytes on disk in its own folders, bytes of memory, or locks on parts of files."""


class Measured(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="measured"):
    """Sent by the template: a run takes more than it may. excess: of what."""

    number: int
    excess: Excess


class Warm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="warm"):
    """Sent by the template twice: by the process that was exec'd, with the pidfd of process 1; by that when it can fork."""

    pid: int


class Born(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="born"):
    """Sent by the template with one descriptor, the pidfd, opened before the process could be reaped.

    pid: in the template's namespace. A fork that failed has pid 0, no descriptor, and says why.
    """

    number: int
    pid: int
    why: str = ""


class Grouped(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="grouped"):
    """Sent by the template when a run is in its control group, if the machine has control groups.

    why: the reason why it cannot be, for which the kernel ends the run; empty if it is.
    """

    number: int
    why: str = ""


class Died(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="died"):
    """Sent by the template when it has reaped a run. status: of waitpid; cpu: microseconds; memory: peak bytes.

    was_full: Linux killed one of its processes, since they used more memory than all of them may.
    """

    number: int
    status: int
    cpu: int
    memory: int
    was_full: bool


TemplatePacket: TypeAlias = Fork | Sweep | Trim | Measure | Measured | Warm | Born | Grouped | Died


class Rlimits(Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True):
    """Resource limits of a run's process. memory, file_size: bytes; cpu: seconds; processes: threads count too."""

    memory: int
    cpu: int
    processes: int
    open_files: int
    file_size: int


class Launch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="launch"):
    """Sent by the kernel first. Answered with Joining, or with Unfit.

    files: path → SHA-256 in hex of every file that the Hand's folder may hold, from its seal.
    manifest: the checked manifest as JSON; wire does not open it. descriptors: the names of the passed descriptors, such as
    `hand`, `bus`, `output`, `root:NAME`; `longer` and `aside` are output that the run trims, as Trim has it. scratch, state:
    paths of its own folders, which the run opens itself since it has mounts of its own; state is "" for a task run. uid: the
    host user id to take, None to keep the kernel's.
    require: layers that the home requires of every run. serve: the runtime's entry point, `module:function`, which the
    kernel's code does not know. artefact: SHA-256 in hex of the compiled WebAssembly module in the descriptor `artefact`, ""
    if there is none. clock: the start of the clock of a run that can resume, microseconds since 1970; 0 if its clock is the
    machine's.
    """

    run: str
    hand: str
    name: str
    version: str
    manifest: bytes
    files: dict[str, str]
    settings: dict[str, object]
    rlimits: Rlimits
    uid: int | None
    server_key: bytes
    seed: int
    serve: str
    scratch: str
    state: str
    require: tuple[str, ...]
    artefact: str = ""
    clock: int = 0
    descriptors: tuple[str, ...]


class Joining(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="joining"):
    """Sent by the run. Answered with Go. public: its CURVE key, 40 characters of Z85."""

    public: bytes


class Go(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="go"):
    """Sent by the kernel after Joining, when the bus knows the run's key, and after Confined."""


class Confined(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="confined"):
    """Sent by the run before any of its Hand's code runs. Answered with Go. applied, missing: layers, see
    manifests/confinement. landlock: the machine's ABI version of it, 0 for none.
    """

    applied: tuple[str, ...]
    missing: tuple[str, ...]
    landlock: int


class Unfit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="unfit"):
    """Sent by a run that cannot start. code: `altered` (a file is not as sealed), `confinement` (a required layer is
    missing), or `layer` (a layer that this machine has could not be applied).
    """

    code: str
    why: str


class Start(Struct, frozen=True, kw_only=True):
    """The argument that the confined child passes to the runtime function named by `Launch.serve`; never sent.

    code: path → the very bytes that were hashed; place: where they are mounted instead, for a Hand that is a program.
    artefact: a WASM Hand's compiled module, hashed too. descriptors: name → number. public, secret: the run's CURVE keys
    (Z85). That function joins the bus, and when Hello is answered returns a function that runs the Hand and returns the
    process's exit code. Between the two calls the last layer of confinement is applied.
    """

    launch: Launch
    code: dict[str, bytes]
    place: str = ""
    descriptors: dict[str, int]
    public: bytes
    secret: bytes
    artefact: bytes = b""


Packet: TypeAlias = Launch | Joining | Go | Confined | Unfit
_decoder: Final[msgspec.msgpack.Decoder[Packet]] = msgspec.msgpack.Decoder(Packet)
_template_decoder: Final[msgspec.msgpack.Decoder[TemplatePacket]] = msgspec.msgpack.Decoder(TemplatePacket)


def encode(packet: Packet | TemplatePacket) -> bytes:
    """Encode a packet. Raises CodecError if it is larger than PACKET_MAX."""
    raw = msgspec.msgpack.encode(packet)
    if len(raw) > PACKET_MAX:
        raise CodecError(f"a launch packet is at most {PACKET_MAX} bytes, this one has {len(raw)}")
    return raw


def decode(raw: bytes) -> Packet:
    """Decode a packet between kernel and run. Raises CodecError if it is not one."""
    try:
        return _decoder.decode(raw)
    except READ_ERRORS as error:
        raise CodecError(f"not a launch packet: {error}") from None


def decode_template(raw: bytes) -> TemplatePacket:
    """Decode a packet between kernel and template. Raises CodecError if it is not one."""
    try:
        return _template_decoder.decode(raw)
    except READ_ERRORS as error:
        raise CodecError(f"not a template packet: {error}") from None
