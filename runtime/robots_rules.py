"""Selects the lines of a robots.txt that apply to this program, within a maximum (pure; RFC 9309).

Shared by two Hands: `web` reads a site's own rules, `pages` rules that have moved elsewhere.
"""

import re
from typing import Final

AGENT: Final = "Maniple"
READ_MOST: Final = 500 * 1024
"""Bytes read of a robots.txt (§2.5: at least 500 KiB)."""

RULES_MOST: Final = 2000
"""Most rules for this program; each costs time with every page. Nothing is fetched from a site with more."""

KEPT_FOR: Final = 3600.0
"""Seconds for which the rules are cached."""

_NAMED: Final = re.compile(r"\s*user(?:-|\s+)?agent(?:\s*:|\s)(?P<name>[^#]*)", re.I)
_RULE: Final = re.compile(r"\s*(?:dis)?allow\s*:", re.I)
_EVERYONE: Final = "User-agent: *"
_OURS: Final = f"User-agent: {AGENT}"
_OTHERS: Final = "User-agent: -"
"""Replaces the names of all other programs; no program has this name."""


def select_rules(raw: bytes) -> str | None:
    """The lines that apply to this program, with all other programs merged into one; None for more than RULES_MOST rules.

    Protego stores each rule of a group for each program that the group names: a few thousand lines of each would fill the
    memory and block every fetch for minutes. Where a group ends is left to Protego: a line is dropped only if its group
    certainly is for others.
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
    """The user-agent line that replaces one with this name: this program, everyone, or others."""
    bare = name.replace("*", "").strip().lower()
    if bare == AGENT.lower():
        return _OURS
    return _EVERYONE if name and not bare else _OTHERS
