"""The documentation is in step with the code: generated parts, links, commands, files and programs that it names."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

from docs.drawn import BLOCKS, state_table
from docs.generate import BLOCK, MARK, PAGES, find_stale_blocks, find_stale_pages, redraw_blocks
from kernel.cli import commands, typed
from manifests.check import check
from wire.checkpoint import Checkpoint, sign_checkpoint
from wire.entries import Chain, Entry, time_text
from wire.signing import SigningKey

ROOT: Final = Path(__file__).resolve().parent.parent
DOCS: Final = sorted((ROOT / "docs").rglob("*.md"))
HAND_MANUALS: Final = sorted((ROOT / "hands").glob("*/README.md"))
TEXTS: Final = [ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS, *HAND_MANUALS]

LINK: Final = re.compile(r"\]\((?!https?://)([^)\s#]*)(?:#([^)\s]*))?\)")
COMMAND: Final = re.compile(r"(?:`|^[ ]*(?:\$ )?)maniple ([a-z][a-z-]*)(?: ([a-z][a-z-]*)\b)?", re.MULTILINE)
FILE: Final = re.compile(r"`((?:docs|hands|kernel|manifests|memory|runtime|tests|wire)/[\w/.-]+\.(?:py|md|toml|csv))`")
SETTING: Final = re.compile(r"maniple settings ([a-z-]+) '([^']+)'")
EXAMPLE: Final = re.compile(r"```python\n.*?```", re.DOTALL)
"""Code that shows how something would be added."""

TO_BE_MADE: Final = {"kernel/cli/uptime.py", "manifests/capabilities/digest.py"}
"""Files that the pages about adding something tell the reader to make."""


def _named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _anchors(page: Path) -> set[str]:
    """What GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


# Codes ---------------------------------------------------------------------------------------------------------------


def test_each_code_of_a_refusal_stands_in_the_table_of_what_mends_it() -> None:
    page = (ROOT / "docs" / "life-of-a-call.md").read_text(encoding="utf-8")
    told = set(
        re.findall(r"`([a-z_ ]+)`", "\n".join(re.findall(r"^\| (`.*?) \|", page.split("### Refusals")[1], re.M)))
    )
    source = "".join(
        file.read_text(encoding="utf-8") for of in ("kernel", "manifests") for file in (ROOT / of).rglob("*.py")
    )
    assert told >= set(re.findall(r'\bRefusal\(\s*"([^"]+)"', source))


# Generated parts -----------------------------------------------------------------------------------------------------


def _page() -> str:
    return "# Page\n"


def test_a_missing_and_a_changed_page_have_drifted_and_a_fresh_one_has_not(tmp_path: Path) -> None:
    (tmp_path / "changed.md").write_text(MARK + "\n# Pages\n", encoding="utf-8")
    (tmp_path / "fresh.md").write_text(MARK + "\n# Page\n", encoding="utf-8")
    stale = find_stale_pages({"missing.md": _page, "changed.md": _page, "fresh.md": _page}, tmp_path)
    assert stale == {"missing.md": MARK + "\n# Page\n", "changed.md": MARK + "\n# Page\n"}


def test_a_block_is_drawn_anew_and_what_people_wrote_around_it_stays() -> None:
    text = "Before.\n\n<!-- drawn: a table -->\n\nold\n\n<!-- /drawn -->\n\nAfter.\n"
    drawn = redraw_blocks(text, {"a table": lambda: "new\n"})
    assert drawn == text.replace("old", "new")
    assert redraw_blocks(drawn, {"a table": lambda: "new\n"}) == drawn
    with pytest.raises(KeyError):
        redraw_blocks(text, {})


def test_a_page_whose_block_has_drifted_is_found(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "a.md"
    page.write_text("<!-- drawn: entry kinds -->\nold\n<!-- /drawn -->\n", encoding="utf-8")
    stale = find_stale_blocks(tmp_path)
    assert list(stale) == ["docs/a.md"]
    page.write_text(stale["docs/a.md"], encoding="utf-8")
    assert find_stale_blocks(tmp_path) == {}


def test_every_generated_page_and_block_is_what_the_code_says_now() -> None:
    assert find_stale_pages(PAGES, ROOT) == {}
    assert find_stale_blocks(ROOT) == {}


def test_every_block_stands_in_a_page() -> None:
    found = {block[1] for page in DOCS for block in BLOCK.findall(page.read_text(encoding="utf-8"))}
    assert found == set(BLOCKS)


def test_a_life_is_drawn_with_every_state_as_a_row_and_every_event_as_a_column() -> None:
    drawn = state_table({("a", "go"): "b", ("b", "end"): "c"})
    assert drawn.splitlines() == [
        "| state | go | end |",
        "| --- | --- | --- |",
        "| **a** | b |  |",
        "| **b** |  | c |",
        "| **c** |  |  |",
    ]


# What pages name -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", TEXTS, ids=_named)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for path, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(f"{path}#{anchor}")
    assert broken == []


@pytest.mark.parametrize("page", TEXTS, ids=_named)
def test_every_command_that_is_named_is_there(page: Path) -> None:
    unknown = []
    text = EXAMPLE.sub("", page.read_text(encoding="utf-8"))
    for name, then in COMMAND.findall(text):
        inner = commands.GROUPS.get(name)
        if name not in commands.TOP or (inner is not None and then and then not in inner):
            unknown.append(f"maniple {name} {then}".strip())
    assert unknown == []


@pytest.mark.parametrize("page", [ROOT / "README.md", *DOCS], ids=_named)
def test_every_file_that_is_named_is_there(page: Path) -> None:
    named = set(FILE.findall(page.read_text(encoding="utf-8"))) - TO_BE_MADE
    assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize("page", TEXTS, ids=_named)
def test_every_setting_that_a_page_gives_can_be_given_so(page: Path) -> None:
    for hand, word in SETTING.findall(page.read_text(encoding="utf-8")):
        declared = check((ROOT / "hands" / hand / "HAND.toml").read_text(encoding="utf-8")).settings
        given = typed.parse_words([word])
        assert set(given.names) <= declared.keys()
        assert typed.settings({name: one.type for name, one in declared.items()}, given)


def test_the_index_leads_to_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    linked = {(ROOT / "docs" / path).resolve() for path, _ in LINK.findall(index) if path}
    pages = [page for page in DOCS if page.parent.name not in ("adr", "bench") and "demo" not in page.parts]
    assert [_named(page) for page in pages if page not in linked and page.name != "README.md"] == []


def test_the_page_of_the_log_tells_every_field_of_an_entry() -> None:
    told = (ROOT / "docs" / "log.md").read_text(encoding="utf-8")
    assert [field for field in Entry.__struct_fields__ if f"`{field}`" not in told] == []


# The program by which a stranger checks a log ------------------------------------------------------------------------

OWN: Final = 8
"""The seed of a key whose base64 holds a `+`, as that of every second key does."""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The program that stands in docs/log.md."""
    text = (ROOT / "docs" / "log.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    file = tmp_path / "stranger.py"
    file.write_text(code, encoding="utf-8")
    return file


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of eleven entries, with its checkpoint."""
    chain, key = Chain(), _key(OWN)
    lines = [chain.append(kind="note", principal="operator", time=time_text(second)) for second in range(11)]
    folder = tmp_path / "log"
    (folder / "entries").mkdir(parents=True)
    (folder / "entries" / "000000.jsonl").write_bytes(b"".join(line + b"\n" for line in lines[:7]))
    (folder / "entries" / "000001.jsonl").write_bytes(b"".join(line + b"\n" for line in lines[7:]))
    head = Checkpoint(origin=key.verify_key.name, size=chain.frontier.size, root=chain.frontier.root())
    (folder / "checkpoint").write_text(sign_checkpoint(head, key), encoding="utf-8")
    return folder


def _key(seed: int) -> SigningKey:
    return SigningKey("maniple.local/stranger", bytes([seed]) * 32)


def _checked(program: Path, log: Path, key: SigningKey) -> tuple[bool, bool]:
    """Whether the program found the root good, and whether it ended well."""
    words = [sys.executable, "-I", str(program), str(log), key.verify_key.text()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    return "root: good\n" in done.stdout, done.returncode == 0


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the program in docs/log.md calls openssl")
def test_a_stranger_verifies_the_log_by_the_program_in_the_documentation(program: Path, log: Path) -> None:
    assert _key(OWN).verify_key.text().count("+") == 3
    assert _checked(program, log, _key(OWN)) == (True, True)
    assert _checked(program, log, _key(2)) == (True, False)
    entries = log / "entries" / "000000.jsonl"
    entries.write_bytes(entries.read_bytes().replace(b'"seq":3', b'"seq":4', 1))
    assert _checked(program, log, _key(OWN)) == (False, False)


def test_no_two_hands_of_the_docs_have_one_name() -> None:
    """Who tries one after the other would upgrade the first to another Hand."""
    folders = [path.parent for path in (ROOT / "docs").rglob("HAND.toml")]
    names = [tomllib.loads((folder / "HAND.toml").read_text())["hand"]["name"] for folder in folders]
    assert sorted(names) == sorted(set(names))
