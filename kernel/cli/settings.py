"""`maniple settings` (acts)."""

import click
from msgspec import Struct

from kernel.cli import replies, screen, secret_values, typed
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit, NotDone
from kernel.cli.frame import Session, command, hand_argument
from manifests.schema import Setting
from manifests.settings import missing_required
from manifests.suggestions import did_you_mean, nearest
from manifests.values import format_duration, format_size


class _Manifest(Struct, frozen=True):
    settings: dict[str, Setting] = {}


class _Package(Struct, frozen=True):
    manifest: _Manifest


class _Installed(Struct, frozen=True):
    package: _Package


class HandSettings(Struct, frozen=True, kw_only=True):
    """The part of kernel.show's reply about settings. settings: the values that have been set."""

    hand: _Installed
    settings: dict[str, object]


@command()
@hand_argument
@click.argument("words", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--unset", metavar="KEY", multiple=True, help="Remove a value; the default applies again.")
@click.option("--secret", metavar="KEY", multiple=True, help="Ask for its value, or read it from stdin: one line each.")
@click.option("--secret-env", metavar="KEY=NAME", multiple=True, help="Take its value from an environment variable.")
@click.option("--secret-file", metavar="KEY=FILE", multiple=True, help="Take its value from a file.")
def settings(
    session: Session,
    hand: str,
    words: tuple[str, ...],
    unset: tuple[str, ...],
    secret: tuple[str, ...],
    secret_env: tuple[str, ...],
    secret_file: tuple[str, ...],
) -> None:
    """Show a Hand's settings, or change them: either every change is made, or none.

    Prints all settings, or only those that were changed; * marks those that must be set. A running Hand gets the new
    values at once.

    key=value is read by the setting's type (a time such as 30s, a size such as 4MiB, JSON for lists and tables),
    key:=JSON is JSON.

    Give a secret with --secret, --secret-env or --secret-file, so that it is in no shell history and no process list.
    It is never shown again. The variable or file is read once: later changes to it have no effect.
    """
    secret_values.check_names(secret)
    given = typed.parse_words(words)
    variables = [secret_values.parse_pair("--secret-env", word) for word in secret_env]
    files = [secret_values.parse_pair("--secret-file", word) for word in secret_file]
    named = (*given.names, *secret, *unset, *(name for name, _ in (*variables, *files)))
    with session.client() as client:
        shown = replies.read(client.call("kernel.show", hand).value, HandSettings)
        declared = shown.hand.package.manifest.settings
        _check_names(hand, declared, named, unset, given.names)
        changed: dict[str, object] = typed.settings({name: one.type for name, one in declared.items()}, given)
        changed |= {name: secret_values.from_environment(where) for name, where in variables}
        changed |= {name: secret_values.from_file(where) for name, where in files}
        changed |= {name: secret_values.ask(hand, name) for name in secret} | dict.fromkeys(unset)
        values = shown.settings
        if changed:
            _set_values(client, hand, changed)
            values = replies.read(client.call("kernel.show", hand).value, HandSettings).settings
    for name in given.names:
        if declared[name].secret:
            session.say(
                f"`{name}` was among this command's arguments, where others may see it: --secret {name} asks for it"
            )
    session.result(
        {"name": hand, "settings": {name: _row(one, values.get(name)) for name, one in declared.items()}},
        lambda: _drawn({name: one for name, one in declared.items() if not changed or name in changed}, values),
        nothing=f"{hand} has no settings.",
    )
    if changed:
        session.say(f"All settings: `maniple settings {hand}`")
        if needed := missing_required(declared, values):
            session.say(f"It does not start yet: `maniple settings {hand} {needed}`")


def _set_values(client: Client, hand: str, changed: dict[str, object]) -> None:
    """Set values. Raises Ended (usage), with the command that lists the settings, for values that the kernel rejects."""
    try:
        client.call("kernel.set", hand, {"values": changed})
    except NotDone as error:
        if error.reason != "arguments":
            raise
        raise Ended(f"{error}: see `maniple settings {hand}`", Exit.USAGE) from None


def _check_names(
    hand: str,
    declared: dict[str, Setting],
    named: tuple[str, ...],
    unset: tuple[str, ...],
    typed_names: tuple[str, ...],
) -> None:
    """Check names before any secret is asked for or read. Raises Ended (usage)."""
    for name in named:
        if name not in declared:
            if name in typed_names:
                continue  # the kernel reports all of these at once
            meant = did_you_mean(nearest(name, declared))
            raise Ended(f"`{name}` is not a setting of {hand}{meant}: see `maniple settings {hand}`", Exit.USAGE)
        if named.count(name) > 1:
            raise Ended(f"`{name}` is given twice", Exit.USAGE)
        if not declared[name].secret and name not in unset and name not in typed_names:
            raise Ended(f"`{name}` of {hand} is not a secret: write {name}=value", Exit.USAGE)


def _row(setting: Setting, value: object) -> dict[str, object]:
    return {"value": value, "default": setting.default, "type": setting.type, "secret": setting.secret}


def _drawn(declared: dict[str, Setting], values: dict[str, object]) -> str:
    if not declared:
        return ""
    return screen.table(
        ("SETTING", "TYPE", "VALUE", "DEFAULT", "WHAT IT IS FOR"),
        (
            (
                name + ("*" if one.required else ""),
                one.type,
                _value_text(values.get(name), one.type),
                _value_text(one.default, one.type),
                _purpose(one),
            )
            for name, one in declared.items()
        ),
    )


def _purpose(one: Setting) -> str:
    """A setting's help text and its choices, as sentences."""
    if not one.choices:
        return one.help
    choices = f"One of {', '.join(map(str, one.choices))}."
    return f"{one.help}{'' if one.help.endswith(('.', '!', '?')) else '.'} {choices}" if one.help else choices


def _value_text(value: object, of_type: str) -> str:
    """A value as a user would type it."""
    if value is None:
        return ""
    if of_type == "duration" and isinstance(value, int | float):
        return format_duration(round(value * 1000))
    if of_type == "size" and isinstance(value, int):
        return format_size(value)
    if isinstance(value, str):
        return value
    import msgspec

    return msgspec.json.encode(value).decode()
