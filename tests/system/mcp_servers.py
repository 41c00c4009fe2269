"""Servers of the Model Context Protocol for tests, written without its package: each does one thing that none should."""

from typing import Final

from kernel.cli import founding, installing, mcp_servers, package
from kernel.cli.client import Client
from manifests.grants import asked
from manifests.mcp.folder import Wanted
from manifests.mcp.tools import Offer, Tool
from tests.living import Kernel

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
) -> str:
    """Install a server whose program is this, between RAW and LOOP; its Hand's name."""
    wanted = Wanted(name=name, command=("python3", "server.py"), hosts=hosts, memory=memory)
    offer = Offer(server="raw", version="1", tools=tools, resources=True, prompts=True)
    hand = mcp_servers.made(wanted, offer, {"server.py": f"{RAW}{program}{LOOP}".encode()})
    with kernel.client() as client:
        seal = package.sealed(hand, founding.sealing_key_of(str(kernel.home)))
        installing.install(client, hand, seal, asked(hand.manifest), as_declared=True)
    return wanted.hand


def do(client: Client, hand: str, *, seconds: float = 20.0) -> object:
    """What its tool says."""
    value = client.call(f"{hand}.do", "", {"text": "it"}, seconds=seconds).value
    assert isinstance(value, dict)
    return value["text"]
