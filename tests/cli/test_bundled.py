"""After an update of Maniple one command brings the bundled Hands of a home to this version."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.cli import founding, hands, replies, screen
from tests.cli.shell import Shell, copied_home, installed_versions, is_one_clear_line
from tests.living import ROOT

OLDER = ("plan", "time")


def _older(name: str, into: Path) -> Path:
    """A bundled Hand as another version of Maniple had it: other code, and it asked for less."""
    folder = into / name
    shutil.copytree(ROOT / "hands" / name, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "main.py").write_text((folder / "main.py").read_text() + "\nOLDER = True\n")
    return folder


@pytest.fixture(scope="module")
def updated(furnished: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A home of an older Maniple, whose kernel runs: two Hands are other ones, and one was removed."""
    shell = copied_home(furnished, tmp_path_factory.mktemp("updated") / "home")
    folders = tmp_path_factory.mktemp("older")
    shell.good("up")
    for name in OLDER:
        shell.good("install", _older(name, folders), "--yes")
    shell.good("remove", "monitoring", "--purge", "--yes")
    yield shell
    shell.run("down")


@pytest.mark.wide
def test_up_names_the_one_command(updated: Shell) -> None:
    updated.good("down")
    told = updated.run("up").err
    assert "`maniple install --bundled`" in told
    assert [name in told for name in (*OLDER, "monitoring", "files")] == [True, True, False, False]


@pytest.mark.wide
def test_nothing_is_installed_where_nobody_can_be_asked(updated: Shell) -> None:
    before = installed_versions(updated)
    ran = updated.run("install", "--bundled")
    assert (ran.code, ran.out, "`maniple install --bundled --yes`" in ran.err) == (2, "", True), ran
    assert [f"\n{name} " in f"\n{ran.err}" for name in (*OLDER, "files")] == [True, True, False], ran
    assert installed_versions(updated) == before
    assert "`maniple install --bundled`" in (updated.good("down"), updated.run("up").err)[1]


@pytest.mark.parametrize(
    "words", [("x", "--bundled"), ("--bundled", "--clean"), ("--bundled", "--effects-as-declared")]
)
def test_what_is_said_of_one_folder_does_not_go_with_it(words: tuple[str, ...], updated: Shell) -> None:
    ran = updated.run("install", *words)
    assert (ran.code, is_one_clear_line(ran), "--bundled" in ran.err) == (2, True, True), ran


def test_a_folder_is_asked_for_where_none_is_named(updated: Shell) -> None:
    ran = updated.run("install")
    assert (ran.code, ran.err.startswith("maniple: DIR is missing")) == (2, True), ran


def test_those_of_another_version_are_installed_and_no_others(updated: Shell) -> None:
    told = updated.result("install", "--bundled", "--yes")
    rows = told["installed"]
    assert isinstance(rows, list)
    assert sorted(row["name"] for row in rows) == [*OLDER]
    assert "monitoring" not in {name for name, _ in installed_versions(updated)}
    ran = updated.run("install", "--bundled", "--json")
    assert (ran.code, ran.table()) == (0, {"installed": [], "failed": {}}), ran
    updated.good("down")
    assert "another version" not in updated.run("up").err


@pytest.mark.wide
def test_those_that_a_key_of_the_past_sealed_are_sealed_by_the_new_one(updated: Shell, tmp_path: Path) -> None:
    updated.good("keys", "new", tmp_path / "next", "--name", "next")
    old = updated.result("keys", "list")["keys"]
    assert isinstance(old, list)
    ran = updated.run("keys", "rotate", old[0]["id"], f"{tmp_path}/next.pub", "--yes")
    assert (ran.code, "`maniple install --bundled`" in ran.err) == (0, True), ran
    shutil.move(tmp_path / "next", founding.seal_key_path(str(updated.home)))
    names = [name for name, _ in sorted(installed_versions(updated))]
    assert f"{screen.listed(names)} do not start: `maniple install --bundled` installs them" in updated.good("hands")
    rows = updated.result("install", "--bundled", "--yes")["installed"]
    assert isinstance(rows, list)
    assert sorted(row["name"] for row in rows) == names
    assert "do not start" not in updated.good("hands")
    assert updated.run("install", "--bundled").code == 0


def _row(name: str, *, state: str = "idle", why: str = "") -> replies.HandRow:
    return replies.HandRow(
        name=name, version="1.0.0", kind="task", state=state, wanted=False, why=why, description=f"What {name} does."
    )


def test_hands_tells_below_the_table_what_keeps_many_from_starting() -> None:
    """A sentence of 250 characters for each of 20 Hands was the table."""
    why = "it does not start: the key that sealed it counts no more; install it again"
    names = ("own", "files", "time", "skills")  # the Hand skills is made by `maniple skills install`
    rows = [*(_row(name, why=why) for name in names), _row("web")]
    drawn = hands.draw_table(replies.Hands(hands=(*rows, _row("ill", state="quarantined", why="it died too often"))))
    table, below = drawn.split("\n\n")
    assert (why in table, "What files does." in table, "it died too often" in table) == (False, True, True)
    assert below.splitlines() == [
        "files and time do not start: `maniple install --bundled` installs them again.",
        f"own: {why}; `maniple hands --json` says why skills does not start either.",
    ]
