"""A local provider of models that speaks both protocols, and a home whose agent uses it, for tests."""

import http.server
import json
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from tests.cli.shell import Shell, copied_home
from tests.living import Source, write_hand

Answer: TypeAlias = Callable[[str, list[Any]], bytes]
"""A function of a request's path and messages that returns the body of the answer, a stream of events."""


class Provider(http.server.ThreadingHTTPServer):
    """A provider. asked: the messages of each request so far; offered: its tools."""

    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.answer = answer
        self.asked: list[list[Any]] = []
        self.offered: list[list[Any]] = []

    def use_for(self, shell: Shell, *names: str) -> None:
        """Configure the Hand `model` of a home to use this provider in place of the named ones."""
        addresses = {
            name: f"http://127.0.0.1:{self.server_port}{'' if name == 'anthropic' else '/v1'}" for name in names
        }
        shell.good("settings", "model", f"addresses:={json.dumps(addresses)}")
        for name in names:
            shell.good("settings", "model", "--secret", f"{name}_key", stdin="sk-none-at-all-0123456789\n")


class _Answering(http.server.BaseHTTPRequestHandler):
    server: Provider

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        messages = request["messages"]
        self.server.asked.append(messages)
        self.server.offered.append(request.get("tools", []))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(self.server.answer(self.path.partition("?")[0], messages))


@contextmanager
def serving(answer: Answer) -> Iterator[Provider]:
    """Serve a provider with these answers during the block."""
    with Provider(answer) as provider:
        threading.Thread(target=provider.serve_forever, args=(0.02,), daemon=True).start()
        yield provider
        provider.shutdown()


@contextmanager
def furnished_with(
    furnished: Shell, folder: Path, server: tuple[str, str], agent: tuple[str, Source]
) -> Iterator[Shell]:
    """Yield a running home with an MCP server and an agent, each given as name and code. folder: an empty one."""
    (folder / server[0]).mkdir()
    (folder / server[0] / "server.py").write_text(server[1])
    hand = write_hand(folder / agent[0], agent[1])
    (hand / "main.py").unlink()
    shell = copied_home(furnished, folder / "home")
    shell.good("up")
    packages = sysconfig.get_path("purelib")
    shell.good("mcp", "add", server[0], "--files", folder / server[0], "--yes", "--", "python3", "server.py", packages)
    shell.good("install", hand, "--yes")
    yield shell
    shell.good("down")


@contextmanager
def scripted_home(furnished: Shell, home: Path, script: str) -> Iterator[Shell]:
    """A copy of a home, with its kernel, whose only model is a script."""
    shell = copied_home(furnished, home)
    shell.good("up")
    shell.good("settings", "model", f"script={script}", 'routes:={"default": ["scripted/script"]}')
    yield shell
    shell.good("down")
