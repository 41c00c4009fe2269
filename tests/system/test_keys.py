"""A provider's key is looked for byte by byte wherever it should not be, while its provider does all to spread it.

The server repeats the key that it was given: in a refusal that is tried again, in an answer, in one that stands still while
the Hand `model` is killed, in an error. After each, the home, the output of commands, and the command line, environment and
memory of every process but two: `model` itself, and the kernel, which keeps secret settings (docs/threats.md).
"""

import http.server
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from kernel.cli.client import Client
from tests.cli.shell import Shell
from tests.living import ECHO, Kernel, files_containing, install, make_home
from tests.process_memory import memory_of
from tests.system import fates, thinking
from tests.system.fates import until

KEY: Final = "sk-look-for-this-0123456789"


class Telltale(http.server.ThreadingHTTPServer):
    """A provider that tells the key. go_on: set when an answer that stands still may go on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.asked: list[str] = []
        self.go_on = threading.Event()


class _Answering(http.server.BaseHTTPRequestHandler):
    server: Telltale

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        model = json.loads(self.rfile.read(int(self.headers["content-length"])))["model"]
        self.server.asked.append(model)
        key = self.headers["authorization"].removeprefix("Bearer ")
        if model == "refusing" or self.server.asked == ["patient"]:
            self.send_response(429 if model == "patient" else 401)
            self.send_header("retry-after", "0")
            self.end_headers()
            self.wfile.write(json.dumps({"error": {"type": key, "message": f"not with {key}"}}).encode())
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self._tell(model, {"delta": {"content": f"It is {key}."}})
        self.server.go_on.wait(30)
        self._tell(model, {"delta": {}, "finish_reason": key})

    def _tell(self, model: str, choice: dict[str, object]) -> None:
        chunk = {"id": "c", "object": "chat.completion.chunk", "model": model, "choices": [{"index": 0, **choice}]}
        try:
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        except OSError:
            return  # whoever asked has gone


@contextmanager
def _telltale() -> Iterator[Telltale]:
    with Telltale() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def test_a_key_is_nowhere_but_in_its_file_and_the_hand_that_uses_it(tmp_path: Path) -> None:
    with _telltale() as server, Kernel(make_home(tmp_path / "home")) as kernel, kernel.client() as client:
        thinking.furnish(kernel)
        install(kernel, ECHO)
        thinking.add(kernel, tmp_path, "patiently", model="openai/patient")
        thinking.add(kernel, tmp_path, "in-vain", model="openai/refusing")
        shell = Shell(kernel.home)
        shell.good("settings", "model", "--secret", "openai_key", stdin=f"{KEY}\r\n")
        address = {"openai": f"http://127.0.0.1:{server.server_port}"}
        client.call("kernel.set", "model", {"values": {"addresses": address}})
        client.call("echo.say", arguments={"text": "I am here too."})

        killed = fates.begin(client, "patiently", task="wait")
        until(lambda: server.asked == ["patient", "patient"], "it was refused, and asks again")
        _search(kernel, client)
        os.kill(_pid(client, "model"), signal.SIGKILL)
        until(lambda: server.asked == ["patient"] * 3, "it asks a new process again")
        _search(kernel, client)
        server.go_on.set()
        assert fates.outcome(client, killed)["value"]["answer"] == "It is [key]."
        refused = fates.ran(client, "in-vain", task="be refused")
        assert refused["code"] == "key", refused
        for words in (("logs", "model"), ("models", "--json"), ("show", "model"), ("settings", "model", "--json"),
                      ("run-show", killed)):  # fmt: skip
            ran = shell.run(*words)
            assert (ran.code, KEY in ran.out + ran.err) == (0, False), words
        assert KEY not in kernel.log()
        _search(kernel, client)


def _search(kernel: Kernel, client: Client) -> None:
    """Fails where the key is that it should not be. That it is found where it should be shows that the search finds."""
    assert [path.parent.name for path in files_containing(kernel.home, KEY)] == ["keys"]
    model, processes = _pid(client, "model"), list(_tree(kernel.pid))
    assert len(processes) >= 4, "kernel, template, model and echo"
    found = {}
    for pid in processes:
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            found[pid] = any(KEY.encode() in piece for piece in memory_of(pid, "r"))
            assert KEY.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
            assert KEY.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    assert [pid for pid, has_it in found.items() if has_it and pid != kernel.pid] == [model]


def _tree(pid: int) -> Iterator[int]:
    yield pid
    with suppress(FileNotFoundError, ProcessLookupError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from _tree(int(child))


def _pid(client: Client, hand: str) -> int:
    told: Any = client.call("kernel.ps").value
    (pid,) = [row["pid"] for row in told["runs"] if row["hand"] == hand]
    return int(pid)
