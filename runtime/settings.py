"""A Hand's settings (values): typed, validated, and live: what the operator changes is there at the next read.

A mapping from name to value as manifests.typed delivers it: a duration in seconds, a size in bytes. A setting without
a value is absent. The kernel sends the whole table anew in the event `kernel.settings`.
"""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from manifests.schema import Setting
from manifests.settings import HIDDEN, check

T = TypeVar("T")


class Settings(Mapping[str, object]):
    """Read with self.settings["name"]. It shows its secrets to whoever asks by name, and never in its repr."""

    def __init__(self, declared: Mapping[str, Setting], given: Mapping[str, object]) -> None:
        """Raises SettingsInvalid when the values do not fit their declaration."""
        self._declared = declared
        self._values = check(declared, given)

    def __getitem__(self, name: str) -> object:
        return self._values[name]

    def of(self, name: str, kind: type[T]) -> T:
        """The value as a `kind`: self.settings.of("bin_days", int). TypeError when HAND.toml declares another type."""
        value = self._values[name]
        if not isinstance(value, kind):
            raise TypeError(f"the setting {name} is declared as {self._declared[name].type}, not {kind.__name__}")
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        shown = {name: HIDDEN if self._declared[name].secret else value for name, value in self._values.items()}
        return f"Settings({shown})"

    def change(self, given: Mapping[str, object]) -> frozenset[str]:
        """Take the new table; the names whose value is another now. SettingsInvalid leaves everything as it was."""
        before, self._values = self._values, check(self._declared, given)
        names = before.keys() | self._values.keys()
        return frozenset(name for name in names if before.get(name) != self._values.get(name))

    def secrets(self) -> tuple[str, ...]:
        """The texts that must not appear in a log."""
        secret = (value for name, value in self._values.items() if self._declared[name].secret)
        return tuple(text for value in secret for text in _texts(value))


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [str(value)]
