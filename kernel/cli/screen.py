"""Formats results for people (pure but for asking the terminal its size): tables, units, colours.

No text of a Hand reaches a terminal unescaped: visible() escapes control and other invisible characters in each cell, and
safe() or safe_json() does so again in everything that frame.py writes. On a terminal, prose is cut so that a table fits;
elsewhere nothing is cut, so that grep finds it. Colours: only on a terminal, and not with NO_COLOR.
"""

import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import IO, Final

from manifests.visibility import WHITESPACE, is_visible

COLOURS: Final = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "dim": 2, "bold": 1}
STATE_COLOURS: Final = {
    "ready": "green",
    "working": "green",
    "quarantined": "red",
    "over_budget": "red",
    "backing_off": "yellow",
    "paused": "yellow",
    "waiting for approval": "yellow",
    "starting": "yellow",
    "stopping": "yellow",
}
_NEVER_CUT: Final = frozenset({
    "RUN", "HAND", "ID", "ROOT", "FOLDER", "METHOD", "SETTING", "KEY", "SKILL", "PIPELINE", "ROUTE", "MODEL", "PROVIDER",
    "MEMORY", "TOOL", "STATE", "OUTCOME", "STARTED", "PLANNED", "NEXT", "MADE", "OF", "CHANGED", "DAY", "VERSION", "KIND",
    "ON", "ASKS", "UNTIL", "SEALS", "MOST", "READ BY", "EFFECT", "EXPIRES", "BUDGET", "SPENT", "RESERVED", "LEFT",
    "ENDS (UTC)",
})  # fmt: skip
"""Heads of columns that are never cut, as numbers never are: what people type or compare, and rights. Cut, they would be
useless."""

_NARROWEST: Final = 8
_GAP: Final = "  "
_COLOUR_START: Final = f"\033{os.urandom(8).hex()}"
"""Begins a colour of ours until safe() replaces it. It is random, so no text of a Hand can contain it and set colours."""

_OUR_COLOUR: Final = re.compile(rf"{_COLOUR_START}(\[\d+m)")


def is_terminal(stream: IO[str] | None) -> bool:
    """Whether the stream goes to a terminal."""
    return stream is not None and not stream.closed and stream.isatty()


class Painted(str):
    """A text that visible() has escaped and that is then coloured; it is shown unchanged."""

    __slots__ = ()


def coloured(text: str, colour: str) -> str:
    """Escape a line as visible() does, and colour it if colours are on. colour: a name of COLOURS, or "" for none."""
    shown = visible(text)
    if not shown or not colour or not _wants_colour():
        return shown
    return Painted(f"{_COLOUR_START}[{COLOURS[colour]}m{shown}{_COLOUR_START}[0m")


def _wants_colour() -> bool:
    return is_terminal(sys.stdout) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


_PICTURE_SELECTOR: Final = "\ufe0f"


def visible(text: object) -> str:
    """Escape a text into one line that cannot move the cursor, or hide or reorder anything."""
    plain = str(text)
    if is_visible(plain):
        return plain
    return "".join(char if is_visible(char) else _escaped(char) for char in plain)


def prose(text: str) -> str:
    """Escape each line as visible() does, but keep U+FE0F after a symbol, which draws it as a picture."""
    if _PICTURE_SELECTOR not in text:
        return "\n".join(map(visible, text.split("\n")))
    from unicodedata import category

    first, *others = text.split(_PICTURE_SELECTOR)
    shown, before = prose(first), first
    for part in others:
        is_symbol = category(before[-1:] or " ") == "So"
        shown, before = shown + (_PICTURE_SELECTOR if is_symbol else visible(_PICTURE_SELECTOR)) + prose(part), part
    return shown


def _escaped(char: str) -> str:
    return WHITESPACE.get(char) or f"\\u{{{ord(char):x}}}"


def safe(text: str) -> str:
    """Escape lines so that nothing in them acts on a terminal, except colours that coloured() set."""
    return "\n".join(line if is_visible(line) else _safe_line(line) for line in text.split("\n"))


def _safe_line(line: str) -> str:
    return "".join(f"\033{part}" if at % 2 else prose(part) for at, part in enumerate(_OUR_COLOUR.split(line)))


def unpainted(line: str) -> str:
    """Remove the colours that coloured() set from a line."""
    return _OUR_COLOUR.sub("", line)


def safe_json(text: str) -> str:
    """Escape characters that act on a terminal in the strings of a JSON text; its meaning stays the same."""
    if text.isascii() and "\x7f" not in text:
        return text  # JSON itself escapes the control characters below space
    return "".join(char if is_visible(char) or char == "\n" else _json_escaped(char) for char in text)


def _json_escaped(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def is_text(word: str) -> bool:
    """Whether a typed word is valid text: Python turns bytes that are not UTF-8 into lone surrogates."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def width_of(text: str) -> int:
    """The columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def cut(text: str, width: int) -> str:
    """Shorten a text to at most `width` columns; a cut text ends in an ellipsis."""
    if width_of(text) <= width:
        return text
    kept, room = 0, width - 1
    while (room := room - width_of(text[kept])) >= 0:
        kept += 1
    return text[:kept].rstrip() + "…"


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Iterable[str] = (),
    colour_of: str = "",
    spare: Sequence[str] = (),
) -> str:
    """Draw a table. right: right-aligned columns, of numbers; colour_of: the column of states, which sets colours.

    spare: columns that may be left out on a narrow terminal: empty ones first, then the others in this order.
    """
    lines = [[visible(cell) for cell in row] for row in rows]
    widths = [max(width_of(line[at]) for line in [[*head], *lines]) for at in range(len(head))]
    if is_terminal(sys.stdout):
        empty = [name for name in spare if not any(line[head.index(name)] for line in lines)]
        kept = _columns_that_fit(
            head, widths, (*empty, *(name for name in spare if name not in empty)), terminal_width()
        )
        head, lines = [head[at] for at in kept], [[line[at] for at in kept] for line in lines]
        widths = [widths[at] for at in kept]
        _shrink_prose(head, widths, frozenset(right), terminal_width())
    aligned_right = {at for at, name in enumerate(head) if name in right}
    state = head.index(colour_of) if colour_of else -1
    drawn = [coloured(_line(head, widths, aligned_right), "dim")]
    for line in lines:
        cells = list(line)
        text = _line(cells, widths, aligned_right, STATE_COLOURS.get(cells[state], "") if state >= 0 else "", state)
        drawn.append(text)
    return "\n".join(drawn)


def terminal_width() -> int:
    """Columns of the terminal, or $COLUMNS; at least 40."""
    from shutil import get_terminal_size

    return max(get_terminal_size().columns, 40)


def stream_size(stream: IO[str]) -> os.terminal_size:
    """Columns and lines of the terminal that a stream goes to, for output that is redrawn; 80 and 24 if unknown."""
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        columns = lines = 0
    return os.terminal_size((columns or 80, lines or 24))


def _table_width(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _columns_that_fit(head: Sequence[str], widths: Sequence[int], spare: Sequence[str], most: int) -> list[int]:
    """Indexes of the columns to show: spare ones are left out, in order, until the table is at most `most` wide."""
    kept = list(range(len(head)))
    for name in spare:
        if _table_width([widths[at] for at in kept]) <= most:
            break
        kept.remove(head.index(name))
    return kept


def _shrink_prose(head: Sequence[str], widths: list[int], numbers: frozenset[str], most: int) -> None:
    """Narrow the widest column of prose until the table is at most `most` wide, or none can be narrowed. Sets widths."""
    may_shrink = [at for at, name in enumerate(head) if name not in _NEVER_CUT | numbers]
    while _table_width(widths) > most and may_shrink:
        widest = max(may_shrink, key=lambda at: widths[at])
        if widths[widest] <= _NARROWEST:
            return
        widths[widest] -= 1


def _line(cells: Sequence[str], widths: list[int], right: set[int], colour: str = "", of: int = -1) -> str:
    padded = []
    for at, cell in enumerate(cells):
        kept = cut(cell, widths[at])
        padding = " " * (widths[at] - width_of(kept))
        shown = coloured(kept, colour) if at == of else kept
        padded.append(padding + shown if at in right else shown + padding)
    return _GAP.join(padded).rstrip()


def fields(rows: Iterable[tuple[str, object]]) -> str:
    """Draw name and value pairs, one below the other; empty values are left out, further lines of a value indented.

    A tuple is a list of words, which a terminal gets in lines of its width.
    """
    kept = [(name, value) for name, value in rows if value not in (None, "", (), [])]
    widest = max((len(name) for name, _ in kept), default=0)
    return "\n".join(
        f"{coloured(visible(name).ljust(widest), 'dim')}  {_indented(_as_text(value, widest + 2), widest + 2)}"
        for name, value in kept
    )


def _as_text(value: object, by: int) -> str:
    if not isinstance(value, tuple):
        return value if isinstance(value, Painted) else str(value)
    words = ", ".join(value)
    if not is_terminal(sys.stdout):
        return words
    from textwrap import wrap

    return "\n".join(wrap(words, terminal_width() - by, break_on_hyphens=False))


def indented(text: str) -> str:
    """Escape each line of a text by others. All but the first are indented, so that none looks like one of Maniple's."""
    return "\n  ".join(map(visible, text.split("\n")))


def _indented(value: str, by: int) -> str:
    if isinstance(value, Painted):
        return value
    return ("\n" + " " * by).join(map(visible, value.split("\n")))


def count(number: int, what: str) -> str:
    """A number and a noun whose plural takes an s."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def listed(names: Sequence[str]) -> str:
    """Join names for a sentence: `a, b and c`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def size(number: float) -> str:
    """A number of bytes in B, KiB, MiB or GiB."""
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


def duration(seconds: float) -> str:
    """Seconds as `4.2s`, `3m 20s`, `2h 5m` or `1d 3h`."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    for unit, length, smaller, small in (("d", 86_400, "h", 3_600), ("h", 3_600, "m", 60), ("m", 60, "s", 1)):
        if whole >= length:
            return f"{whole // length}{unit} {whole % length // small}{smaller}"
    return f"{whole}s"


def dollars(micro: int) -> str:
    """Micro-dollars as dollars; a dash for 0."""
    return f"${micro / 1_000_000:.4f}" if micro else "-"


def moment(text: str) -> str:
    """A time of the log (RFC 3339, UTC) to the second."""
    return text[:19].replace("T", " ")


def ago(micros: int, now: int) -> str:
    """The time between two moments, both in microseconds."""
    return duration(max(0, now - micros) / 1_000_000)


def lacking(layers: Iterable[str]) -> str:
    """A warning that names the layers which runs lack on this machine; "" if they lack none."""
    names = ", ".join(layers)
    return coloured(f"{names}: this machine lacks them, see `maniple doctor`", "yellow") if names else ""
