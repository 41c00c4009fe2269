"""Secrets that nobody uses (acts): a removal that was killed, or whose kernel died, leaves them in keys/, and a kernel that
died while it kept some leaves what was to take their place.

They go with the next `maniple remove`, and when the kernel starts. What is there is read before it is asked which Hands are:
of a Hand that comes meanwhile nothing is taken away.
"""

import os
import re
from contextlib import suppress
from typing import Final

from kernel.cli import installed
from kernel.cli.client import Client

_NAME: Final = re.compile(r"(h-[0-9a-z]{16})\.(?:secrets(?:\.new)?|token(?:\.new){0,2})")

_DRAFT: Final = ".secrets.new"
"""Of a Hand that is there it is being written, unless it is older than the kernel, which alone writes it."""


def sweep(client: Client, started: float = 0.0) -> set[str]:
    """Take them away; the ids of the Hands that are gone. started: when the kernel was, in seconds since 1970."""
    folder = os.path.join(client.home, "keys")
    found = [match for match in map(_NAME.fullmatch, os.listdir(folder)) if match]
    if not found:
        return set()
    here = installed.ids(client)
    for match in found:
        path = os.path.join(folder, match[0])
        with suppress(FileNotFoundError):  # another command was quicker
            if match[1] not in here or (path.endswith(_DRAFT) and os.stat(path).st_mtime < started):
                os.unlink(path)
    return {match[1] for match in found if match[1] not in here}
