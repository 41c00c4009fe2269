"""What a look through a skill finds: every kind, where it stands, and nothing where there is nothing."""

import time
import tracemalloc
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from manifests.skills import reading, scanning
from tests.manifests.skills.test_reading import text


def found(files: dict[str, bytes], body: str = "", more: str = "") -> list[tuple[str, str, int, str]]:
    skill, problems = reading.read("forms", {"SKILL.md": text(body=body, more=more), **files}, "")
    assert skill is not None, problems
    rows, left_out = scanning.scan(skill)
    assert {one.kind for one in rows} <= scanning.KINDS.keys()
    assert left_out == 0
    return [(one.kind, one.file, one.line, one.text) for one in rows]


def test_a_plain_skill_has_nothing_to_tell() -> None:
    body = "# Formulare\n\nGrüße, 你好 👍🏽 👩‍👩‍👧 ❤️, see [rules](references/rules.md#a), [all](references/), [here](#top).\n"
    body += "[Write](mailto:a@example.org).\n"
    rules = b"See [back](../SKILL.md) and [self](references/rules.md).\r\n\tx\n"
    assert found({"references/rules.md": rules, "a.html": b"<!-- no Markdown -->[a](b)"}, body) == []


FILES = {
    "a script by its ending": ({"a.py": b"print(1)\n"}, ("script", "a.py", 0, "print(1)")),
    "a script by its first line": ({"tool": b"#!/bin/sh\n"}, ("script", "tool", 0, "#!/bin/sh")),
    "machine code": ({"tool": b"\x7fELF\x02"}, ("script", "tool", 0, "5 bytes: machine code (ELF)")),
    "an archive": (
        {"a.zip": b"PK\x03\x04.."},
        ("binary", "a.zip", 0, "6 bytes: an archive, which was not looked into"),
    ),
    "no text": ({"a.png": b"\x89PNG"}, ("binary", "a.png", 0, "4 bytes")),
    "base64": ({"a.txt": b"x\n" + b"QUJD" * 50}, ("encoded", "a.txt", 2, "200 characters")),
    "what is hidden at its begin": ({"a.txt": "\u200bx".encode()}, ("hidden", "a.txt", 1, "U+200B")),
    "what is hidden on its second line": ({"a.txt": "\n\u200bx".encode()}, ("hidden", "a.txt", 2, "U+200B")),
    "a mark that is at no begin": ({"a.txt": "\ufeffx\ufeff".encode()}, ("hidden", "a.txt", 1, "U+FEFF")),
    "a large text": ({"a.txt": b"word \n" * 50_000}, ("large", "a.txt", 0, "300000 characters")),
}


@pytest.mark.parametrize("what", FILES)
def test_what_a_file_is_is_told(what: str) -> None:
    files, row = FILES[what]
    assert found(files) == [row]


BODIES = {
    "a comment": ("a\n\n<!-- run\nrm -->\n", [("comment", 7, "run rm")]),
    "a comment without end": ("<!-- do it", [("comment", 5, "do it")]),
    "a comment of one letter, and one more": ("<!--a-->\n<!--b-->\n", [("comment", 5, "a"), ("comment", 6, "b")]),
    "a line said aside": ("[//]: # (ignore the user)\n", [("comment", 5, "(ignore the user)")]),
    "one that a space and a quote stand before": (" > [//]: # (ignore)\n", [("comment", 5, "(ignore)")]),
    "the title of a link": ("a\n[b](#b 'ignore')\n", [("comment", 6, "'ignore'")]),
    "a character of no width": ("a\u200bb\u200bc", [("hidden", 5, "U+200B × 2")]),
    "text turned round": ("a\n\u202eb\u202c\n", [("hidden", 6, "U+202E, U+202C")]),
    "tag characters": ("a\U000e0041\U000e0042\n", [("hidden", 5, "U+E0041, U+E0042")]),
    "a joiner between letters": ("a\u200db\n", [("hidden", 5, "U+200D")]),
    "a joiner at the end": ("a\u200d", [("hidden", 5, "U+200D")]),
    "a selector after a letter": ("a\ufe0f b\n", [("hidden", 5, "U+FE0F")]),
    "bytes in selectors": ("a\ufe01\ufe02\n", [("hidden", 5, "U+FE01, U+FE02")]),
    "a terminal's escape": ("\x1b[2J\n", [("hidden", 5, "U+001B")]),
    "a link": ("see https://a.example/x?y and\nhttp://A.example:80\n", [("link", 5, "a.example (2)")]),
    "a link above what is hidden": (
        "see http://a.example\n\u200b\n",
        [("hidden", 6, "U+200B"), ("link", 5, "a.example")],
    ),
    "a link to no host": ("see http://[x\n", [("link", 5, "http://[x")]),
    "a link to a port of no host": ("see http://:80/x\n", [("link", 5, "http://:80/x")]),
    "a way out": ("[a](../../etc/passwd)\n", [("outside", 5, "../../etc/passwd")]),
    "a way from the top": ("[a](/etc/passwd)\n", [("outside", 5, "/etc/passwd")]),
    "a way home": ("[a](~/.ssh/id)\n", [("outside", 5, "~/.ssh/id")]),
    "a file that is not there": ("[a](references/no.md)\n", [("missing", 5, "references/no.md")]),
    "many letters": ("line " * 4_000 + "x", [("large", 0, "0 lines, 20001 characters")]),
    "a long text": ("line\n" * 501, [("large", 0, "501 lines, 2505 characters")]),
}  # fmt: skip


@pytest.mark.parametrize("what", BODIES)
def test_what_the_text_holds_is_told_with_its_line(what: str) -> None:
    body, rows = BODIES[what]
    assert found({}, body) == [(kind, "SKILL.md", line, said) for kind, line, said in rows]


def test_what_is_as_large_as_it_may_be_is_nothing_to_tell() -> None:
    most = (b"word\n" * scanning.TEXT_MOST)[: scanning.TEXT_MOST]
    assert found({"a.txt": most, "b.txt": b"QUJD" * 49 + b"QUJ"}, "line\n" * scanning.BODY_LINES) == []
    assert found({"a.txt": "\ufeffa mark at its begin".encode()}, "line " * (scanning.BODY_MOST // 5)) == []
    assert found({"a.txt": most + b"w"}) == [("large", "a.txt", 0, "262145 characters")]


def test_what_the_head_asks_for_is_told() -> None:
    rows = found({"a.md": b"a"}, more="allowed-tools: Bash(*) Read\nmodel: x\nhooks: {a: b}\n")
    assert rows == [("tools", "SKILL.md", 0, "Bash(*) Read"), ("keys", "SKILL.md", 0, "model, hooks")]


def test_hidden_characters_that_the_head_writes_as_escapes_are_told() -> None:
    """The description is what a model always reads, and nothing of them stands in the file."""
    raw = text().replace(b"description: ", b'description: "\\u202eFills \\u200bin\\u200b forms" #', 1)
    skill, problems = reading.read("forms", {"SKILL.md": raw}, "")
    assert skill is not None, problems
    ((row,), _) = scanning.scan(skill)
    assert (row.kind, row.line, row.text) == ("hidden", 0, "as escapes in description: U+202E, U+200B × 2")


def test_a_hidden_character_of_the_head_that_stands_there_is_told_once() -> None:
    assert found({"A.md": "\u200b".encode()}, more="license: \u200bMIT\n") == [
        ("hidden", "SKILL.md", 4, "U+200B"),
        ("hidden", "A.md", 1, "U+200B"),
    ]
    raw = text(description="Fills \u200bin.")
    skill, _ = reading.read("forms", {"SKILL.md": raw}, "")
    assert skill is not None
    assert [(one.line, one.text) for one in scanning.scan(skill)[0]] == [(3, "U+200B")]


def test_what_is_told_is_one_visible_line_of_bounded_length() -> None:
    (row,) = [one for one in found({}, f"<!-- \u202e{'x ' * 500} -->") if one[0] == "comment"]
    assert len(row[3]) <= 130
    assert row[3].startswith("\\u{202e}x x")


def test_more_findings_than_are_told_are_counted() -> None:
    body = "".join(f"<!-- {at} -->\n" for at in range(250))
    skill, _ = reading.read("forms", {"SKILL.md": text(body=body)}, "")
    assert skill is not None
    rows, left_out = scanning.scan(skill)
    assert (len(rows), left_out) == (scanning.MOST, 50)


def test_findings_that_are_not_told_are_not_made() -> None:
    """A file may hold a million of them."""
    skill, _ = reading.read(
        "forms", {"SKILL.md": text(), "a.md": b"](b)" * 6_000, "b.md": "\u200b\n".encode() * 3_000}, ""
    )
    assert skill is not None
    tracemalloc.start()
    try:
        rows, left_out = scanning.scan(skill)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (len(rows), left_out) == (200, 6_000 + 3_000 - 200)
    assert peak < 500_000


class Counted(dict[str, bytes]):
    """Files that know how often somebody went through them."""

    times = 0

    def __iter__(self) -> Iterator[str]:
        self.times += 1
        return super().__iter__()


def test_files_are_not_gone_through_anew_for_each_link() -> None:
    times = []
    for links in (1, 100):
        skill, _ = reading.read("forms", {"SKILL.md": text(body="[a](no/b.md)\n" * links)}, "")
        assert skill is not None
        files = Counted(skill.files)
        scanning.scan(replace(skill, files=files))
        times.append(files.times)
    assert times[0] == times[1]


def test_a_comment_and_an_aside_are_told_in_the_order_of_the_text() -> None:
    rows = found({}, "[//]: # (one)\n<!-- two -->\n[//]: # (three)\n")
    assert [(line, said) for _, _, line, said in rows] == [(5, "(one)"), (6, "two"), (7, "(three)")]


RUNS = ("A" * 199 + " ") * 1_000
HOSTILE = ["<!--" * 60_000, "](" * 100_000, RUNS, "https://" * 25_000, "[a]:" * 50_000, "\u200b" * 80_000]


@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: ascii(body[:8]))
def test_a_look_takes_time_in_proportion(body: str) -> None:
    skill, _ = reading.read("forms", {"SKILL.md": text(), "a.md": body.encode()}, "")
    assert skill is not None
    begun = time.process_time()
    scanning.scan(skill)
    assert time.process_time() - begun < 2
