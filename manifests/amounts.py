"""What may be spent in a window, as people write it: "200k/day" of tokens, "2.00/day" of dollars (pure).

Separate because HAND.toml and the operator's `maniple budget` read and show the same spellings. Within Maniple tokens are
whole, and money is whole micro-dollars: no sum is ever rounded. Raises ValueInvalid with what to write instead.
"""

import re
from typing import Final, get_args

from manifests.errors import ValueInvalid
from manifests.schema import Allowance, Window

WINDOWS: Final[tuple[Window, ...]] = get_args(Window)
MOST: Final = 10**15
"""The largest amount: so many tokens, or micro-dollars, which are a thousand million dollars."""

MICRO: Final = 1_000_000
_TOKENS: Final = re.compile(r"(?a)(0|[1-9][0-9]{0,15})([kM]?)")
_DOLLARS: Final = re.compile(r"(?a)(0|[1-9][0-9]{0,15})(?:\.([0-9]{1,6}))?")
_LARGER: Final = {"": 1, "k": 1_000, "M": 1_000_000}


def parse_tokens(text: str) -> Allowance:
    """Of "1500/hour", "200k/day" or "5M/month"."""
    amount, window = _split(text, "200k/day")
    match = _TOKENS.fullmatch(amount)
    if match is None:
        raise ValueInvalid(f'"{text}" is not a number of tokens', 'write a whole number, or one of k or M: "200k/day"')
    return _allowance(text, int(match[1]) * _LARGER[match[2]], window, f"{MOST // MICRO}M")


def parse_dollars(text: str) -> Allowance:
    """Of "2/day", "0.05/hour" or "60.00/month"."""
    amount, window = _split(text, "2.00/day")
    match = _DOLLARS.fullmatch(amount)
    if match is None:
        mend = 'write dollars without a sign, at most six digits after the point, such as "2.00/day"'
        raise ValueInvalid(f'"{text}" is not an amount of dollars', mend)
    return _allowance(text, int(match[1]) * MICRO + int((match[2] or "").ljust(6, "0")), window, str(MOST // MICRO))


def _split(text: str, example: str) -> tuple[str, Window]:
    amount, slash, name = text.partition("/")
    for window in WINDOWS:
        if slash and name == window:
            return amount, window
    said = f'"{name}" is not a window' if slash else f'"{text}" names no window'
    raise ValueInvalid(said, f'write /hour, /day or /month after the amount, such as "{example}"')


def _allowance(text: str, amount: int, window: Window, most: str) -> Allowance:
    if amount > MOST:
        raise ValueInvalid(f'"{text}" is too much', f'write at most "{most}/{window}"')
    return Allowance(amount=amount, window=window)


def tokens_text(amount: int) -> str:
    """Tokens as one would write them: 1500, 200k, 5M."""
    for name in ("M", "k"):
        if amount and amount % _LARGER[name] == 0:
            return f"{amount // _LARGER[name]}{name}"
    return str(amount)


def dollars_text(micro: int) -> str:
    """Micro-dollars as dollars: 2.00, 0.0015, and to the last digit."""
    whole, rest = divmod(micro, MICRO)
    digits = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{whole}.{digits}"
