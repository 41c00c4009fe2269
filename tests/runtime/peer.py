"""The other side of a Hand's link, scripted by a test: a real ROUTER with CURVE, and the Hand in a real process."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Final, TypedDict, TypeVar, Unpack

import msgspec
import zmq

from manifests import schema
from manifests.schema import Events, HandSection, Limits, Manifest, Provided, Setting
from manifests.values import LIMITS
from runtime.wasm.engine import Engine, Module, binary_of
from tests.forks import Forked, Forks
from wire import codec, headers, limits
from wire.headers import FromKernel, FromRun, Header
from wire.launch import Launch, Rlimits, Start

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_MS = 30_000
ENVIRONMENT: Final = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
HANDS: Final = Forks("runtime.main", "tests.runtime.child")
H = TypeVar("H", bound=Header)


def provided(method: str, **params: str) -> Provided:
    return Provided(method=method, summary="", resource="none", effect="read", params=params)


class More(TypedDict, total=False):
    """What else a test may want. values: of the settings; files: beside main.py; warm: forked from a template.

    wasm: a module as text, instead of main.py.
    """

    kind: schema.RunKind
    settings: dict[str, Setting]
    values: dict[str, object]
    files: dict[str, bytes]
    entry: str
    in_flight: int
    warm: bool
    wasm: bytes
    fuel: int
    memory: int


class Peer:
    """One Hand and the kernel's side of its link. Numbers of delivered calls go 2, 4, 6…"""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        self.state = folder / "state"
        self.state.mkdir()
        self.log = folder / "stderr"
        self.public, secret = zmq.curve_keypair()
        self._context = zmq.Context()
        self.router = self._context.socket(zmq.ROUTER)
        self.router.setsockopt(zmq.LINGER, 0)
        self.router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self.router.setsockopt(zmq.CURVE_SERVER, 1)
        self.router.setsockopt(zmq.CURVE_SECRETKEY, secret)
        here = os.open(folder, os.O_PATH)
        self.router.bind(f"ipc:///proc/self/fd/{here}/bus")
        os.close(here)
        self.route = b""
        self.process: subprocess.Popen[bytes] | Forked | None = None
        self._number = 0

    def launch(self, source: str, provides: tuple[Provided, ...] = (), **more: Unpack[More]) -> "Peer":
        """Start the Hand whose main.py this is; it has said Hello and was answered when this returns."""
        self.launch_only(source, provides, **more)
        hello, _ = self.expect(headers.Hello)
        assert hello.version == limits.PROTOCOL
        self.send(headers.Hello(version=limits.PROTOCOL, time=1))
        return self

    def launch_only(self, source: str, provides: tuple[Provided, ...] = (), **more: Unpack[More]) -> None:
        """Start the Hand; its Hello waits."""
        kind = more.get("kind", "service")
        wasm = more.get("wasm", b"")
        entry, module = ("", "main.wat") if wasm else (more.get("entry", "main:Test"), "")
        manifest = Manifest(
            hand=HandSection(
                name="test", version="1.0.0", description="", entry=entry, wasm=module, kind=kind, autonomy="full"
            ),
            provides={one.method: one for one in provides},
            events=Events(),
            settings=more.get("settings", {}),
            limits=Limits(
                in_flight=more.get("in_flight", 16),
                fuel=more.get("fuel", LIMITS["fuel"].default),
                memory=more.get("memory", LIMITS["memory"].default),
            ),
        )
        public, secret = zmq.curve_keypair()
        bus = os.open(self.folder / "bus", os.O_PATH)
        launch = Launch(
            run="r-0000000000000000",
            hand="h-0000000000000000",
            name="test",
            version="1.0.0",
            manifest=schema.encode(manifest),
            files={},
            settings=more.get("values", {}),
            rlimits=Rlimits(memory=0, cpu=0, processes=0, open_files=0, file_size=0),
            uid=None,
            server_key=self.public,
            seed=7,
            serve="runtime.main:join",
            scratch=str(self.scratch),
            state=str(self.state) if kind == "service" else "",
            require=(),
            descriptors=("bus",),
        )
        code = {"main.py": textwrap.dedent(source).encode(), **more.get("files", {})}
        artefact = Module.from_binary(Engine(), binary_of(wasm)).artefact() if wasm else b""
        start = Start(
            launch=launch, code=code, descriptors={"bus": bus}, public=public, secret=secret, artefact=artefact
        )
        stdin, given = os.pipe()
        with self.log.open("wb") as log:
            begin = self._executed if more.get("warm", False) else self._forked
            self.process = begin(stdin, log.fileno(), bus)
        for descriptor in (stdin, bus):
            os.close(descriptor)
        with os.fdopen(given, "wb") as pipe:
            pipe.write(msgspec.msgpack.encode(start))

    def _executed(self, stdin: int, log: int, bus: int) -> "subprocess.Popen[bytes]":
        """A Hand that warms itself up as the template does."""
        program = [sys.executable, "-P", str(ROOT / "tests/runtime/child.py"), "warm"]
        return subprocess.Popen(
            program, stdin=stdin, stdout=log, stderr=log, cwd=self.scratch, env=ENVIRONMENT, pass_fds=(bus,)
        )

    def _forked(self, stdin: int, log: int, bus: int) -> Forked:
        """The same, forked from a process that is warm."""
        descriptors = {0: stdin, 1: log, 2: log, bus: bus}
        return HANDS.fork("tests.runtime.child", [], descriptors, folder=self.scratch, environment=ENVIRONMENT)

    # the bus --------------------------------------------------------------------------------------------------------

    def send(self, header: FromKernel, value: object = None) -> None:
        self.send_raw(codec.encode(header), codec.encode_body(value))

    def send_raw(self, *frames: bytes) -> None:
        self.router.send_multipart((self.route, *frames))

    def next(self) -> tuple[FromRun, codec.Value]:
        assert self.router.poll(PATIENCE_MS), f"nothing came; its log:\n{self.log.read_text()}"
        self.route, header, body = self.router.recv_multipart()
        return codec.decode_from_run(header), codec.decode_body(body)

    def expect(self, kind: type[H]) -> tuple[H, codec.Value]:
        header, value = self.next()
        assert isinstance(header, kind), f"{header} {value!r}; its log:\n{self.log.read_text()}"
        return header, value

    def chunks(self, count: int) -> list[codec.Value]:
        return [self.expect(headers.Chunk)[1] for _ in range(count)]

    def ready(self) -> "Peer":
        self.expect(headers.Ready)
        return self

    def call(self, method: str, resource: str = "", /, *, upload: bool = False, **arguments: object) -> int:
        """Deliver a call; its number."""
        return self._deliver(method, resource, arguments, upload=upload)

    def _deliver(self, method: str, resource: str, arguments: dict[str, object], *, upload: bool) -> int:
        self._number += 2
        self.send(
            headers.Call(number=self._number, method=method, resource=resource, deadline=60_000, upload=upload),
            arguments,
        )
        return self._number

    def answer(self, method: str, resource: str = "", /, **arguments: object) -> codec.Value:
        """Deliver a call and return the value of its Done, the next message."""
        number = self._deliver(method, resource, arguments, upload=False)
        done, value = self.expect(headers.Done)
        assert done.number == number
        return value

    def stop(self) -> int:
        """Ask it to stop; Bye is its next message; the exit code."""
        self.send(headers.Stop(why="the test is over", grace=5_000))
        self.expect(headers.Bye)
        return self.exit_code()

    # the process ----------------------------------------------------------------------------------------------------

    def exit_code(self) -> int:
        assert self.process is not None
        return self.process.wait(PATIENCE_MS / 1000)

    def records(self) -> list[dict[str, object]]:
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.router.close()
        self._context.term()
