"""Servers of the Model Context Protocol for tests: those in `mcp_server/`, and others, each of which does what none should.

The others are written without the protocol's package.
"""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from kernel.cli import founding, installing, mcp_servers, package
from kernel.cli.client import Client
from kernel.cli.exits import NotDone
from manifests.check import check
from manifests.grants import requested
from manifests.mcp.folder import Wanted
from manifests.mcp.tools import Offer, Tool
from manifests.seal import MANIFEST_FILE
from tests.living import ROOT, Kernel, install, make_home
from tests.system.fates import until

PYTHON: Final = "/usr/bin/python3"
RAW: Final = """
import json, os, sys, time
def write(text):
    sys.stdout.write(text + "\\n")
    sys.stdout.flush()
def tell(**message):
    write(json.dumps({"jsonrpc": "2.0", **message}))
def note(text):
    print(text, file=sys.stderr, flush=True)
def text(words):
    return {"content": [{"type": "text", "text": words}]}
TAKES = {"type": "object", "properties": {"text": {"type": "string"}}}
TOOLS = [{"name": "do", "description": "Do it.", "inputSchema": TAKES}]
def hear():
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return json.loads(line)
def greeted(message):
    about = {"name": "raw", "version": "1"}
    can = {"tools": {"listChanged": True}, "resources": {}, "prompts": {}}
    tell(id=message["id"], result={"protocolVersion": "2025-06-18", "capabilities": can, "serverInfo": about})
def listed(message):
    tell(id=message["id"], result={"tools": TOOLS})
def called(message):
    tell(id=message["id"], result=text("did " + str(message["params"].get("arguments", {}).get("text"))))
def other(message):
    tell(id=message["id"], error={"code": -32601, "message": "no such method"})
def unasked(message):
    pass
"""
LOOP: Final = """
ways = {"initialize": "greeted", "tools/list": "listed", "tools/call": "called"}
while True:
    message = hear()
    if "method" not in message:
        continue
    globals()[ways.get(message["method"], "other") if "id" in message else "unasked"](message)
"""
DO: Final = Tool(
    name="do",
    description="Do it.",
    input_schema={"type": "object", "properties": {"text": {"type": "string"}}},
)


def add(
    kernel: Kernel,
    name: str,
    program: str,
    *,
    tools: tuple[Tool, ...] = (DO,),
    hosts: tuple[str, ...] = (),
    memory: str = "256MiB",
    cpu: str = "60s",
) -> str:
    """Install a server whose program is this, between RAW and LOOP; its Hand's name."""
    wanted = Wanted(name=name, command=("python3", "server.py"), hosts=hosts, memory=memory)
    offer = Offer(server="raw", version="1", tools=tools, resources=True, prompts=True)
    hand = mcp_servers.make_folder(wanted, offer, {"server.py": f"{RAW}{program}{LOOP}".encode()})
    toml = hand.files[MANIFEST_FILE].decode().replace("[limits]\n", f'[limits]\ncpu = "{cpu}"\n')
    hand = replace(hand, manifest=check(toml), files={**hand.files, MANIFEST_FILE: toml.encode()})
    with kernel.client() as client:
        seal = package.make_seal(hand, founding.read_sealing_key(str(kernel.home)))
        installing.install(client, hand, seal, requested(hand.manifest), as_declared=True)
    return wanted.hand


@contextmanager
def reaching_here(home: Path) -> Iterator[Kernel]:
    """A kernel on a new home, whose Hand `web` may connect to this machine, where tests have their servers."""
    with Kernel(make_home(home)) as kernel, kernel.client() as client:
        install(kernel, ROOT / "hands" / "web")
        client.call("kernel.set", "web", {"values": {"private": ["127.0.0.0/8", "localhost"]}})
        yield kernel


def do(client: Client, hand: str, *, seconds: float = 60.0) -> object:
    """What its tool says."""
    value = client.call(f"{hand}.do", "", {"text": "it"}, seconds=seconds).value
    assert isinstance(value, dict)
    return value["text"]


@contextmanager
def starting(client: Client, hand: str) -> Iterator[None]:
    """Within it a Hand that does not come up is started, and then again, and nobody waits for that."""
    with suppress(NotDone):
        client.call("kernel.start", hand, seconds=0.5)
    yield
    client.call("kernel.stop", hand)


@contextmanager
def serving(program: str, *words: str | Path) -> Iterator[int]:
    """A server of the package's own over HTTP, as a process; its port."""
    port = free_port()
    own = ROOT / "tests" / "system" / "mcp_server" / program
    process = subprocess.Popen([sys.executable, str(own), str(port), *map(str, words)], stderr=subprocess.DEVNULL)
    try:
        until(lambda: _listens(port), "the server listens")
        yield port
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port of loopback that nobody has now."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port: int = free.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with closing(socket.socket()) as link:
        return link.connect_ex(("127.0.0.1", port)) == 0
