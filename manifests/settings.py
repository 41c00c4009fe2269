"""Checks and converts values of a Hand's settings by their declaration (pure).

Separate because the command line, the kernel and the checker of HAND.toml (for defaults) all need it.
All problems are reported at once. Values are converted as typed.py says: a duration in seconds, a size in bytes.
"""

from collections.abc import Collection, Mapping
from typing import Final

from manifests.errors import SettingsInvalid, ValueInvalid
from manifests.schema import Setting
from manifests.suggestions import suggestion
from manifests.typed import convert, from_text
from manifests.values import format_duration, format_size
from wire import codec

HIDDEN: Final = "(secret)"


def check(
    settings: Mapping[str, Setting], given: Mapping[str, object], *, untouched: Collection[str] = ()
) -> dict[str, object]:
    """Return every setting's value: the given one, converted, or its default; a setting with neither is absent.

    untouched: required settings that may stay without a value, since they had none and the change is not about them.
    Raises SettingsInvalid with every problem: unknown names, wrong types, values out of range, missing required values.
    """
    problems = [_unknown(name, settings) for name in given if name not in settings]
    values: dict[str, object] = {}
    for name, setting in settings.items():
        value = given.get(name)
        if value is None:
            value = setting.default
        if value is None:
            if setting.required and name not in untouched:
                give = f"--secret {name}" if setting.secret else f"{name}=..."
                problems.append(f"`{name}` has no value; give {give}" + (f" ({setting.help})" if setting.help else ""))
            continue
        try:
            values[name] = check_one(setting, value)
        except ValueInvalid as error:
            problems.append(f"`{name}`: {error.why}; {error.instead}")
    if problems:
        raise SettingsInvalid(tuple(problems))
    return values


def missing_required(settings: Mapping[str, Setting], values: Mapping[str, object]) -> str:
    """Return the required settings without a value, as arguments of a command; "" if there are none."""
    needed = {name: one for name, one in settings.items() if one.required and one.default is None}
    return " ".join(
        f"--secret {name}" if one.secret else f"{name}=…" for name, one in needed.items() if values.get(name) is None
    )


def parse(settings: Mapping[str, Setting], typed: Mapping[str, str]) -> dict[str, object]:
    """Parse and convert values typed as key=value. Raises SettingsInvalid with every problem."""
    problems: list[str] = []
    values: dict[str, object] = {}
    for name, text in typed.items():
        if name not in settings:
            problems.append(_unknown(name, settings))
            continue
        try:
            values[name] = check_one(settings[name], from_text(settings[name].type, text))
        except ValueInvalid as error:
            problems.append(f"`{name}`: {error.why}; {error.instead}")
    if problems:
        raise SettingsInvalid(tuple(problems))
    return values


def check_one(setting: Setting, value: object) -> object:
    """Convert one value. Raises ValueInvalid if it is of another type, not among the choices, or out of range.

    The messages never contain the value of a secret.
    """
    try:
        converted = convert(setting.type, value)
    except ValueInvalid as error:
        if setting.secret:
            raise ValueInvalid(f"its secret value is not of type {setting.type}", "give another") from None
        raise ValueInvalid(error.why, error.instead) from None
    shown = "its secret value" if setting.secret else _typed(setting, converted)
    if setting.choices and converted not in setting.choices:
        raise ValueInvalid(f"{shown} is not a choice", f"give one of {', '.join(map(str, setting.choices))}")
    if isinstance(converted, int | float):
        if setting.min is not None and converted < setting.min:
            raise ValueInvalid(f"{shown} is too small", f"give at least {_typed(setting, setting.min)}")
        if setting.max is not None and converted > setting.max:
            raise ValueInvalid(f"{shown} is too large", f"give at most {_typed(setting, setting.max)}")
    return converted


def _typed(setting: Setting, value: object) -> str:
    """Format a value as one would type it."""
    if setting.type == "duration" and isinstance(value, int | float):
        return format_duration(round(value * 1000))
    if setting.type == "size" and isinstance(value, int):
        return format_size(value)
    return repr(value)


def hide_secrets(settings: Mapping[str, Setting], values: Mapping[str, object]) -> dict[str, object]:
    """Return the values for display or the log: HIDDEN in place of secrets and of undeclared settings."""
    return {name: value if name in settings and not settings[name].secret else HIDDEN for name, value in values.items()}


def _unknown(name: str, settings: Mapping[str, Setting]) -> str:
    return f"`{name}` is not a setting; " + (suggestion(name, settings) if settings else "this Hand has none")


def only_declared(declared: Mapping[str, Setting], values: Mapping[str, object]) -> dict[str, object]:
    """Return the values of declared settings: those that only an earlier version declared are left out."""
    return {name: value for name, value in values.items() if name in declared}


def is_named(file: str) -> bool:
    """Return whether a file of secret settings has a name from the log: the name without one is HAND-ID.secrets."""
    return file.count(".") > 1


def unreadable(path: str, *, is_missing: bool) -> str:
    """Return the refusal of all that needs the secret settings in this file."""
    what = "missing" if is_missing else "damaged"
    return f"{path} is {what}: restore it from a backup, or write {{}} into it and set its secrets anew"


def split_secrets(
    declared: Mapping[str, Setting], values: Mapping[str, object]
) -> tuple[dict[str, object], dict[str, object]]:
    """Split values into those that may be stored and shown, and the secret ones."""
    plain: dict[str, object] = {}
    secret: dict[str, object] = {}
    for name, value in values.items():
        (secret if name in declared and declared[name].secret else plain)[name] = value
    return plain, secret


def replace_secrets(declared: Mapping[str, Setting], body: bytes, now: Mapping[str, object], *, is_all: bool) -> bytes:
    """Return a recorded body of settings with its secrets replaced by present ones, as a tape has no secrets.

    is_all: the body is the table itself, not a reply that contains it.
    """
    value = codec.decode_body(body)
    table = value if is_all or not isinstance(value, dict) else value["settings"]
    assert isinstance(table, dict)
    merged = split_secrets(declared, table)[0] | split_secrets(declared, now)[1]
    return codec.encode_body(merged if is_all else {"settings": merged})
