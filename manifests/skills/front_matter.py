"""Parses the head of a SKILL.md: YAML between two lines of three dashes, into texts, lists and tables (pure).

Every scalar stays a text (`version: 1.10` is "1.10", `no` is "no"). The rest of YAML is refused: aliases and anchors,
which can expand a few lines to gigabytes; tags, which name types to construct; directives; further documents; duplicate
names; more than DEEPEST levels. It works on the parser's events, so no YAML constructor ever runs.
"""

from typing import Final

from manifests.errors import ManifestsError

LONGEST: Final = 16 * 1024
"""The most characters of a head."""

DEEPEST: Final = 8
FENCE: Final = "---"

Value = str | list["Value"] | dict[str, "Value"]


class FrontMatterInvalid(ManifestsError):
    """The head of a SKILL.md is missing or malformed. line, column: from 1, in the file; instead: what to write."""

    def __init__(self, line: int, column: int, what: str, instead: str) -> None:
        super().__init__(f"line {line}: {what}; {instead}")
        self.line, self.column, self.what, self.instead = line, column, what, instead


def split(text: str) -> tuple[str, str]:
    """Split a SKILL.md into its head, without the fences, and its body.

    Raises FrontMatterInvalid for a text without a head, or with one that is too long.
    """
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    if not lines or lines[0].rstrip() != FENCE:
        raise FrontMatterInvalid(1, 1, "it does not begin with a head", f"begin with a line {FENCE}, then name: …")
    size = 0
    for at, line in enumerate(lines[1:], 1):
        if line.rstrip() == FENCE:
            return "".join(lines[1:at]), "".join(lines[at + 1 :])
        size += len(line)
        if size > LONGEST:
            raise FrontMatterInvalid(1, 1, f"its head is longer than {LONGEST} characters", "shorten it")
    raise FrontMatterInvalid(1, 1, "its head has no end", f"end it with a line {FENCE}")


def read(head: str) -> dict[str, Value]:
    """Parse a head into a table. Raises FrontMatterInvalid if it is not a table of the YAML allowed here."""
    import yaml

    builder = _Builder()
    try:
        for event in yaml.parse(head, Loader=yaml.BaseLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 2, mark.column + 1) if mark else (2, 1)
        what = f"this is not YAML: {error.problem or error.context}"
        raise FrontMatterInvalid(line, column, what, "mend the line, or put the value in quotes") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # an invalid character
        what = f"this is not YAML: {str(error).splitlines()[0][:200]}"
        raise FrontMatterInvalid(2, 1, what, "write plain text") from None
    found = builder.root
    if not isinstance(found, dict):
        raise FrontMatterInvalid(2, 1, "the head is not a table", "write `name: …` and `description: …`")
    return found


class _Builder:
    """Builds the value of one document from the parser's events. root: the result."""

    def __init__(self) -> None:
        self.root: Value = ""
        self._open: list[list[Value] | dict[str, Value]] = []
        self._name: str | None = None
        """The key of the innermost open table whose value comes next."""
        self._documents = 0

    def take(self, event: object) -> None:
        """Process one event of the parser."""
        kind = type(event).__name__
        if kind == "DocumentStartEvent":
            self._documents += 1
            if self._documents > 1 or getattr(event, "version", None) or getattr(event, "tags", None):
                raise self._refused(event, "directives and further documents have no place in a head", "leave it out")
        elif kind == "AliasEvent":
            raise self._refused(event, "an alias has no place in a head", "write the value out, or put it in quotes")
        elif kind in ("ScalarEvent", "MappingStartEvent", "SequenceStartEvent"):
            if getattr(event, "anchor", None) is not None:
                raise self._refused(event, "an anchor has no place in a head", "leave out the & and its name")
            if getattr(event, "tag", None) is not None:
                raise self._refused(event, "a tag has no place in a head", "leave out the ! and its name")
            self._begin(event, kind)
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self._open.pop()

    def _begin(self, event: object, kind: str) -> None:
        if kind == "ScalarEvent":
            text = str(getattr(event, "value", ""))
            if any("\ud800" <= char <= "\udfff" for char in text):
                raise self._refused(event, "half a surrogate pair is not text", "write the character itself")
            if self._open and isinstance(self._open[-1], dict) and self._name is None:
                if text in self._open[-1]:
                    raise self._refused(event, f"{text[:80]!r} stands there twice", "leave one out")
                self._name = text
                return
            self._put(text)
            return
        if len(self._open) >= DEEPEST:
            raise self._refused(event, f"it is more than {DEEPEST} levels deep", "keep it flat")
        if self._open and isinstance(self._open[-1], dict) and self._name is None:
            raise self._refused(event, "a name is a text", "write a word before the colon")
        made: list[Value] | dict[str, Value] = {} if kind == "MappingStartEvent" else []
        self._put(made)
        self._open.append(made)

    def _put(self, value: Value) -> None:
        if not self._open:
            self.root = value
            return
        above = self._open[-1]
        if isinstance(above, list):
            above.append(value)
            return
        assert self._name is not None
        above[self._name] = value
        self._name = None

    def _refused(self, event: object, what: str, instead: str) -> FrontMatterInvalid:
        mark = getattr(event, "start_mark", None)
        return FrontMatterInvalid(getattr(mark, "line", 0) + 2, getattr(mark, "column", 0) + 1, what, instead)
