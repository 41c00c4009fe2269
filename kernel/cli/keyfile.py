"""Reads and writes files that hold a sealing key (acts), as `maniple keys new` makes and `maniple seal --key` reads them.

One line in the format of Go's package sumdb/note: PRIVATE+KEY+name+id+base64 of the algorithm's byte and the seed. The
public half is in FILE.pub beside it, as a verifier key.
"""

import binascii
import os
import stat
from contextlib import suppress
from typing import Final

from kernel.cli import named_files
from kernel.cli.exits import Ended
from kernel.record.growing import sync_folder
from wire.errors import ManipleError
from wire.signing import SEED_SIZE, SigningKey, VerifyKey

PREFIX: Final = "PRIVATE+KEY+"
_ED25519: Final = b"\x01"
_KEYS: Final = "`maniple keys new FILE` writes one into FILE.pub, and `maniple init` a log's into keys/log.pub"


def write_pair(path: str, name: str) -> VerifyKey:
    """Write a new key pair into two new files. Raises Ended if one exists; on any failure, both are removed again."""
    seed = os.urandom(SEED_SIZE)
    key = SigningKey(name, seed).verify_key
    content = binascii.b2a_base64(_ED25519 + seed, newline=False).decode("ascii")
    created: list[str] = []
    try:
        for file, text, mode in (
            (path, f"{PREFIX}{key.name}+{key.id}+{content}\n", 0o600),
            (path + ".pub", key.text() + "\n", 0o644),
        ):
            _write_new(file, text, mode, created)
        sync_folder(os.path.dirname(os.path.abspath(path)))
    except BaseException:
        for file in created:
            with suppress(OSError):
                os.unlink(file)
        raise
    return key


def _write_new(file: str, text: str, mode: int, created: list[str]) -> None:
    """Write and sync a new file. created: gets its path as soon as it exists."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError:
        raise named_files.already_exists(file) from None
    created.append(file)
    with open(descriptor, "w", encoding="ascii") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(descriptor)


def read(path: str) -> SigningKey:
    """Read the key in a file. Raises Ended if other users may read the file, or if it holds no key."""
    with named_files.open_to_read(path) as file:
        mode = os.fstat(file.fileno()).st_mode
        text = file.read(4096).decode("ascii", "replace").strip()
    if stat.S_IMODE(mode) & 0o077:
        raise Ended(f"the key {path} can be read by others: close it with `chmod 600 {path}`")
    try:
        name, key_id, content = text.removeprefix(PREFIX).split("+", 2)
        raw = binascii.a2b_base64(content, strict_mode=True)
        key = SigningKey(name, raw.removeprefix(_ED25519))
        if text.startswith(PREFIX) and key.verify_key.id == key_id:
            return key
    except (ValueError, ManipleError):
        pass
    raise Ended(f"{path} does not hold a sealing key: make one with `maniple keys new FILE --name NAME`")


def parse_public(text: str) -> VerifyKey:
    """Parse a verifier key: the typed text itself, or the content of the file that it names. Raises Ended."""
    typed = text
    if "+" not in text or os.path.isfile(text):
        try:
            with named_files.open_to_read(text) as file:
                typed = file.read(4096).decode("ascii", "replace").strip()
        except OSError as error:
            why = named_files.hint(text, error.errno or 0)
            raise Ended(
                f"{text} is neither a verifier key nor a file that holds one: {error.strerror}; {why or _KEYS}"
            ) from None
    try:
        return VerifyKey.parse(typed)
    except ManipleError as error:
        what = "this is" if typed is text else f"{text} holds"
        raise Ended(f"{what} no verifier key: {error}; it looks like name+0123abcd+AbC…; {_KEYS}") from None
