"""From the text of a HAND.toml to a Manifest, or to every problem in it at once (pure).

Separate from the readers (one value) and the rules (several keys) because it alone knows the whole file. Called by
`maniple check`, `seal`, `install` and by nothing on the way to a first call: the kernel starts from its snapshot.
A text that is not TOML has one problem, the first, because nothing after it can be trusted to mean what it says.
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
from manifests.typed import word

LONGEST: Final = 128 * 1024
DEEPEST: Final = 64
"""Most characters of a HAND.toml, and most keys and indexes on the way to a value in it."""

_PARTS: Final = 512
_LONG_KEY: Final = re.compile(
    rf"""(?<![A-Za-z0-9_\\-])(?:(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{_PARTS}}}"""
)
"""A key of more parts than anybody writes: tomllib's time for it grows with their square, 40 s for 60,000."""

_TWICE: Final = re.compile(r"Cannot overwrite a value|Cannot declare .* twice")
"""What Python's reader says of what is there already."""

_DIGITS: Final = re.compile(r"(?<![\w.+-])[+-]?[0-9][0-9_]{4000,}")
"""A whole number that Python does not even begin to read."""

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
    """The manifest; ManifestInvalid with every problem. file: the name that the problems carry."""
    return check_tables(load(text, file), text, file=file)


def check_tables(raw: Mapping[str, object], text: str = "", *, file: str = "HAND.toml") -> Manifest:
    """As check(), of what a HAND.toml holds. text: where the problems have their places; none, and all are at its begin."""
    found = Findings()
    sections = {name: read_table(found, name, (name,), raw[name]) if name in raw else {} for name in _PLAIN_SECTIONS}
    named = {name: _named(found, name, raw.get(name, {})) for name in _NAMED_SECTIONS}
    for name in raw:
        if name not in sections and name not in named:
            note_unknown(found, "", (name,))
    if "hand" not in raw:
        found.at_key(
            (),
            "the section [hand] is missing",
            "begin with [hand], and name, version, description, entry, kind and autonomy",
        )
    capabilities = _capabilities(found, named["capabilities"])
    lends = lent(found, named["lends"])
    provides = _provides(found, named["provides"], sections["hand"].get("name"))
    settings = {
        name: rules.setting(found, name, read_table(found, "settings.*", ("settings", name), row))
        for name, row in named["settings"].items()
    }
    rules.hand(found, sections["hand"], raw.get("hand"), thinks="agent" in raw)
    rules.wasm_only(found, sections)
    rules.services_only(found, sections, capabilities)
    rules.tasks_only(found, sections["hand"], provides)
    rules.agent(found, sections, capabilities, provides)
    rules.programs(found, sections, provides)
    rules.granting(found, capabilities)
    rules.lending(found, named["lends"], capabilities)
    rules.contradiction(found, sections)
    rules.approvals(found, sections["hand"], capabilities)
    rules.limits(found, sections["limits"])
    rules.restart(found, sections["restart"])
    schedule_rules.schedule(found, sections, raw)
    if found:
        raise ManifestInvalid(found.placed(text, file))
    return _built(sections, capabilities, lends, provides, settings)


def load(text: str, file: str) -> dict[str, object]:
    """The TOML as dicts; ManifestInvalid when it is none."""
    import tomllib

    if len(text) > LONGEST:
        problem = Problem(file, 1, 1, "the file is too long", f"keep it under {LONGEST // 1024} KiB")
        raise ManifestInvalid((problem,))
    if key := _LONG_KEY.search(text):
        line, column = text.count("\n", 0, key.start()) + 1, key.start() - text.rfind("\n", 0, key.start())
        raise ManifestInvalid((Problem(file, line, column, "the key has too many parts", "write flatter tables"),))
    try:
        tree = tomllib.loads(text)
        beyond = _beyond(tree)
    except RecursionError:
        raise ManifestInvalid((Problem(file, 1, 1, "the file is nested too deeply", "write flatter tables"),)) from None
    except ValueError as error:
        wrong = _letters_problem(text, file) or _syntax_problem(str(error), text, file)
        raise ManifestInvalid((wrong,)) from None
    found = Findings()
    for path in beyond:
        found.at_value(
            path, f"{spelled(path)} is a number of more than 64 bits, which TOML does not have", "write less"
        )
    if found:
        raise ManifestInvalid(found.placed(text, file))
    return tree


def _beyond(tree: dict[str, object]) -> list[Path]:
    """Where whole numbers stand that Python reads, and then cannot always write: with 0x they may have any length.

    Raises RecursionError below DEEPEST, which dotted keys reach without any: to place what lies there would take long.
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


def _letters_problem(text: str, file: str) -> Problem | None:
    """What an editor did that cannot be seen in the text."""
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


def _named(found: Findings, section: str, raw: object) -> Mapping[str, object]:
    """A section whose keys the author chooses; dotted names without quotes are noted and left out."""
    if not isinstance(raw, dict):
        found.at_value((section,), f"{section} is {word(raw)}, not a table", f"write [{section}] on a line of its own")
        return {}
    good: dict[str, object] = {}
    for name, row in raw.items():
        inner = _unquoted(section, name, row)
        if inner:
            whole = f'"{name}.{inner}"'
            instead = f"write [{section}.{whole}]" if section == "provides" else f"write {whole} = [...]"
            found.at_key((section, name), f"the dots in {name}.{inner} make it a table", f"{instead}, with quotes")
        else:
            good[name] = row
    return good


def _unquoted(section: str, name: str, row: object) -> str:
    """The rest of a method that was written without quotes, so that TOML took it apart at its dots; or ""."""
    if section == "settings" or not isinstance(row, dict) or "." in name or not row:
        return ""
    if section != "lends" and not keys_of(f"{section}.*").keys().isdisjoint(row):
        return ""
    inner, below = next(iter(row.items()))
    if section == "provides" and not isinstance(below, dict):
        return ""
    return str(inner)


def _capabilities(found: Findings, rows: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """allow and own by method; the row may be just the list."""
    good: dict[str, dict[str, object]] = {}
    for method, row in rows.items():
        if not rules.method_asked(found, method):
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


def lent(found: Findings, rows: Mapping[str, object]) -> tuple[Capability, ...]:
    """The capabilities of [lends]: each row is just the list."""
    key, good = AT["lends.*"], []
    for method, row in rows.items():
        path = ("lends", method)
        if rules.method_asked(found, method, "lends"):
            allow = READERS[key.type](found, path, row, key)
            if isinstance(allow, tuple):
                good.append(Capability(method=method, allow=allow, lent=True))
    return tuple(good)


def _provides(found: Findings, rows: Mapping[str, object], name: object) -> dict[str, dict[str, object]]:
    good: dict[str, dict[str, object]] = {}
    functions: dict[str, str] = {}
    for method, row in rows.items():
        rules.method_offered(found, method, name, functions)
        functions.setdefault(rules.function_of(method), method)
        good[method] = read_table(found, "provides.*", ("provides", method), row)
        rules.schemas_of_params(found, method, good[method])
    return good


def _built(
    sections: Mapping[str, dict[str, object]],
    capabilities: Mapping[str, dict[str, object]],
    lends: tuple[Capability, ...],
    provides: Mapping[str, dict[str, object]],
    settings: Mapping[str, Setting | None],
) -> Manifest:
    """The Structs, from values that the readers accepted."""
    whole: dict[str, object] = {name: _fields(name, values) for name, values in sections.items()}
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


def _fields(section: str, values: Mapping[str, object]) -> dict[str, object]:
    """Keys as schema.py names them: a duration ends in _ms."""
    keys = keys_of(section)
    return {f"{name}_ms" if keys[name].type == "duration" else name: value for name, value in values.items()}
