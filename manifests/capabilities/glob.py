"""Matching of wildcards: `*` within one segment, `**` as a whole segment for any number of segments, even none (pure).

Separate because paths, URL paths and host names share it. Both functions take time proportional to the product of the
lengths, whatever the pattern: no exponential backtracking that a hostile resource could cause, as in `re`.

The same functions decide whether one pattern includes another: the narrow pattern is matched as if it were a resource.
Its `*` is then a character that only a wildcard matches, and its `**` a segment that only `**` matches.
"""


def fits(pattern: str, segment: str) -> bool:
    """Whether one segment matches a pattern in which each `*` stands for any number of characters, even none."""
    if "*" not in pattern:
        return pattern == segment
    head, *middle, tail = pattern.split("*")
    if len(segment) < len(head) + len(tail) or not segment.startswith(head) or not segment.endswith(tail):
        return False
    at, end = len(head), len(segment) - len(tail)
    for part in middle:
        found = segment.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def fits_all(pattern: tuple[str, ...], segments: tuple[str, ...]) -> bool:
    """Whether a list of segments matches a list of patterns, where `**` stands for any number of segments."""
    p = s = 0
    star, mark = -1, 0
    while s < len(segments):
        if p < len(pattern) and pattern[p] == "**":
            star, mark = p, s
            p += 1
        elif p < len(pattern) and segments[s] != "**" and fits(pattern[p], segments[s]):
            p += 1
            s += 1
        elif star >= 0:
            mark += 1
            s, p = mark, star + 1
        else:
            return False
    return all(part == "**" for part in pattern[p:])


def fault(segments: tuple[str, ...]) -> str:
    """Return why a list of segments is not a well-formed pattern, or ""."""
    for before, segment in zip(("", *segments), segments, strict=False):
        if "**" in segment and segment != "**":
            return f'"**" must stand alone between two "/", not inside "{segment}"'
        if before == segment == "**":
            return '"**" already means any depth, so it need not be doubled'
    return ""
