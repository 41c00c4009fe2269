"""How results look to people (pure but for asking the terminal its size): tables, units, colours.

Nothing a Hand wrote reaches a terminal as it is: what is no character to see is made visible, in each cell by
visible(), and once more by safe() or safe_json() in whatever frame.py writes. On a terminal a table fits its width, as far
as prose can be cut for it; elsewhere nothing is cut, so that grep finds it. Colours: on a terminal, and not with NO_COLOR.
"""

import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import IO, Final

from manifests.visibility import is_visible

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
_WHOLE: Final = frozenset({
    "RUN", "HAND", "ID", "ROOT", "FOLDER", "METHOD", "SETTING", "KEY", "SKILL", "PIPELINE", "ROUTE", "MODEL", "PROVIDER",
    "MEMORY", "TOOL", "STATE", "OUTCOME", "STARTED", "PLANNED", "NEXT", "MADE", "OF", "CHANGED", "DAY", "VERSION", "KIND",
    "ON", "ASKS", "UNTIL", "SEALS", "MOST", "READ BY", "EFFECT", "EXPIRES", "BUDGET", "SPENT", "RESERVED", "LEFT",
    "ENDS (UTC)",
})  # fmt: skip
"""Heads of what people type or compare, and of what somebody may. Cut, it would be worth nothing, and so would a number:
neither ever is."""

_NARROWEST: Final = 8
_GAP: Final = "  "
_BRUSH: Final = f"\033{os.urandom(8).hex()}"
"""Begins our own colours until safe() writes them: a text that a Hand wrote cannot hold it, and so paints nothing."""

_OURS: Final = re.compile(rf"{_BRUSH}(\[\d+m)")


def is_terminal(stream: IO[str] | None) -> bool:
    """Whether somebody looks at it."""
    return stream is not None and not stream.closed and stream.isatty()


class Painted(str):
    """A text that was made visible and then coloured: it is shown as it is."""

    __slots__ = ()


def coloured(text: str, colour: str) -> str:
    """One line, made visible, in a colour where colours are wanted. colour: a name of COLOURS, or "" for none."""
    shown = visible(text)
    if not shown or not colour or not _wants_colour():
        return shown
    return Painted(f"{_BRUSH}[{COLOURS[colour]}m{shown}{_BRUSH}[0m")


def _wants_colour() -> bool:
    return is_terminal(sys.stdout) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


_AS_PICTURE: Final = "\ufe0f"


def visible(text: object) -> str:
    """One line that cannot move the cursor, hide or reorder anything."""
    plain = str(text)
    if is_visible(plain):
        return plain
    return "".join(char if is_visible(char) else _escaped(char) for char in plain)


def prose(text: str) -> str:
    """Lines of what is said to a person, each as visible() shows it; but a symbol may be drawn as a picture (U+FE0F)."""
    if _AS_PICTURE not in text:
        return "\n".join(map(visible, text.split("\n")))
    from unicodedata import category

    first, *others = text.split(_AS_PICTURE)
    shown, before = prose(first), first
    for part in others:
        is_symbol = category(before[-1:] or " ") == "So"
        shown, before = shown + (_AS_PICTURE if is_symbol else visible(_AS_PICTURE)) + prose(part), part
    return shown


def _escaped(char: str) -> str:
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(char) or f"\\u{{{ord(char):x}}}"


def safe(text: str) -> str:
    """Lines with nothing in them that acts on a terminal, but for the colours that coloured() gave."""
    return "\n".join(line if is_visible(line) else _safe_line(line) for line in text.split("\n"))


def _safe_line(line: str) -> str:
    return "".join(f"\033{part}" if at % 2 else prose(part) for at, part in enumerate(_OURS.split(line)))


def unpainted(line: str) -> str:
    """A line without our own colours."""
    return _OURS.sub("", line)


def safe_json(text: str) -> str:
    """JSON that means the same, and whose strings hold no character that acts on a terminal."""
    if text.isascii() and "\x7f" not in text:
        return text  # JSON escapes the controls below space itself
    return "".join(char if is_visible(char) or char == "\n" else _json_escaped(char) for char in text)


def _json_escaped(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def is_text(word: str) -> bool:
    """Whether a word that was typed is text, and not bytes that Python could not read as such."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def width_of(text: str) -> int:
    """Columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def cut(text: str, width: int) -> str:
    """The text in at most so many columns."""
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
    """Rows under their heads. right: columns of numbers; colour_of: the column whose word is a state.

    spare: columns that a terminal too narrow for all of them does without: those in which nothing stands, then the others,
    the first one first.
    """
    lines = [[visible(cell) for cell in row] for row in rows]
    widths = [max(width_of(line[at]) for line in [[*head], *lines]) for at in range(len(head))]
    if is_terminal(sys.stdout):
        empty = [name for name in spare if not any(line[head.index(name)] for line in lines)]
        kept = _kept(head, widths, (*empty, *(name for name in spare if name not in empty)), terminal_width())
        head, lines = [head[at] for at in kept], [[line[at] for at in kept] for line in lines]
        widths = [widths[at] for at in kept]
        _fit(head, widths, frozenset(right), terminal_width())
    aligned_right = {at for at, name in enumerate(head) if name in right}
    state = head.index(colour_of) if colour_of else -1
    drawn = [coloured(_line(head, widths, aligned_right), "dim")]
    for line in lines:
        cells = list(line)
        text = _line(cells, widths, aligned_right, STATE_COLOURS.get(cells[state], "") if state >= 0 else "", state)
        drawn.append(text)
    return "\n".join(drawn)


def terminal_width() -> int:
    """Columns of the terminal; COLUMNS if it is set."""
    from shutil import get_terminal_size

    return max(get_terminal_size().columns, 40)


def room(stream: IO[str]) -> os.terminal_size:
    """Columns and lines of the very terminal that a stream goes to, for what is drawn over; 80 and 24 where none tells."""
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        columns = lines = 0
    return os.terminal_size((columns or 80, lines or 24))


def _wide(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _kept(head: Sequence[str], widths: Sequence[int], spare: Sequence[str], most: int) -> list[int]:
    """Which columns are shown: all, or as many of the spare ones less as it takes to fit."""
    kept = list(range(len(head)))
    for name in spare:
        if _wide([widths[at] for at in kept]) <= most:
            break
        kept.remove(head.index(name))
    return kept


def _fit(head: Sequence[str], widths: list[int], numbers: frozenset[str], most: int) -> None:
    """Take from the widest column of prose, until the whole fits or nothing can be taken."""
    prose = [at for at, name in enumerate(head) if name not in _WHOLE | numbers]
    while _wide(widths) > most and prose:
        widest = max(prose, key=lambda at: widths[at])
        if widths[widest] <= _NARROWEST:
            return
        widths[widest] -= 1


def _line(cells: Sequence[str], widths: list[int], right: set[int], colour: str = "", of: int = -1) -> str:
    padded = []
    for at, cell in enumerate(cells):
        kept = cut(cell, widths[at])
        room = " " * (widths[at] - width_of(kept))
        shown = coloured(kept, colour) if at == of else kept
        padded.append(room + shown if at in right else shown + room)
    return _GAP.join(padded).rstrip()


def fields(rows: Iterable[tuple[str, object]]) -> str:
    """Names and values below each other; values of several lines are indented."""
    kept = [
        (name, value if isinstance(value, Painted) else str(value))
        for name, value in rows
        if value not in (None, "", (), [])
    ]
    widest = max((len(name) for name, _ in kept), default=0)
    return "\n".join(
        f"{coloured(visible(name).ljust(widest), 'dim')}  {_indented(value, widest + 2)}" for name, value in kept
    )


def _indented(value: str, by: int) -> str:
    if isinstance(value, Painted):
        return value
    return ("\n" + " " * by).join(map(visible, value.split("\n")))


def count(number: int, what: str) -> str:
    """So many of something whose name takes an s."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def size(number: float) -> str:
    """Bytes in a unit that one can read."""
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


def duration(seconds: float) -> str:
    """Seconds in units that one can read."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    for unit, length, smaller, small in (("d", 86_400, "h", 3_600), ("h", 3_600, "m", 60), ("m", 60, "s", 1)):
        if whole >= length:
            return f"{whole // length}{unit} {whole % length // small}{smaller}"
    return f"{whole}s"


def dollars(micro: int) -> str:
    """Micro-dollars as dollars; a dash for nothing."""
    return f"${micro / 1_000_000:.4f}" if micro else "-"


def moment(text: str) -> str:
    """A time of the log, to the second, in UTC."""
    return text[:19].replace("T", " ")


def ago(micros: int, now: int) -> str:
    """How long before now, both in microseconds."""
    return duration(max(0, now - micros) / 1_000_000)


def lacking(layers: Iterable[str]) -> str:
    """Layers that runs do not have here; "" when there is none."""
    names = ", ".join(layers)
    return coloured(f"{names}: this machine lacks them, see `maniple doctor`", "yellow") if names else ""
