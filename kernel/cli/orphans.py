"""Deletes secrets that nothing uses any more (acts).

An interrupted removal leaves the secrets and the token of its Hand in keys/, and a kernel that died while it wrote secrets
leaves an unfinished file there.

The next `maniple remove` or `maniple up` deletes them. The files are listed before the installed Hands are, so those of a
Hand that is installed meanwhile are kept.
"""

import os
import re
from contextlib import suppress
from typing import Final

from kernel.cli import installed
from kernel.cli.client import Client

_NAME: Final = re.compile(r"(h-[0-9a-z]{16})(?:\.[0-9a-z]{16})?\.(?:(secrets)(?:\.new)?|token(?:\.new){0,2})")


def remove_orphans(client: Client, started: float = 0.0) -> set[str]:
    """Delete them; returns the ids of their Hands that are not installed.

    started: when the kernel was started, in seconds since 1970. A newer file with secrets of an installed Hand is kept: only
    the kernel writes such files, and it may be about to use it.
    """
    found = _list_files(client.home)
    if not found:
        return set()
    installed_ids = installed.names_by_id(client)
    for match in found:
        path = os.path.join(client.home, "keys", match[0])
        with suppress(FileNotFoundError):  # another command has deleted it
            if match[1] not in installed_ids or (match[2] and os.stat(path).st_mtime < started):
                _delete_unused(client, path, installed_ids.get(match[1], ""))
    return {match[1] for match in found if match[1] not in installed_ids}


def _delete_unused(client: Client, path: str, hand: str) -> None:
    """Delete a file, unless it holds the current secrets of the installed Hand of that name. hand: "" if there is none."""
    current = installed.fetch_details(client, hand).secrets if hand else ""
    if not hand or (current and current != os.path.basename(path)):
        os.unlink(path)


def delete_of(home: str, hand: str) -> None:
    """Delete the files of a Hand that was just removed. hand: its id."""
    for match in _list_files(home):
        if match[1] == hand:
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(home, "keys", match[0]))


def _list_files(home: str) -> list[re.Match[str]]:
    """The files in keys/ that belong to a Hand. Group 1: the Hand's id; group 2: set for secrets."""
    return [match for match in map(_NAME.fullmatch, os.listdir(os.path.join(home, "keys"))) if match]
