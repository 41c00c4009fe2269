"""The checker of HAND.toml: turns its text into a Manifest, or reports every problem in it at once (pure).

Separate from the readers (one value) and the rules (several keys) because it alone knows the whole file. Called by
`maniple check`, `seal` and `install`, and never before a kernel's first call: the kernel starts from its snapshot.
A text that is not TOML has one problem, the first, because the text after it may mean anything.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from manifests import rules, schedule_rules
from manifests.errors import ManifestInvalid, Problem
from manifests.findings import Findings, spelled
from manifests.positions import Path
from manifests.readers import BAD, READERS
from manifests.reference import AT, keys_of
from manifests.schema import Capability, Manifest, Provided, Setting
from manifests.tables import note_unknown, read_table
from manifests.typed import type_words

LONGEST: Final = 128 * 1024
DEEPEST: Final = 64
"""The most characters of a HAND.toml, and the most keys and indexes in the path of a value."""

_PARTS: Final = 512
_LONG_KEY: Final = re.compile(
    rf"""(?<![A-Za-z0-9_\\-])(?:(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{_PARTS}}}"""
)
"""A dotted key of _PARTS parts or more: tomllib takes time quadratic in their number, 40 s for 60,000."""

_TWICE: Final = re.compile(r"Cannot overwrite a value|Cannot declare .* twice")
"""tomllib's messages for a duplicate key or table."""

_DIGITS: Final = re.compile(r"(?<![\w.+-])[+-]?[0-9][0-9_]{4000,}")
"""An integer of more digits than Python converts."""

_WHERE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_PLAIN_SECTIONS: Final = (
    "hand",
    "agent",
    "events",
    "limits",
    "budget",
    "restart",
    "confinement",
    "schedule",
    "requires",
)
_NAMED_SECTIONS: Final = ("capabilities", "lends", "provides", "settings")


def check(text: str, *, file: str = "HAND.toml") -> Manifest:
    """Return the manifest. Raises ManifestInvalid with every problem. file: the file name in the problems."""
    return check_tables(load(text, file), text, file=file)


def check_tables(raw: Mapping[str, object], text: str = "", *, file: str = "HAND.toml") -> Manifest:
    """Do what check() does for parsed TOML. text: gives the problems their lines and columns; without it they have 1, 1."""
    found = Findings()
    sections = {name: read_table(found, name, (name,), raw[name]) if name in raw else {} for name in _PLAIN_SECTIONS}
    named = {name: _read_named(found, name, raw.get(name, {})) for name in _NAMED_SECTIONS}
    for name in raw:
        if name not in sections and name not in named:
            note_unknown(found, "", (name,))
    if "hand" not in raw:
        found.at_key(
            (),
            "the section [hand] is missing",
            "begin with [hand], and name, version, description, entry, kind and autonomy",
        )
    capabilities = _read_capabilities(found, named["capabilities"])
    lends = read_lends(found, named["lends"])
    provides = _read_provides(found, named["provides"], sections["hand"].get("name"))
    settings = {
        name: rules.read_setting(found, name, read_table(found, "settings.*", ("settings", name), row))
        for name, row in named["settings"].items()
    }
    rules.check_hand(found, sections["hand"], raw.get("hand"), thinks="agent" in raw)
    rules.check_wasm(found, sections)
    rules.check_services(found, sections, capabilities)
    rules.check_tasks(found, sections["hand"], provides)
    rules.check_agent(found, sections, capabilities, provides)
    rules.check_programs(found, sections, provides)
    rules.check_empty_capabilities(found, capabilities)
    rules.check_lends(found, named["lends"], capabilities)
    rules.check_network(found, sections)
    rules.check_approvals(found, sections["hand"], capabilities)
    rules.check_limits(found, sections["limits"])
    rules.check_restart(found, sections["restart"])
    schedule_rules.check_schedule(found, sections, raw)
    if found:
        raise ManifestInvalid(found.placed(text, file))
    return _build(sections, capabilities, lends, provides, settings)


def load(text: str, file: str) -> dict[str, object]:
    """Parse the TOML. Raises ManifestInvalid if it is malformed, too long, too deep, or has an integer beyond 64 bits."""
    import tomllib

    if len(text) > LONGEST:
        problem = Problem(file, 1, 1, "the file is too long", f"keep it under {LONGEST // 1024} KiB")
        raise ManifestInvalid((problem,))
    if key := _LONG_KEY.search(text):
        line, column = text.count("\n", 0, key.start()) + 1, key.start() - text.rfind("\n", 0, key.start())
        raise ManifestInvalid((Problem(file, line, column, "the key has too many parts", "write flatter tables"),))
    try:
        tree = tomllib.loads(text)
        beyond = _oversized_integers(tree)
    except RecursionError:
        raise ManifestInvalid((Problem(file, 1, 1, "the file is nested too deeply", "write flatter tables"),)) from None
    except ValueError as error:
        wrong = _encoding_problem(text, file) or _syntax_problem(str(error), text, file)
        raise ManifestInvalid((wrong,)) from None
    found = Findings()
    for path in beyond:
        found.at_value(
            path, f"{spelled(path)} is a number of more than 64 bits, which TOML does not have", "write less"
        )
    if found:
        raise ManifestInvalid(found.placed(text, file))
    return tree


def _oversized_integers(tree: dict[str, object]) -> list[Path]:
    """Return the paths of integers beyond 64 bits. Python reads those with 0x at any length, but cannot always print them.

    Raises RecursionError for a path longer than DEEPEST, which dotted keys reach without recursion in the parser: to find
    its line and column would take long.
    """
    found: list[Path] = []
    left: list[tuple[Path, object]] = [((), tree)]
    while left:
        path, value = left.pop()
        if len(path) > DEEPEST:
            raise RecursionError
        if isinstance(value, dict | list):
            rows = value.items() if isinstance(value, dict) else enumerate(value)
            left += [((*path, key), row) for key, row in rows]
        elif isinstance(value, int) and value.bit_length() > 63:
            found.append(path)
    return found


def _encoding_problem(text: str, file: str) -> Problem | None:
    """Return the problem of a text in the wrong encoding, which an editor does not show; None if there is none."""
    if text.startswith("\ufeff"):
        return Problem(file, 1, 1, "it begins with a byte order mark (BOM)", "save it as UTF-8 without one")
    if "\0" in text:
        return Problem(file, 1, 1, "it is not UTF-8 text: it holds zero bytes, as UTF-16 does", "save it as UTF-8")
    return None


def _syntax_problem(error: str, text: str, file: str) -> Problem:
    match = _WHERE.search(error)
    if match is None and (digits := _DIGITS.search(text)):
        line, column = text.count("\n", 0, digits.start()) + 1, digits.start() - text.rfind("\n", 0, digits.start())
        return Problem(
            file, line, column, "this is a number of more than 64 bits, which TOML does not have", "write less"
        )
    if match is None:
        line, column = 1, 1
    elif match[1]:
        line, column = int(match[1]), int(match[2])
    else:
        line, column = text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1
    what = _WHERE.sub("", error)
    if _TWICE.fullmatch(what):
        return Problem(file, line, column, "this key or table stands here a second time", "leave one of the two")
    return Problem(
        file,
        line,
        column,
        f"this is not TOML: {what[:1].lower()}{what[1:]}",
        "see https://toml.io for how TOML is written",
    )


def _read_named(found: Findings, section: str, raw: object) -> Mapping[str, object]:
    """Return the rows of a section whose keys the author chooses, without those whose dotted name lacks quotes: noted."""
    if not isinstance(raw, dict):
        found.at_value(
            (section,), f"{section} is {type_words(raw)}, not a table", f"write [{section}] on a line of its own"
        )
        return {}
    good: dict[str, object] = {}
    for name, row in raw.items():
        inner = _rest_of_unquoted(section, name, row)
        if inner:
            whole = f'"{name}.{inner}"'
            instead = f"write [{section}.{whole}]" if section == "provides" else f"write {whole} = [...]"
            found.at_key((section, name), f"the dots in {name}.{inner} make it a table", f"{instead}, with quotes")
        else:
            good[name] = row
    return good


def _rest_of_unquoted(section: str, name: str, row: object) -> str:
    """Return the rest of a method's name that lacks quotes, so that TOML split it at its dots; "" if `name` is whole."""
    if section == "settings" or not isinstance(row, dict) or "." in name or not row:
        return ""
    keys = keys_of(f"{section}.*").keys()
    parts: list[str] = []
    below: object = row
    while isinstance(below, dict) and below and (section == "lends" or keys.isdisjoint(below)):
        part, below = next(iter(below.items()))
        parts.append(part)
    return "" if section == "provides" and not isinstance(below, dict) else ".".join(parts)


def _read_capabilities(found: Findings, rows: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """Return the keys of each row of [capabilities], by method; a row may be just the list `allow`."""
    good: dict[str, dict[str, object]] = {}
    for method, row in rows.items():
        if not rules.is_requestable(found, method):
            continue
        path = ("capabilities", method)
        if isinstance(row, dict):
            good[method] = read_table(found, "capabilities.*", path, row)
            continue
        key = AT["capabilities.*.allow"]
        allow = READERS[key.type](found, path, row, key)
        if allow is not BAD:
            good[method] = {"allow": allow}
    return good


def read_lends(found: Findings, rows: Mapping[str, object]) -> tuple[Capability, ...]:
    """Return the capabilities of [lends], in which each row is just the list `allow`."""
    key, good = AT["lends.*"], []
    for method, row in rows.items():
        path = ("lends", method)
        if rules.is_requestable(found, method, "lends"):
            allow = READERS[key.type](found, path, row, key)
            if isinstance(allow, tuple):
                good.append(Capability(method=method, allow=allow, lent=True))
    return tuple(good)


def _read_provides(found: Findings, rows: Mapping[str, object], name: object) -> dict[str, dict[str, object]]:
    good: dict[str, dict[str, object]] = {}
    functions: dict[str, str] = {}
    for method, row in rows.items():
        rules.check_provided(found, method, name, functions)
        functions.setdefault(rules.function_of(method), method)
        good[method] = read_table(found, "provides.*", ("provides", method), row)
        rules.check_schemas(found, method, good[method])
    return good


def _build(
    sections: Mapping[str, dict[str, object]],
    capabilities: Mapping[str, dict[str, object]],
    lends: tuple[Capability, ...],
    provides: Mapping[str, dict[str, object]],
    settings: Mapping[str, Setting | None],
) -> Manifest:
    """Build the Manifest from values that the readers accepted."""
    whole: dict[str, object] = {name: _field_names(name, values) for name, values in sections.items()}
    whole |= {name: whole[name] or None for name in ("agent", "schedule")}
    whole["capabilities"] = [
        msgspec.convert({"method": method, **row}, Capability) for method, row in capabilities.items()
    ]
    whole["lends"] = lends
    whole["provides"] = {
        method: msgspec.convert({"method": method, **row}, Provided) for method, row in provides.items()
    }
    whole["settings"] = settings
    return msgspec.convert(whole, Manifest)


def _field_names(section: str, values: Mapping[str, object]) -> dict[str, object]:
    """Return the values by their field names in schema.py, in which durations end in _ms."""
    keys = keys_of(section)
    return {f"{name}_ms" if keys[name].type == "duration" else name: value for name, value in values.items()}
