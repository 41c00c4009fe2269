"""Suggestions for misspelled names (pure), so that all refusals of a name use the same words.

`difflib` is imported at first use: a kernel does not need it before its first answer.
"""

from collections.abc import Iterable
from typing import Final

LONGEST: Final = 200
"""The most characters of a name that is compared with others: comparing takes long."""

SHOWN: Final = 20
SHOWN_LENGTH: Final = 64
"""The most names listed if none is close, and the most characters of each."""

ALIKE: Final = 0.65
BEGINNING: Final = 3
"""The least characters of a known name that a longer one begins with."""


def nearest(name: str, known: Iterable[str], *, alike: float = ALIKE) -> str:
    """Return the known name that is spelled most like this one, or the only one that this one begins with; "" if none is.

    alike: least similarity, 0 to 1.
    """
    if len(name) > LONGEST:
        return ""
    from difflib import get_close_matches

    by_form = {_form(one): one for one in known}
    close = get_close_matches(_form(name), by_form, 1, alike)
    close = close or [one for one in by_form if len(one) >= BEGINNING and _form(name).startswith(one)]
    return by_form[close[0]] if len(close) == 1 else ""


def suggestion(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return a clause with the nearest known name; if none is close, `otherwise`, or else a list of the known names."""
    names = list(known)
    if close := nearest(name, names):
        return f'did you mean "{close}"?'
    return otherwise or there_are(names)


def did_you_mean(close: str) -> str:
    """Return a suggestion to append to a sentence that refuses a name; "" for ""."""
    return f', did you mean "{close}"' if close else ""


def there_are(names: Iterable[str]) -> str:
    """List the first SHOWN names, and how many more there are."""
    shown = [name[:SHOWN_LENGTH] for name in names]
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    return f"there are {', '.join(shown[:SHOWN])}{more}" if shown else "there are none"


def _form(name: str) -> str:
    """Return the name without differences of case and of the sign between words."""
    return name.casefold().replace("-", "_").replace(" ", "_")
