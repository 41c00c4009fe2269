"""Reads home.toml, the identity of a home (pure): from its bytes to values, or to every problem in it at once.

Separate from the kernel, which opens the file, and from HAND.toml's checker, since this file is read at every start: the
code that locates problems is imported only if there are any.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta, Struct

from manifests.confinement.layers import NAMES
from manifests.errors import ManifestInvalid, Problem
from manifests.keeping import Keep
from manifests.values import parse_duration

if TYPE_CHECKING:
    from manifests.findings import Findings
    from manifests.positions import Path

FORMAT: Final = 1

SHOWN: Final = 40
"""The most characters quoted from the file."""


class Identity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """home.toml: format is FORMAT; origin names the log; hash_seed is PYTHONHASHSEED of every run.

    require: layers of confinement (manifests/confinement/layers.py) without which no run starts. journal: how long tapes are
    kept. approvals_expire: how long a call waits for the operator's answer, such as 7d or 12h.
    """

    format: int
    origin: Annotated[str, Meta(pattern=r"^[^\s+]+\Z")]
    hash_seed: Annotated[int, Meta(ge=0, lt=1 << 32)]
    require: tuple[str, ...] = ()
    journal: Keep = Keep()
    approvals_expire: Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,2}[smhd]\Z")] = "7d"

    @property
    def approval_micros(self) -> int:
        """How long a call waits for the operator's answer, in microseconds."""
        return parse_duration(self.approvals_expire) * 1000


EXPECTED: Final[Mapping["Path", str]] = {
    ("format",): "write the whole number that the home was made with, or restore the file from a backup",
    ("origin",): 'write the name, without blanks and "+", that stands before the first "+" in keys/log.pub',
    ("hash_seed",): "write a whole number from 0 to 4294967295, or restore the file from a backup",
    ("require",): 'write a list of layers of confinement, such as ["landlock", "seccomp"]',
    ("approvals_expire",): 'write a whole number from 1 to 999 and s, m, h or d, such as "7d"',
    ("journal",): "write [journal] on a line of its own, and days, failed_days or mib below it",
    ("journal", "days"): "write a whole number of days from 0 to 36500",
    ("journal", "failed_days"): "write a whole number of days from 0 to 36500",
    ("journal", "mib"): "write a whole number of MiB from 1 to 1000000000",
}
"""What to write for each key, by its path."""


def read(raw: bytes, file: str) -> Identity:
    """Parse the file. Raises ManifestInvalid with every problem. file: the file name in the problems."""
    import tomllib

    try:
        found = msgspec.convert(tomllib.loads(raw.decode()), Identity)
        if found.format == FORMAT and set(found.require).issubset(NAMES):
            return found
    except (ValueError, RecursionError, msgspec.ValidationError):
        pass
    raise ManifestInvalid(_problems(raw, file))


def _problems(raw: bytes, file: str) -> tuple[Problem, ...]:
    from manifests.check import load
    from manifests.findings import Findings

    try:
        text = raw.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return (Problem(file, line, 1, "this line is not UTF-8 text", "write it again, or restore the file"),)
    tree, found = load(text, file), Findings()
    made_by = tree.get("format")
    if isinstance(made_by, int) and made_by != FORMAT:
        known = f"this Maniple knows {FORMAT}: use the one that made it; `maniple --version` tells which this is"
        found.at_value(("format",), f"this is a home of format {made_by}", known)
    else:
        _look(found, (), tree, Identity)
    return found.placed(text, file) or (Problem(file, 1, 1, "it cannot be read", "restore the file from a backup"),)


def _look(found: "Findings", path: "Path", table: Mapping[str, object], of: type[Struct]) -> None:
    """Note every problem of a table. of: the Struct that it is converted to."""
    from manifests.findings import spelled

    fields = {field.encode_name: field for field in msgspec.structs.fields(of)}
    for name, value in table.items():
        at = (*path, name)
        if name not in fields:
            _note_unknown(found, at, tuple(fields))
        elif at == ("journal",) and isinstance(value, dict):
            _look(found, at, value, Keep)
        elif not _fits(value, fields[name].type):
            found.at_value(at, f"{spelled(at)} is {_shown(value)}", EXPECTED[at])
        elif at == ("require",) and isinstance(value, list):
            _look_at_layers(found, at, value)
    for name, field in fields.items():
        if field.required and name not in table:
            found.at_key((*path, name), f"{spelled((*path, name))} is missing", EXPECTED[*path, name])


def _look_at_layers(found: "Findings", path: "Path", layers: Sequence[str]) -> None:
    from manifests.suggestions import suggestion

    for number, layer in enumerate(layers):
        if layer not in NAMES:
            found.at_value((*path, number), f"{layer} is not a layer of confinement", suggestion(layer, NAMES))


def _note_unknown(found: "Findings", at: "Path", names: tuple[str, ...]) -> None:
    from manifests.findings import spelled
    from manifests.suggestions import suggestion

    found.at_key(at, f"home.toml has no key {spelled(at)[:SHOWN]}", suggestion(str(at[-1]), names))


def _fits(value: object, of: object) -> bool:
    try:
        msgspec.convert(value, of)
    except msgspec.ValidationError:
        return False
    return True


def _shown(value: object) -> str:
    """Format a value as in the file if it is short; else name its type."""
    from manifests.typed import type_words

    plain = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return plain if isinstance(value, str | int | float) and len(plain) <= SHOWN else type_words(value)
