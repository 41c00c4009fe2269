"""Makes a home, runs a kernel on it, installs Hands, and calls as the operator (acts)."""

import hashlib
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final, Self

import msgspec
import zmq

from kernel import STARTER
from kernel.cli import compiling, package
from manifests import seal
from manifests.check import check
from manifests.grants import requested
from tests.bench import machine
from wire import codec, headers, limits
from wire.codec import Value
from wire.signing import SigningKey

ROOT: Final = Path(__file__).parents[2]
PATIENCE_MS: Final = 60_000

_MANIFEST: Final = """[hand]
name = "{name}"
version = "1.0.0"
description = "Says it back."
entry = "main:Echo"
kind = "service"
autonomy = "full"
idle = "1d"

[limits]
in_flight = 256
processes = 64

[provides."{name}.say"]
summary = "Say it back"
resource = "none"
effect = "read"
params = {{ text = "string" }}
returns = {{ text = "string" }}
"""
_CODE: Final = """from runtime import Call, Hand


class Echo(Hand):
    async def say(self, call: Call, text: str) -> dict[str, object]:
        return {"text": text}
"""
_MODULE: Final = """(module
  (memory (export "memory") 1)
  (func (export "maniple_alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "say") (param i32 i32) (param $at i32) (param $size i32) (result i64)
    (i64.or (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32)) (i64.extend_i32_u (local.get $size)))))
"""


class Operator:
    """A client on the bus with the operator's key."""

    def __init__(self, home: Path) -> None:
        self._context = zmq.Context()
        self.socket = self._context.socket(zmq.DEALER)
        secret = (home / "keys/operator.key").read_bytes()
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RECONNECT_IVL, 1)
        self.socket.setsockopt(zmq.CURVE_SECRETKEY, secret)
        self.socket.setsockopt(zmq.CURVE_PUBLICKEY, zmq.curve_public(secret))
        self.socket.setsockopt(zmq.CURVE_SERVERKEY, (home / "keys/kernel.pub").read_bytes())
        self.socket.connect(f"ipc://{home}/run/bus")
        self._number = -1
        self.socket.send_multipart((codec.encode(headers.Hello(version=limits.PROTOCOL)), codec.NIL))

    def wait_for_hello(self) -> Self:
        """Wait until the kernel has answered Hello."""
        if not self.socket.poll(PATIENCE_MS):
            raise TimeoutError("the kernel does not answer Hello")
        self.socket.recv_multipart()
        return self

    def call(self, method: str, resource: str = "", /, **arguments: Value) -> Value:
        """Make a call and return its value. RuntimeError for any end but Done."""
        self.begin(method, resource, **arguments)
        return self.end()

    def begin(self, method: str, resource: str = "", /, **arguments: Value) -> None:
        """Send a call without waiting for its end."""
        self._number += 2
        header = headers.Call(number=self._number, method=method, resource=resource)
        self.socket.send_multipart((codec.encode(header), codec.encode_body(arguments)))

    def end(self) -> Value:
        """Wait for the next end of an open call and return its value. RuntimeError for any but Done."""
        while True:
            if not self.socket.poll(PATIENCE_MS):
                raise TimeoutError("a call has no end")
            raw, body = self.socket.recv_multipart()
            end = codec.decode_from_kernel(raw)
            if not isinstance(end, headers.Hello):
                break
        if type(end) is not headers.Done:
            raise RuntimeError(str(end))
        return codec.decode_body(body)

    def close(self) -> None:
        """Disconnect."""
        self._context.destroy(linger=0)


class Kernel:
    """A kernel's process on a home, ended with the `with` block."""

    def __init__(self, home: Path) -> None:
        ready, told = os.pipe()
        path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
        with open(home / "kernel.err", "ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-s", "-P", "-c", STARTER, path, "kernel.main", str(home), str(told)],
                pass_fds=(told,), cwd="/", stderr=errors, stdout=errors,
            )  # fmt: skip
        os.close(told)
        self._ready = ready

    @property
    def pid(self) -> int:
        """The kernel's process id."""
        return self.process.pid

    def wait_until_ready(self) -> Self:
        """Wait until the kernel reports that its bus is bound. RuntimeError with what it says instead."""
        said = os.read(self._ready, 4096)
        if said != b"ready\n":
            raise RuntimeError(said.decode() or "the kernel did not start")
        return self

    def template(self) -> int:
        """The process id of the template, the kernel's only child."""
        found = machine.children(self.pid)
        if len(found) != 1:
            raise RuntimeError(f"the kernel's children are {found}")
        return found[0]

    def wait(self) -> None:
        """Wait until the process has ended, as after `kernel.down`."""
        self.process.wait(60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.wait()
        os.close(self._ready)


def new_home(path: Path) -> Path:
    """Make a home, with keys, as `maniple init` does."""
    (path / "keys").mkdir(parents=True, mode=0o700)
    path.chmod(0o700)
    public, secret = zmq.curve_keypair()
    operator = zmq.curve_keypair()[1]
    keys = {"kernel.key": secret, "kernel.pub": public, "operator.key": operator}
    keys |= {"log.key": secrets.token_hex(32).encode(), "seal.key": secrets.token_hex(32).encode()}
    for name, key in keys.items():
        (path / "keys" / name).write_bytes(key)
    (path / "home.toml").write_text('format = 1\norigin = "maniple.local/log/bench"\nhash_seed = 12345\n')
    return path


def trust(home: Path, operator: Operator) -> SigningKey:
    """Make the kernel trust the home's sealing key for every Hand; returns the key."""
    key = SigningKey("bench", bytes.fromhex((home / "keys/seal.key").read_text()))
    operator.call("kernel.key-add", key=key.verify_key.text(), hands=["*"])
    return key


def install_echo(home: Path, operator: Operator, key: SigningKey, name: str) -> None:
    """Install a service of a few lines that provides `name`.say."""
    install(home, operator, key, name, {"HAND.toml": _MANIFEST.format(name=name), "main.py": _CODE})


def install_guest(home: Path, operator: Operator, key: SigningKey, name: str) -> None:
    """Install a service in WebAssembly that provides `name`.say."""
    text = _MANIFEST.format(name=name).replace('entry = "main:Echo"', 'wasm = "main.wat"')
    install(home, operator, key, name, {"HAND.toml": text, "main.wat": _MODULE})


def install(home: Path, operator: Operator, key: SigningKey, name: str, files: dict[str, str]) -> None:
    """Write, seal and install a Hand and grant all that it asks for. files: their texts, by name."""
    folder = f"{name}-1.0.0-{secrets.token_hex(4)}"
    place = home / "hands" / folder
    place.mkdir(parents=True)
    for file, text in files.items():
        (place / file).write_text(text)
    digests = {file: hashlib.sha256(text.encode()).hexdigest() for file, text in files.items()}
    more: dict[str, Value] = {}
    if "main.wat" in files:
        more["artefact"] = msgspec.to_builtins(compiling.compile_into(str(home), package.read(str(place))))
    (place / "HAND.seal").write_text(seal.seal(name, "1.0.0", digests, key))
    grants = requested(check(files["HAND.toml"], file=name))
    operator.call("kernel.install", folder=folder, grants=msgspec.to_builtins(grants), **more)
