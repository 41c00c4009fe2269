"""A provider of models on this machine, which speaks both protocols: what tests of pictures share."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from tests.cli.shell import Shell

Answer: TypeAlias = Callable[[str, list[Any]], bytes]
"""(path, messages of the request) → the body of the answer, a stream of events."""


class Provider(http.server.ThreadingHTTPServer):
    """asked: the messages of each request. offered: its tools."""

    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.answer = answer
        self.asked: list[list[Any]] = []
        self.offered: list[list[Any]] = []

    def tell(self, shell: Shell, *names: str) -> None:
        """Have the Hand `model` of a home ask this one wherever it would ask one of these."""
        places = {name: f"http://127.0.0.1:{self.server_port}{'' if name == 'anthropic' else '/v1'}" for name in names}
        shell.good("settings", "model", f"addresses:={json.dumps(places)}")
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
def answering(answer: Answer) -> Iterator[Provider]:
    """One that answers so, until the block is left."""
    with Provider(answer) as provider:
        threading.Thread(target=provider.serve_forever, daemon=True).start()
        yield provider
        provider.shutdown()
