"""Replays a recorded run as a regression test, without a kernel (acts): the Hand's code gets again what its run got.

    from runtime.replayed import replayed

    def test_it_still_makes_the_recorded_calls() -> None:
        replayed("tests/runs/r-3a1c….jsonl", "hands/journey")

The recording is written by `maniple replay RUN --save DIR`; the folder is the Hand's as it is now, or a pipeline's file. The
Hand runs in its own process, and its requests are answered from the recording (wire/replaying.py): nothing is called, no
network and no other Hand is needed. It is not confined: a test runs its author's own code.

For pytest there is the fixture in runtime/pytest_replayed.py.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
import zmq

from manifests import schema, settings
from manifests.check import check, check_tables
from manifests.lives import has_fixed_order
from manifests.pipeline.check import check as check_pipeline
from manifests.pipeline.folder import file_of, manifest_of
from manifests.schema import Manifest
from wire import codec, headers, limits
from wire.headers import FromKernel, FromRun
from wire.launch import Launch, Rlimits, Start
from wire.recording import Recording, read
from wire.replaying import Difference, Replay, Verdict
from wire.tape import Began, Heard

PATIENCE: Final = 30.0
_SLICE_MS: Final = 100
_OUTPUT_MOST: Final = 4_000
_NO_LIMITS: Final = Rlimits(memory=0, cpu=0, processes=0, open_files=0, file_size=0)


class Differs(AssertionError):
    """The code does not make the recorded requests, or ends differently. The text says where it first differs."""


def replayed(
    recording: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    secrets: Mapping[str, object] | None = None,
    patience: float = PATIENCE,
) -> Verdict:
    """Replays a recording to the Hand in a folder, or to the pipeline in a file. Raises Differs.

    secrets: values of the Hand's secret settings, which are in no recording. patience: seconds of silence after which the
    run counts as waiting for what was not recorded.
    """
    recorded = read(Path(recording).read_text("utf-8"))
    manifest, files = _pipeline(Path(folder)) if os.path.isfile(folder) else _hand(Path(folder))
    if manifest.hand.command:
        raise Differs(
            f"{folder} is a program, which needs its confinement: use `maniple replay RUN --against {folder}`"
        )
    replay = Replay(recorded.placed, in_order=has_fixed_order(manifest))
    while not replay.open():
        pass
    given = {**replay.began.settings, **(secrets or {})}
    needed = (name for name, one in manifest.settings.items() if one.secret and one.required)
    if lacking := ", ".join(f'"{name}": …' for name in needed if given.get(name) is None):
        raise Differs(f"{folder} does not start without secrets, which no recording has: give secrets={{{lacking}}}")
    with tempfile.TemporaryDirectory() as place, _Run(Path(place), manifest, files, recorded, given) as run:
        while replay.verdict is None:
            if (message := run.receive(patience)) is not None:
                replay.accept(*message)
            elif run.has_ended:
                raise Differs(f"its process ended before its work did:\n{run.output()}")
            else:
                replay.check_stalled(0.0)  # silence for the second time
            while (due := replay.next_message()) is not None:
                run.send(due[0], _body(due[0], due[1], given))
        if replay.verdict.difference is not None:
            raise Differs(_text(replay.verdict, replay.verdict.difference, f"{folder}", run.output()))
        return replay.verdict


class _Run:
    """The process that runs the Hand, with the kernel's end of its link."""

    def __init__(
        self, place: Path, manifest: Manifest, files: dict[str, bytes], recorded: Recording, given: dict[str, object]
    ) -> None:
        self._scratch, self._log = place / "scratch", place / "output"
        self._scratch.mkdir()
        server, secret = zmq.curve_keypair()
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.LINGER, 0)
        self._router.setsockopt(zmq.CURVE_SERVER, 1)
        self._router.setsockopt(zmq.CURVE_SECRETKEY, secret)
        here = os.open(place, os.O_PATH)
        self._router.bind(f"ipc:///proc/self/fd/{here}/bus")
        os.close(here)
        self._route = b""
        began = recorded.records[0]
        assert isinstance(began, Began)
        bus = os.open(place / "bus", os.O_PATH)
        launch = Launch(
            run=began.run, hand=began.hand, name=manifest.hand.name, version=manifest.hand.version,
            manifest=schema.encode(manifest), files={}, settings=settings.check(manifest.settings, given),
            rlimits=_NO_LIMITS, uid=None, server_key=server, seed=recorded.seed, serve="runtime.main:join",
            scratch=str(self._scratch), state="", require=(), clock=began.clock, descriptors=("bus",),
        )  # fmt: skip
        self._process = self._start(launch, files, bus, recorded.hash_seed)
        os.close(bus)

    def _start(self, launch: Launch, files: dict[str, bytes], bus: int, hash_seed: int) -> "subprocess.Popen[bytes]":
        public, secret = zmq.curve_keypair()
        start = Start(launch=launch, code=files, descriptors={"bus": bus}, public=public, secret=secret)
        search = os.pathsep.join(path for path in sys.path if path.startswith("/"))
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "runtime.alone"], stdin=subprocess.PIPE, stdout=log, stderr=log,
                cwd=self._scratch, pass_fds=(bus,),
                env={"PYTHONPATH": search, "PYTHONHASHSEED": str(hash_seed), "PYTHONDONTWRITEBYTECODE": "1"},
            )  # fmt: skip
        assert process.stdin is not None
        try:
            process.stdin.write(msgspec.msgpack.encode(start))
            process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended already, which the caller notices
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._router.close()
        self._context.term()

    @property
    def has_ended(self) -> bool:
        """Whether its process has ended and all its messages were received."""
        return self._process.poll() is not None and not self._router.poll(0)

    def receive(self, patience: float) -> tuple[FromRun, bytes] | None:
        """Its next message; None if there is none within `patience` seconds, or it has ended."""
        for _ in range(max(1, round(patience * 1000 / _SLICE_MS))):
            if self._router.poll(_SLICE_MS):
                self._route, header, body = self._router.recv_multipart()
                message = codec.decode_from_run(header)
                if isinstance(message, headers.Hello):
                    self.send(headers.Hello(version=limits.PROTOCOL), codec.NIL)
                return message, body
            if self.has_ended:
                return None
        return None

    def send(self, header: FromKernel, body: bytes) -> None:
        """Sends it a message."""
        self._router.send_multipart((self._route, codec.encode(header), body))

    def output(self) -> str:
        """The end of its output."""
        return self._log.read_text("utf-8", "replace")[-_OUTPUT_MOST:]


def _hand(folder: Path) -> tuple[Manifest, dict[str, bytes]]:
    """(manifest, files by path) of a Hand's folder, without its seal and what Python leaves there."""
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    files = {str(path.relative_to(folder)): path.read_bytes() for path in found if path.name != "HAND.seal"}
    return check(files["HAND.toml"].decode(), file=str(folder / "HAND.toml")), files


def _pipeline(file: Path) -> tuple[Manifest, dict[str, bytes]]:
    """(manifest, files by path) of the Hand that a pipeline's file becomes; it lends no grants."""
    text = file.read_text("utf-8")
    pipeline = check_pipeline(text, file=str(file))
    return check_tables(manifest_of(pipeline, ())), {file_of(pipeline.name): text.encode()}


def _body(header: FromKernel, heard: Heard, given: dict[str, object]) -> bytes:
    """A message's body; the given settings in place of recorded ones that had secrets."""
    if not heard.secret:
        return heard.body
    return codec.encode_body(given if isinstance(header, headers.Event) else {"settings": given})


def _text(verdict: Verdict, difference: Difference, folder: str, output: str) -> str:
    """The text of a Differs."""
    then, now = (
        msgspec.json.encode(one).decode() if one else "nothing" for one in (difference.recorded, difference.now)
    )
    return (
        f"the code in {folder} differs from {verdict.recorded} in {verdict.run} after {verdict.requests} requests:\n"
        f"{difference.why}\nrecorded  {then}\nnow       {now}\n{output}"
    ).rstrip()
