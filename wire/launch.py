"""The launch packet (pure): what a run's process is told after the fork, over its own descriptor, and what it answers.

The template never sees it: to the template a run is a number and a descriptor. Both talks go over SOCK_SEQPACKET
pairs, so that a message and the descriptors that go with it (SCM_RIGHTS) arrive whole.

    kernel → template   Fork, with the run's end of its own descriptor; Sweep; Measure
    template → kernel   Warm, once; Born, with the run's pidfd; Grouped; Died; Measured

and then, over the run's own descriptor:

    kernel → run   Launch, with the descriptors that `descriptors` names, in that order
    run → kernel   Joining: the public half of the CURVE key pair that it made for itself
    kernel → run   Go: that key is known to the bus
    run → kernel   Confined: it is on the bus, every layer is laid on, and no byte of the Hand's code has run
    kernel → run   Go: it is in its control group, too, and the Hand's code may begin
    run → kernel   Unfit: the run ends here instead, and why (an altered file, a layer that could not be applied)
"""

from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from wire.canonical import READ_ERRORS
from wire.errors import CodecError

PACKET_MAX: Final = 160 * 1024
"""Largest packet in bytes; below the usual socket buffer, since a packet is sent whole or not at all."""


class Fork(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="fork"):
    """Sent by the kernel with one descriptor. Answered with Born, later with Died. isolated: exec a fresh interpreter.

    usual: its namespaces are those of most runs, so it may be a process that has them already. memory: the bytes that all
    its processes may use together.
    """

    number: int
    isolated: bool
    usual: bool
    memory: int


class Sweep(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="sweep"):
    """Sent by the kernel with one descriptor, a folder: remove `name` in it, whatever it holds. Not answered."""

    name: str


class Bound(Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True):
    """What the folders of one run may take. folders: how many descriptors are its own; most: bytes."""

    number: int
    folders: int
    most: int


class Measure(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="measure"):
    """Sent by the kernel with descriptors of folders, those of the first run first. Answered with Measured for each run
    whose folders take more than they may, or that holds too many locks; for none, if no process can be made for it.
    """

    runs: tuple[Bound, ...]


Excess: TypeAlias = Literal["disk", "locks"]
"""What a run may have too much of: room on its disk, in its own folders; and locks on parts of files."""


class Measured(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="measured"):
    """Sent by the template: a run has more of something than it may."""

    number: int
    excess: Excess


class Warm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="warm"):
    """Sent by the template when it may be asked to fork, with a pidfd of its own."""

    pid: int


class Born(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="born"):
    """Sent by the template with one descriptor, the pidfd, opened before the process can have been reaped.

    pid: as the template's namespace counts. A fork that failed has pid 0, no descriptor, and says why.
    """

    number: int
    pid: int
    why: str = ""


class Grouped(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="grouped"):
    """Sent by the template when a run is in its control group, if the machine has any.

    why: it cannot be, and the kernel ends it; empty when it is.
    """

    number: int
    why: str = ""


class Died(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="died"):
    """Sent by the template when it has reaped a run. status: as waitpid gives it; cpu: microseconds; memory: peak bytes.

    was_full: the system ended a process of it for using more memory than all of them may.
    """

    number: int
    status: int
    cpu: int
    memory: int
    was_full: bool


TemplatePacket: TypeAlias = Fork | Sweep | Measure | Measured | Warm | Born | Grouped | Died


class Rlimits(Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True):
    """Limits of one run's process. memory, file_size: bytes; cpu: seconds; processes counts threads too."""

    memory: int
    cpu: int
    processes: int
    open_files: int
    file_size: int


class Launch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="launch"):
    """Sent by the kernel first. Answered with Joining, or with Unfit.

    files: path → SHA-256 in hex of everything the Hand's folder may hold, from its seal.
    manifest: the checked manifest as JSON; wire does not open it. descriptors: what each passed descriptor is, such as
    `hand`, `bus`, `output`, `root:NAME`. scratch, state: paths of its own folders, opened by the run
    itself since it has mounts of its own; state is "" for a task run. uid: the host user id to become, None to stay.
    require: the layers that the home wants every run to have.
    serve: where the runtime begins, `module:function`; the kernel's code does not know it. artefact: SHA-256 in hex of
    what the descriptor `artefact` holds, a compiled WebAssembly module; "" where there is none. clock: where the clock of a
    run starts that can be gone through again, microseconds since 1970; 0 for one whose clock is the machine's.
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
    """Sent by the kernel after Joining, whose key is known to the bus now, and after Confined."""


class Confined(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="confined"):
    """Sent by the run before any of its Hand's code. Answered with Go. applied, missing: layers, see manifests/confinement.

    landlock: the version of it that is in force.
    """

    applied: tuple[str, ...]
    missing: tuple[str, ...]
    landlock: int


class Unfit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="unfit"):
    """Sent by the run that cannot start. code: `altered` (a file is not what was sealed), `confinement` (less
    than is required), or `layer` (one that this machine has could not be laid on).
    """

    code: str
    why: str


class Start(Struct, frozen=True, kw_only=True):
    """What the child, confined, hands to the runtime function that `Launch.serve` names; never on any wire.

    code: path → the very bytes that were hashed; place: where they lie instead, for a Hand that is a program. artefact: a
    WASM Hand's compiled module, hashed likewise. descriptors: name → number. public, secret: the run's CURVE pair (Z85).
    That function joins the bus and returns when Hello is answered, with a function that runs the Hand and returns the
    process's exit code; between the two the last layer of confinement is laid on.
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
    """A packet's bytes. Raises CodecError for one that would not fit."""
    raw = msgspec.msgpack.encode(packet)
    if len(raw) > PACKET_MAX:
        raise CodecError(f"a launch packet is at most {PACKET_MAX} bytes, this one has {len(raw)}")
    return raw


def decode(raw: bytes) -> Packet:
    """A packet from its bytes. Raises CodecError for anything that is not one."""
    try:
        return _decoder.decode(raw)
    except READ_ERRORS as error:
        raise CodecError(f"not a launch packet: {error}") from None


def decode_template(raw: bytes) -> TemplatePacket:
    """A packet of the talk between kernel and template. Raises CodecError for anything that is not one."""
    try:
        return _template_decoder.decode(raw)
    except READ_ERRORS as error:
        raise CodecError(f"not a template packet: {error}") from None
