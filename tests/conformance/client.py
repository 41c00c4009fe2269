"""Adds a server as a Hand, calls every tool of it, and removes it: what the suite starts as a client (acts).

    MANIPLE_HOME=… python3 client.py URL

The suite says in MCP_CONFORMANCE_CONTEXT which calls it wants, where it wants certain ones, and what a client is called that
is known before. This does what a person would: it grants the host that a login leads to, opens the page, logs in again
when it is told to, a few times; and of what the server asks it takes all defaults, and says yes to all else.
"""

import http.client
import json
import os
import re
import secrets
import sys
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.cli.shell import Ran, Shell

EXAMPLES = {"int": 1, "float": 1.5, "string": "x", "bool": True, "list": [], "dict": {}, "any": 1}
DOCUMENT = "https://conformance-test.local/client-metadata.json"
LOOK_S = 0.2
TRIES = 3
LOGINS = 3


class Person:
    """Who has the server's Hand, its name and its options."""

    def __init__(self, url: str) -> None:
        self.shell, self.name = Shell(Path(os.environ["MANIPLE_HOME"])), f"c{secrets.token_hex(3)}"
        self.hand, self._url = f"mcp-{self.name}", url
        self.told = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
        self._options, self._variables = self._known()
        self._hosts: list[str] = []
        self._logins = 0

    def _known(self) -> tuple[list[str], dict[str, str]]:
        """Options and variables of a client that is known before."""
        if os.environ.get("MCP_CONFORMANCE_SCENARIO") == "auth/basic-cimd":
            return ["--client", DOCUMENT], {}
        if "client_id" not in self.told:
            return [], {}
        options = ["--client", self.told["client_id"]]
        options += ["--issuer", self.told.get("issuer") or _issuer(self._url)]
        if "private_key_pem" in self.told:
            key = Path(f"{self.name}.pem")  # in the folder of the results
            key.write_text(self.told["private_key_pem"])
            return [*options, "--client-key", str(key)], {}
        options += ["--client-secret", *([] if "issuer" in self.told else ["--alone"])]
        return options, {"CLIENT_SECRET": self.told["client_secret"]}

    def add(self) -> None:
        """Add it, or look at it again."""
        for _ in range(TRIES):
            hosts = [word for host in self._hosts for word in ("--connect", host)]
            words = (self.name, self._url, "--may-ask", "--yes", *hosts, *self._options)
            ran = self.shell.run("mcp", "add", *words, cwd=None, by_exec=False, **self._variables)
            if ran.code == 0:
                return
            if not self._granted(ran):
                sys.exit(ran.err)

    def log_in(self) -> bool:
        """Log in, granting what that needs; whether it came to that."""
        for _ in range(TRIES):
            if self._logins >= LOGINS:
                return False
            ran = self._open_page()
            if ran.code == 0:
                return True
            if not self._granted(ran):
                return False
            self.add()
        return False

    def call(self, *words: str) -> None:
        """A call to its end, with all that it asks meanwhile answered; once more after a login, if it wants that."""
        while "maniple mcp login" in self._answered(*words) and self.log_in():
            pass

    def _granted(self, ran: Ran) -> bool:
        """Whether it failed since a host is not granted, which is now one of the options."""
        found = re.search(r"--connect ([^\s`]+)`", ran.err)
        if ran.code == 0 or found is None or found[1] in self._hosts:
            return False
        self._hosts.append(found[1])
        return True

    def _open_page(self) -> Ran:
        command = self.shell.begin("mcp", "login", self.name)
        assert command.stderr is not None
        said = []
        for line in command.stderr:
            said.append(line.decode())
            if line.strip().startswith((b"http://", b"https://")):
                self._logins += 1
                _browse(line.decode().strip())
                break
        out, err = command.communicate(timeout=30)
        return Ran(command.returncode, out.decode(), "".join(said) + err.decode())

    def _answered(self, *words: str) -> str:
        """What it says on stderr."""
        call = self.shell.begin("call", *words)
        while call.poll() is None:
            for row in json.loads(self.shell.good("questions", "--json"))["questions"]:
                if row["hand"] == self.hand:
                    text = "" if "An empty answer means" in row["question"] else "yes"
                    self.shell.run("answer", str(row["call"]), text)
            time.sleep(LOOK_S)
        return call.communicate()[1].decode()


def main(url: str) -> None:
    """Whatever comes of a call, the suite judges by what it saw."""
    person = Person(url)
    shell, hand = person.shell, person.hand
    person.add()
    while not _tools(person) and person.log_in():
        person.add()
    wanted = person.told.get("toolCalls", [])
    for method, params in _tools(person):
        word = method.removeprefix(f"{hand}.")
        given = [call["arguments"] for call in wanted if call["name"].replace("_", "-") == word]
        for arguments in given or [{param: EXAMPLES[of.rstrip("?")] for param, of in params.items()}]:
            person.call(method, *(f"{param}:={json.dumps(value)}" for param, value in arguments.items()))
    shell.good("mcp", "remove", person.name)


def _tools(person: Person) -> list[tuple[str, dict[str, str]]]:
    rows = json.loads(person.shell.good("methods", person.hand, "--json"))["methods"]
    own = person.hand + "."
    return [(row["method"], row["params"]) for row in rows if "." not in row["method"].removeprefix(own)]


def _issuer(url: str) -> str:
    """Who knows a client of this server, as its documentation would say."""
    at = url.removesuffix("/mcp") + "/.well-known/oauth-protected-resource/mcp"
    with urllib.request.urlopen(at, timeout=10) as told:
        return str(json.load(told)["authorization_servers"][0])


def _browse(url: str) -> None:
    """Open a page that sends back at once."""
    try:
        urllib.request.urlopen(url, timeout=10).close()
    except (OSError, http.client.HTTPException):
        pass  # the page's own fault, which the login tells


main(sys.argv[-1])
