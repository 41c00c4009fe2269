"""Writes the pages and tables that are generated from the code; with `--check`, lists those that are stale (acts).

A generated page is one row of PAGES: its path, and the function that draws it. To add one, write the function and its row;
the function takes nothing and returns the whole page, which depends on the code alone, not on the machine.
Generated tables within handwritten pages are blocks: docs/drawn.py.
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
    """Draw the index of decision records, by number, from the first line of each."""
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
"""A block within a page: the begin mark with the block's name, the drawn text, and the end mark."""


def redraw_blocks(text: str, blocks: Mapping[str, Callable[[], str]] = BLOCKS) -> str:
    """Return a page's text with each of its blocks drawn anew. Raises KeyError for a block without a function."""
    return BLOCK.sub(lambda block: f"{block[1]}\n{blocks[block[2]]()}\n{block[3]}", text)


def find_stale_blocks(root: Path) -> dict[str, str]:
    """Pages in docs/ with a stale block: path to the text that the page should have."""
    stale = {}
    for page in sorted((root / "docs").rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        if redraw_blocks(text) != text:
            stale[page.relative_to(root).as_posix()] = redraw_blocks(text)
    return stale


def find_stale_pages(pages: Mapping[str, Callable[[], str]], root: Path) -> dict[str, str]:
    """Generated pages whose file is missing or stale: path to the text that it should have."""
    wanted = {path: MARK + "\n" + draw() for path, draw in pages.items()}
    return {path: text for path, text in wanted.items() if not _has_text(root / path, text)}


def _has_text(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8") == text


def main(arguments: list[str]) -> int:
    """Write all stale pages; with `--check`, list them and return 1 if there are any."""
    if arguments not in ([], ["--check"]):
        print("usage: ./just docs", file=sys.stderr)
        return 2
    stale = find_stale_blocks(ROOT) | find_stale_pages(PAGES, ROOT)
    if arguments:
        for path in stale:
            print(f"{path} is stale: `./just docs` writes it anew", file=sys.stderr)
        return 1 if stale else 0
    for path, text in stale.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
