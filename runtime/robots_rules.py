"""Which lines of a site's robots.txt count for this program, and how many there may be (pure; RFC 9309).

Here since two Hands read such rules by the same bounds, `web` those of the site and `pages` those that lie elsewhere.
"""

import re
from typing import Final

AGENT: Final = "Maniple"
READ_MOST: Final = 500 * 1024
"""Bytes of a robots.txt that are read (§2.5: at least 500 KiB)."""

RULES_MOST: Final = 2000
"""Lines of rules for this program; each costs something with every page. Of a site that has more nothing is fetched."""

KEPT_FOR: Final = 3600.0
"""Seconds for which what was read holds."""

_NAMED: Final = re.compile(r"\s*user(?:-|\s+)?agent(?:\s*:|\s)(?P<name>[^#]*)", re.I)
_RULE: Final = re.compile(r"\s*(?:dis)?allow\s*:", re.I)
_EVERYONE: Final = "User-agent: *"
_OURS: Final = f"User-agent: {AGENT}"
_OTHERS: Final = "User-agent: -"
"""Stands for every program that is not this one; no name of this one has such a sign."""


def ours(raw: bytes) -> str | None:
    """The lines that count for this program, in which all others are one; None for more rules than RULES_MOST.

    Each rule of a group counts for each program that the group names, and Protego keeps every such pair: a few thousand lines
    of each would fill the memory, and take minutes, for whoever fetches anything meanwhile. Where a group ends Protego
    decides: a line is left out only where it is sure that the group is for others.
    """
    lines, named, rules = list[str](), set[str](), 0
    is_ours = is_ruled = False
    for line in raw[:READ_MOST].decode("utf-8-sig", "replace").splitlines():
        if match := _NAMED.match(line):
            if is_ruled:
                named, is_ours, is_ruled = set(), False, False
            kind = _kind(match["name"].strip())
            is_ours = is_ours or kind != _OTHERS
            if kind not in named:
                named.add(kind)
                lines.append(kind)
        elif is_ours and line.partition("#")[0].strip():
            named.clear()
            is_ruled = is_ruled or _RULE.match(line) is not None
            lines.append(line)
            rules += 1
            if rules > RULES_MOST:
                return None
    return "\n".join(lines)


def _kind(name: str) -> str:
    """The line that stands for one that names this program, or everyone, or others, or nobody."""
    bare = name.replace("*", "").strip().lower()
    if bare == AGENT.lower():
        return _OURS
    return _EVERYONE if name and not bare else _OTHERS
