"""A Hand that ignores the bus and tries to help itself (acts): it returns what each of its attempts met.

Nothing here is caught by Maniple's Python: these are plain calls of the operating system, and it is the operating system
that refuses them. tests/attacks has a hundred more, and shows that each succeeds where its wall is taken away.
"""

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from runtime import Hand


class Outlaw(Hand):
    """Tries each door once."""

    async def run(self, home: str) -> dict[str, str]:
        """home: the operator's, whose keys it is after."""
        attempts: dict[str, Callable[[], object]] = {
            "read the operator's key": lambda: Path(home, "keys", "operator.key").read_text(),
            "read /etc/passwd": lambda: Path("/etc/passwd").read_text(),
            "leave a file in /tmp": lambda: Path("/tmp/outlaw").write_text("was here"),
            "open a connection": lambda: socket.create_connection(("127.0.0.1", 80), timeout=2),
            "run a program": lambda: subprocess.run(["/bin/sh", "-c", "id"], check=True),
            "become root": lambda: os.setuid(0),
            "write in its own scratch": lambda: (self.scratch / "note").write_text("allowed"),
        }
        return {what: _met(attempt) for what, attempt in attempts.items()}


def _met(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return f"refused: {error.strerror}"
    return "done"
