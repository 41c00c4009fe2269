"""Parsing and formatting of allowances: "200k/day" of tokens, "2.00/day" of dollars (pure).

Separate because HAND.toml and `maniple budget` use the same spellings. Amounts are integers: tokens and micro-dollars, so
no sum is ever rounded. Raises ValueInvalid with what to write instead.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final, get_args

from manifests.errors import ValueInvalid
from manifests.schema import Allowance, Window

WINDOWS: Final[tuple[Window, ...]] = get_args(Window)
MOST: Final = 10**15
"""The largest amount, in tokens or micro-dollars; the latter are a thousand million dollars."""

MICRO: Final = 1_000_000
_TOKENS: Final = re.compile(r"(?a)(0|[1-9][0-9]{0,15})([kM]?)")
_DOLLARS: Final = re.compile(r"(?a)(0|[1-9][0-9]{0,15})(?:\.([0-9]{1,6}))?")
_LARGER: Final = {"": 1, "k": 1_000, "M": 1_000_000}


def parse_tokens(text: str) -> Allowance:
    """Parse "1500/hour", "200k/day" or "5M/month"."""
    amount, window = _split(text, "200k/day")
    return Allowance(amount=tokens_of(amount, f"/{window}"), window=window)


def parse_dollars(text: str) -> Allowance:
    """Parse "2/day", "0.05/hour" or "60.00/month"."""
    amount, window = _split(text, "2.00/day")
    return Allowance(amount=dollars_of(amount, f"/{window}"), window=window)


def parse_all(texts: Iterable[str], parse: Callable[[str], Allowance]) -> tuple[Allowance, ...]:
    """Parse allowances with parse_tokens or parse_dollars. Refuses two for the same window."""
    found = tuple(map(parse, texts))
    if len({allowance.window for allowance in found}) < len(found):
        raise ValueInvalid("two amounts are for the same window", "leave one out")
    return found


def tokens_of(text: str, per: str = "") -> int:
    """Parse "1500", "200k" or "5M" into tokens. per: the text after the amount, for messages."""
    match = _TOKENS.fullmatch(text)
    if match is None:
        mend = f'write a whole number, or one of k or M, such as "200k{per}"'
        raise ValueInvalid(f'"{text}{per}" is not a number of tokens', mend)
    return _within_most(text, int(match[1]) * _LARGER[match[2]], f"{MOST // MICRO}M", per)


def dollars_of(text: str, per: str = "") -> int:
    """Parse "2", "0.05" or "60.00" into micro-dollars. per: the text after the amount, for messages."""
    match = _DOLLARS.fullmatch(text)
    if match is None:
        mend = f'write dollars without a sign, at most six digits after the point, such as "2.00{per}"'
        raise ValueInvalid(f'"{text}{per}" is not an amount of dollars', mend)
    return _within_most(text, int(match[1]) * MICRO + int((match[2] or "").ljust(6, "0")), str(MOST // MICRO), per)


def some_tokens(text: str) -> int:
    """Parse tokens. Refuses 0, which would mean that there is no bound."""
    return _above_zero(text, tokens_of(text))


def some_dollars(text: str) -> int:
    """Parse dollars into micro-dollars. Refuses 0, which would mean that there is no bound."""
    return _above_zero(text, dollars_of(text))


def _above_zero(text: str, amount: int) -> int:
    if not amount:
        raise ValueInvalid(f'"{text}" would let it do nothing', "write more, or leave it out: then there is no bound")
    return amount


def _split(text: str, example: str) -> tuple[str, Window]:
    amount, slash, name = text.partition("/")
    for window in WINDOWS:
        if slash and name == window:
            return amount, window
    why = f'"{name}" is not a window' if slash else f'"{text}" names no window'
    raise ValueInvalid(why, f'write /hour, /day or /month after the amount, such as "{example}"')


def _within_most(text: str, amount: int, most: str, per: str) -> int:
    if amount > MOST:
        raise ValueInvalid(f'"{text}{per}" is too much', f'write at most "{most}{per}"')
    return amount


def tokens_text(amount: int) -> str:
    """Format tokens as parse_tokens reads them: 1500, 200k, 5M."""
    for name in ("M", "k"):
        if amount and amount % _LARGER[name] == 0:
            return f"{amount // _LARGER[name]}{name}"
    return str(amount)


def dollars_text(micro: int) -> str:
    """Format micro-dollars as dollars, without rounding: 2.00, 0.0015."""
    whole, rest = divmod(micro, MICRO)
    digits = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{whole}.{digits}"
