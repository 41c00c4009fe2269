"""The head of a SKILL.md: what is read of YAML, and what is refused before anything is made of it."""

import time

import pytest

from manifests.skills import front_matter
from manifests.skills.front_matter import LONGEST, FrontMatterInvalid


def test_every_value_is_the_text_that_stands_there() -> None:
    head = "name: forms\ndescription: >\n  Fills in\n  forms.\n"
    head += "metadata:\n  version: 1.10\n  norway: no\nallowed-tools: [A, B]\n"
    assert front_matter.read(head) == {
        "name": "forms",
        "description": "Fills in forms.\n",
        "metadata": {"version": "1.10", "norway": "no"},
        "allowed-tools": ["A", "B"],
    }


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_what_comes_after_the_head_is_its_body(newline: str) -> None:
    text = newline.join(["---", "name: a", "---", "# Title", "", "---", "end"])
    head, body = front_matter.split(text)
    assert front_matter.read(head) == {"name": "a"}
    assert body == newline.join(["# Title", "", "---", "end"])


REFUSED = {
    "an alias that grows": ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", "an anchor"),
    "an alias": ("a: *b", "an alias"),
    "a tag that would run code": ("a: !!python/object/apply:os.system [id]", "a tag"),
    "a tag of one's own": ("a: !thing 1", "a tag"),
    "a tag that only says text": ("a: !!str 1", "a tag"),
    "directives": ("%YAML 1.1\n---\na: b", "directives"),
    "a second document": ("a: b\n--- # more\nc: d", "further documents"),
    "a name twice": ("name: a\nname: b", "stands there twice"),
    "a name that is a list": ("[a]: b", "a name is a text"),
    "a name that is a table": ("{a: b}: c", "a name is a text"),
    "too many levels": (f"a: {'[' * 8}x{']' * 8}", "levels deep"),
    "a list": ("- a", "not a table"),
    "nothing": ("", "not a table"),
    "half a pair": ('a: "\\ud800"', "surrogate"),
    "a character beyond all": ('a: "\\UFFFFFFFF"', "not YAML"),
    "a control character": ("a: \x01", "not YAML"),
    "no YAML": ("a: b: c", "not YAML"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_a_head_does_not_need_is_refused(what: str) -> None:
    head, why = REFUSED[what]
    with pytest.raises(FrontMatterInvalid) as refused:
        front_matter.read(head)
    assert why in refused.value.what
    assert refused.value.line >= 2


@pytest.mark.parametrize("text", ["", "# Title", "--- a\nname: b\n---", "---\nname: a\n", " ---\nname: a\n---\n"])
def test_a_text_without_a_head_is_refused(text: str) -> None:
    with pytest.raises(FrontMatterInvalid) as refused:
        front_matter.split(text)
    assert (refused.value.line, refused.value.column) == (1, 1)


def test_a_head_without_end_is_not_read_further_than_its_bound() -> None:
    assert front_matter.split("---\n" + "name: a\n" * (LONGEST // 8) + "---\nb")[1] == "b"
    with pytest.raises(FrontMatterInvalid, match="longer than"):
        front_matter.split("---\n" + "name: a\n" * (LONGEST // 8 + 1) + "---\n")


@pytest.mark.parametrize(
    "head", ["a: " + "[" * LONGEST, "a: " + "{" * LONGEST, "- " * (LONGEST // 2), "? " * (LONGEST // 2)]
)
def test_the_longest_head_is_read_in_bounded_time(head: str) -> None:
    begun = time.process_time()
    with pytest.raises(FrontMatterInvalid):
        front_matter.read(head[:LONGEST])
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(("line", "column"), [("more: &x c\n", 7), ("more: b: c\n", 8)], ids=["an anchor", "no YAML"])
def test_an_error_names_the_line_of_the_file(line: str, column: int) -> None:
    with pytest.raises(FrontMatterInvalid) as refused:
        front_matter.read(f"name: a\ndescription: b\n{line}")
    assert (refused.value.line, refused.value.column) == (4, column)
