"""What was meant by a name that is none (pure), so that everybody who refuses a name tells it in the same words.

`difflib` is imported when a name is looked for: nothing on the way to a kernel's first answer needs it.
"""

from collections.abc import Iterable
from typing import Final

LONGEST: Final = 200
"""Characters that a name may have to be compared with others, which takes long."""

SHOWN: Final = 20
SHOWN_LENGTH: Final = 64
"""Most names that are told where none is close, and characters of each."""

ALIKE: Final = 0.6


def nearest(name: str, known: Iterable[str], *, alike: float = ALIKE) -> str:
    """The one of these names that is written most like it, "" when none is. alike: how much it must be, from 0 to 1."""
    if len(name) > LONGEST:
        return ""
    from difflib import get_close_matches

    by_form = {_form(one): one for one in known}
    close = get_close_matches(_form(name), by_form, 1, alike)
    return by_form[close[0]] if close else ""


def suggestion(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """What to write instead of it: the nearest one. Where none is near: `otherwise`, or which there are."""
    names = list(known)
    if close := nearest(name, names):
        return f'did you mean "{close}"?'
    return otherwise or there_are(names)


def did_you_mean(close: str) -> str:
    """The nearest one within a sentence that says of the name that it is none; "" for ""."""
    return f', did you mean "{close}"' if close else ""


def there_are(names: Iterable[str]) -> str:
    """Which names there are, the first of many."""
    shown = [name[:SHOWN_LENGTH] for name in names]
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    return f"there are {', '.join(shown[:SHOWN])}{more}" if shown else "there are none"


def _form(name: str) -> str:
    """What a slip of the pen leaves as it is: neither capitals nor which sign stands between words count."""
    return name.casefold().replace("-", "_").replace(" ", "_")
