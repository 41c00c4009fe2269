"""Reads a table of HAND.toml by the keys of its section (pure): each value with its reader, all else noted."""

from manifests.findings import Findings, spelled
from manifests.positions import Path
from manifests.readers import BAD, READERS, example
from manifests.reference import AT, LATER, REQUIRED, keys_of
from manifests.suggestions import suggestion
from manifests.typed import type_words


def read_table(found: Findings, section: str, path: Path, raw: object) -> dict[str, object]:
    """Return the valid values of one table, by key; the rest is noted. section: as in reference.SECTIONS."""
    if not isinstance(raw, dict):
        found.at_value(
            path, f"{spelled(path)} is {type_words(raw)}, not a table", f"write [{spelled(path)}] on a line of its own"
        )
        return {}
    keys = keys_of(section)
    values: dict[str, object] = {}
    for name, value in raw.items():
        if name in keys:
            read = READERS[keys[name].type](found, (*path, name), value, keys[name])
            if read is not BAD:
                values[name] = read
        else:
            note_unknown(found, section, (*path, name))
    for name, key in keys.items():
        if key.default == REQUIRED and name not in raw:
            found.at_key(path, f"{spelled((*path, name))} is missing", f"write {name} = {example(key)}")
    return values


def note_unknown(found: Findings, section: str, path: Path) -> None:
    """Note an unknown key: one of a later version, one of another section, or a misspelled one."""
    name = str(path[-1])
    later = LATER.get(f"{section}.{name}" if section else name)
    if later is not None:
        what = spelled(path) if section else f"[{name}]"
        found.at_key(path, f"{what} {later}; it comes later", "leave it out for now")
        return
    names = keys_of(section) if section else {one.partition(".")[0]: None for one in AT}
    elsewhere = [key.path for key in AT.values() if key.path.endswith(f".{name}") and "*" not in key.path]
    belongs = f"it belongs in [{elsewhere[0].rpartition('.')[0]}]" if elsewhere else ""
    what = "key" if section else "section"
    found.at_key(path, f"{spelled(path)} is not a {what} of HAND.toml", suggestion(name, names, belongs))
