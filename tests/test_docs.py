"""Generated pages: what has drifted is found, and what was written is found to be in step."""

from pathlib import Path

from docs.generate import MARK, drifted


def _page() -> str:
    return "# Page\n"


def test_a_missing_and_a_changed_page_have_drifted_and_a_fresh_one_has_not(tmp_path: Path) -> None:
    (tmp_path / "changed.md").write_text(MARK + "\n# Pages\n", encoding="utf-8")
    (tmp_path / "fresh.md").write_text(MARK + "\n# Page\n", encoding="utf-8")
    stale = drifted({"missing.md": _page, "changed.md": _page, "fresh.md": _page}, tmp_path)
    assert stale == {"missing.md": MARK + "\n# Page\n", "changed.md": MARK + "\n# Page\n"}
