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

_NAME: Final = re.compile(r"(h-[0-9a-z]{16})(?:\.[0-9a-z]{16})?\.(?:(secrets)(?:\.new)?|token(?:\.new){0,2})")


def sweep(client: Client, started: float = 0.0) -> set[str]:
    """Take them away; the ids of the Hands that are gone. started: when the kernel was, in seconds since 1970.

    Of a Hand that is there a file of secrets may be about to count, unless it is older than the kernel, who alone writes it.
    """
    found = _found(client.home)
    if not found:
        return set()
    here = installed.names_by_id(client)
    for match in found:
        path = os.path.join(client.home, "keys", match[0])
        with suppress(FileNotFoundError):  # another command was quicker
            if match[1] not in here or (match[2] and os.stat(path).st_mtime < started):
                _sweep(client, path, here.get(match[1], ""))
    return {match[1] for match in found if match[1] not in here}


def _sweep(client: Client, path: str, hand: str) -> None:
    """Take one away, unless it is what the Hand of that name has now."""
    counts = installed.shown(client, hand).secrets if hand else ""
    if not hand or (counts and counts != os.path.basename(path)):
        os.unlink(path)


def remove(home: str, hand: str) -> None:
    """Take away those of a Hand that was just removed. hand: its id."""
    for match in _found(home):
        if match[1] == hand:
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(home, "keys", match[0]))


def _found(home: str) -> list[re.Match[str]]:
    """The files in keys/ that are some Hand's, by its id; secrets stand in the second group."""
    return [match for match in map(_NAME.fullmatch, os.listdir(os.path.join(home, "keys"))) if match]
