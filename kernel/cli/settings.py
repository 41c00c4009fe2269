"""`maniple settings` (acts)."""

import sys

import click
from msgspec import Struct

from kernel.cli import screen, told, typed
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command, hand_argument
from manifests.schema import Setting


class _Manifest(Struct, frozen=True):
    settings: dict[str, Setting] = {}


class _Package(Struct, frozen=True):
    manifest: _Manifest


class _Installed(Struct, frozen=True):
    package: _Package


class Shown(Struct, frozen=True, kw_only=True):
    """What kernel.show has of settings. settings: the values that were set."""

    hand: _Installed
    settings: dict[str, object]


@command()
@hand_argument
@click.argument("words", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--unset", metavar="KEY", multiple=True, help="Take a value back; the default holds again.")
@click.option("--secret", metavar="KEY", multiple=True, help="Ask for its value, or read it from stdin: a line each.")
def settings(
    session: Session, hand: str, words: tuple[str, ...], unset: tuple[str, ...], secret: tuple[str, ...]
) -> None:
    """Read a Hand's settings, or change them: all that are given are right, or none is changed.

    key=value is read as the setting's type says (a time such as 30s, a size such as 4MiB, JSON for lists and tables),
    key:=JSON is JSON. A Hand that runs gets the new values at once.

    A secret is better given with --secret, so that it stands in no history of the shell; it is never shown again.
    """
    given = typed.words(words)
    with session.client() as client:
        shown = told.read(client.call("kernel.show", hand).value, Shown)
        declared = shown.hand.package.manifest.settings
        changed: dict[str, object] = typed.settings({name: one.type for name, one in declared.items()}, given)
        changed |= {name: _asked(hand, name) for name in secret} | dict.fromkeys(unset)
        for name in (*secret, *unset):
            if name not in declared:
                raise Ended(f"`{name}` is not a setting of {hand}: see `maniple settings {hand}`", Exit.USAGE)
        values = shown.settings
        if changed:
            client.call("kernel.set", hand, {"values": changed})
            values = told.read(client.call("kernel.show", hand).value, Shown).settings
    session.result(
        {"name": hand, "settings": {name: _row(one, values.get(name)) for name, one in declared.items()}},
        lambda: _drawn(declared, values),
    )


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
                _text(values.get(name)),
                _text(one.default),
                one.help + (f" One of {', '.join(map(str, one.choices))}." if one.choices else ""),
            )
            for name, one in declared.items()
        ),
    )


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    import msgspec

    return msgspec.json.encode(value).decode()


def _asked(hand: str, name: str) -> str:
    """A secret's value, which is not echoed."""
    if screen.is_terminal(sys.stdin):
        from getpass import getpass

        return getpass(f"{name} of {hand} (not shown): ")
    line = sys.stdin.readline() if sys.stdin is not None else ""
    if not line:
        raise Ended(f"no value for `{name}` came on stdin: give a line for each --secret", Exit.USAGE)
    return line.rstrip("\n")
