"""Writes what pages hold that is made from the code, or with `--check` says which of them have drifted (acts).

A generated page is one row of PAGES: where it lies, and the function that draws it. To add one, write the function and
its row; the function takes nothing and returns the whole page, the same for the same code on every machine.
Tables within pages that people write are blocks: docs/drawn.py.
"""

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from docs import attacks_page, cli_page, methods_page, providers_page, seccomp_page
from docs.drawn import BLOCKS
from manifests import reference
from manifests.pipeline import keys

ROOT: Final = Path(__file__).resolve().parent.parent
MARK: Final = "<!-- Made by `./just docs`; change what it is made from. -->\n"


def adr_index() -> str:
    """The list of decisions, by number, from the first line of each record."""
    rows = []
    for record in sorted((ROOT / "docs" / "adr").glob("[0-9]*.md")):
        title = record.read_text(encoding="utf-8").split("\n", 1)[0].removeprefix("# ")
        rows.append(f"- [{title}]({record.name})")
    return (
        "# Decisions\n\n"
        "Each record says what was decided, why, and what it costs. The next one takes the next number.\n\n"
        + "\n".join(rows)
        + "\n"
    )


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "docs/adr/README.md": adr_index,
    "docs/attacks.md": attacks_page.page,
    "docs/cli.md": cli_page.page,
    "docs/hand-toml.md": reference.page,
    "docs/methods.md": methods_page.page,
    "docs/pipeline-toml.md": keys.page,
    "docs/providers.md": providers_page.page,
    "docs/seccomp.md": seccomp_page.page,
}

BLOCK: Final = re.compile(r"(<!-- drawn: ([\w ]+) -->\n).*?(<!-- /drawn -->)", re.DOTALL)
"""A block within a page: its mark with its name, what is drawn, the mark of its end."""


def redrawn(text: str, blocks: Mapping[str, Callable[[], str]] = BLOCKS) -> str:
    """A page with each of its blocks as its function draws it now. KeyError for a block that nothing draws."""
    return BLOCK.sub(lambda block: f"{block[1]}\n{blocks[block[2]]()}\n{block[3]}", text)


def drifted_blocks(root: Path) -> dict[str, str]:
    """The pages in docs/ in which a block is not what its function draws now, each with the text it should have."""
    stale = {}
    for page in sorted((root / "docs").rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        if redrawn(text) != text:
            stale[page.relative_to(root).as_posix()] = redrawn(text)
    return stale


def drifted(pages: Mapping[str, Callable[[], str]], root: Path) -> dict[str, str]:
    """The pages whose file is not what their function draws now, each with the text it should have."""
    wanted = {path: MARK + "\n" + draw() for path, draw in pages.items()}
    return {path: text for path, text in wanted.items() if not _is(root / path, text)}


def _is(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8") == text


def main(arguments: list[str]) -> int:
    """Write every page that drifted; with `--check`, name them and end with 1."""
    if arguments not in ([], ["--check"]):
        print("usage: ./just docs", file=sys.stderr)
        return 2
    stale = drifted_blocks(ROOT) | drifted(PAGES, ROOT)
    if arguments:
        for path in stale:
            print(f"{path} is not what the code says now. Write it anew: ./just docs", file=sys.stderr)
        return 1 if stale else 0
    for path, text in stale.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
