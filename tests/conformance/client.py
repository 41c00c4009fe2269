"""Adds a server as a Hand, calls every tool of it, and removes it: what the suite starts as a client (acts).

    MANIPLE_HOME=… python3 client.py URL

The suite says in MCP_CONFORMANCE_CONTEXT which calls it wants, where it wants certain ones. What the server asks of a person
this answers as one would who takes all defaults, and says yes to all else.
"""

import json
import os
import secrets
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.cli.shell import Shell

EXAMPLES = {"int": 1, "float": 1.5, "string": "x", "bool": True, "list": [], "dict": {}, "any": 1}
LOOK_S = 0.2


def main(url: str) -> None:
    """Whatever comes of a call, the suite judges by what it saw."""
    shell, name = Shell(Path(os.environ["MANIPLE_HOME"])), f"c{secrets.token_hex(3)}"
    hand = f"mcp-{name}"
    shell.good("mcp", "add", name, url, "--may-ask", "--yes")
    wanted = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}")).get("toolCalls", [])
    for row in json.loads(shell.good("methods", hand, "--json"))["methods"]:
        word = row["method"].removeprefix(f"{hand}.")
        if "." in word:
            continue
        given = [call["arguments"] for call in wanted if call["name"].replace("_", "-") == word]
        for arguments in given or [{param: EXAMPLES[of.rstrip("?")] for param, of in row["params"].items()}]:
            words = [f"{param}:={json.dumps(value)}" for param, value in arguments.items()]
            _answered(shell, hand, row["method"], *words)
    shell.good("mcp", "remove", name)


def _answered(shell: Shell, hand: str, *words: str) -> None:
    """A call to its end, with all that it asks meanwhile answered."""
    call = shell.begin("call", *words)
    while call.poll() is None:
        for row in json.loads(shell.good("questions", "--json"))["questions"]:
            if row["hand"] == hand:
                shell.run("answer", str(row["call"]), "" if "An empty answer means" in row["question"] else "yes")
        time.sleep(LOOK_S)


main(sys.argv[-1])
