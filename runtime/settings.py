"""A Hand's settings (values): typed, validated, and live: a change by the operator is there at the next read.

A mapping from name to value, as manifests.typed delivers it: a duration in seconds, a size in bytes. A setting without
a value is absent. The kernel sends the whole table again in the event `kernel.settings`.
"""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from manifests.schema import Setting
from manifests.settings import HIDDEN, check

T = TypeVar("T")


class Settings(Mapping[str, object]):
    """Read with self.settings["name"]. Secret values are returned by name, but never shown in its repr."""

    def __init__(self, declared: Mapping[str, Setting], given: Mapping[str, object]) -> None:
        """Raises SettingsInvalid if the values do not fit their declaration."""
        self._declared = declared
        self._values = check(declared, given)

    def __getitem__(self, name: str) -> object:
        return self._values[name]

    def of(self, name: str, kind: type[T]) -> T:
        """The value as a `kind`: self.settings.of("bin_days", int). Raises TypeError if HAND.toml declares another type."""
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
        """Takes a new table. Returns the names whose values changed. Raises SettingsInvalid, and then changes nothing."""
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
