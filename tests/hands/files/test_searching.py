"""A folder is searched with all that lies beneath it, and nothing else is."""

import asyncio
import fnmatch
import os
import time
import tracemalloc
from pathlib import Path

import pytest
import re2

from tests.hands.doubles import FakeCall, hand_module
from tests.hands.files.conftest import Desk

searching = hand_module("files", "files_searching")
Failure = hand_module("files", "main").Failure


@pytest.fixture
def grown(root: Path) -> Path:
    for way, text in (
        ("a.py", "import os\nprint('Ä')\n"),
        ("src/b.py", "x = 1\nimport re\n"),
        ("src/deep/c.txt", "import nothing"),
        ("src/deep/d.py", ""),
    ):
        (root / way).parent.mkdir(parents=True, exist_ok=True)
        (root / way).write_text(text)
    (root / "image").write_bytes(b"\x89PNG\0import\n")
    (root / "out").symlink_to("..")
    (root / "secret-link").symlink_to("../secret")
    os.mkfifo(root / "fifo")
    (root / ".maniple-bin").mkdir()
    (root / ".maniple-bin/x.py").write_text("import deleted\n")
    return root


def paths(reply: dict[str, object], name: str = "entries") -> list[str]:
    rows = reply[name]
    assert isinstance(rows, list)
    return [row["path"] for row in rows]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.py", ["a.py"]),
        ("**/*.py", ["a.py", "src/b.py", "src/deep/d.py"]),
        ("src/*", ["src/b.py", "src/deep"]),
        ("**/deep/**", ["src/deep", "src/deep/c.txt", "src/deep/d.py"]),
        ("out/**", ["out"]),
        ("none", []),
    ],
)
def test_paths_that_fit_are_found_in_order(desk: Desk, grown: Path, pattern: str, found: list[str]) -> None:
    assert paths(desk.ask("glob", "root", pattern=pattern)) == found


def test_a_long_answer_goes_on_where_it_ended(desk: Desk, grown: Path) -> None:
    all_of_it, part, after = paths(desk.ask("glob", "root", pattern="**")), list[str](), ""
    while True:
        reply = desk.ask("glob", "root", pattern="**", most=3, after=after)
        part += paths(reply)
        after = part[-1]
        if not reply["more"]:
            break
    assert part == all_of_it == sorted(all_of_it, key=lambda way: way.split("/"))
    assert ".maniple-bin" not in all_of_it


def test_lines_are_found_with_their_numbers(desk: Desk, grown: Path) -> None:
    reply = desk.ask("grep", "root", pattern=r"^import \w+$")
    assert reply["matches"] == [
        {"path": "a.py", "line": 1, "text": "import os"},
        {"path": "src/b.py", "line": 2, "text": "import re"},
        {"path": "src/deep/c.txt", "line": 1, "text": "import nothing"},
    ]
    assert paths(desk.ask("grep", "root", pattern="IMPORT", names="**/*.py", ignore_case=True), "matches") == [
        "a.py",
        "src/b.py",
    ]
    assert desk.ask("grep", "root/a.py", pattern="('ä')", literal=True, ignore_case=True)["matches"] == [
        {"path": "", "line": 2, "text": "print('Ä')"}
    ]


def test_a_line_is_told_once_and_none_goes_over_its_end(desk: Desk, root: Path) -> None:
    (root / "f").write_text("aaa\nab\nba\n")
    assert [row["line"] for row in desk.ask("grep", "root/f", pattern="a")["matches"]] == [1, 2, 3]  # type: ignore[attr-defined]
    assert desk.ask("grep", "root/f", pattern="b[^z]b")["matches"] == []
    assert len(desk.ask("grep", "root/f", pattern="$")["matches"]) == 3  # type: ignore[arg-type]  # a list


def test_no_link_leads_a_search_out_and_what_is_no_text_is_passed_over(desk: Desk, grown: Path) -> None:
    assert desk.ask("grep", "root", pattern="secret")["matches"] == []
    kinds = {row["path"]: row["kind"] for row in desk.ask("glob", "root", pattern="*")["entries"]}  # type: ignore[attr-defined]
    assert (kinds["out"], kinds["secret-link"], kinds["fifo"]) == ("link", "link", "fifo")
    assert "image" not in paths(desk.ask("grep", "root", pattern="import"), "matches")
    for resource in ("root/out", "root/secret-link"):
        with pytest.raises(Failure) as failed:
            desk.ask("grep", resource, pattern="secret")
        assert failed.value.code == "symbolic link"


def test_lines_across_blocks_are_counted_and_whole(desk: Desk, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "BLOCK", 128)  # so that a short text goes over many
    lines = [f"line {number} " + "x" * (number % 90) for number in range(300)]
    (root / "f").write_text("\n".join(lines))
    reply = desk.ask("grep", "root/f", pattern=r"^line \d*7 ", most=100)["matches"]
    assert isinstance(reply, list)
    assert [row["line"] for row in reply] == [number + 1 for number in range(300) if number % 10 == 7]
    assert all(row["text"] == lines[row["line"] - 1] for row in reply)


def test_no_expression_takes_longer_than_the_text_is(desk: Desk, root: Path) -> None:
    (root / "f").write_text("a" * 200_000 + "!")
    began = time.monotonic()
    assert desk.ask("grep", "root/f", pattern="(a|a)*(a+)+$")["matches"] == []
    assert time.monotonic() - began < 5
    for wrong in ("(", "a{1000}{1000}{1000}", r"(a)\1", "", "a\nb"):
        with pytest.raises(Failure) as failed:
            desk.ask("grep", "root/f", pattern=wrong)
        assert failed.value.code == "arguments"


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("glob", {"pattern": "*a" * 513}),
        ("grep", {"pattern": "a", "names": "*a" * 513}),
        ("grep", {"pattern": "a" * 8193}),
        ("grep", {"pattern": "[ab]{0,1000}" * 4}),
    ],
)
def test_what_is_matched_with_has_a_longest_size(
    desk: Desk, root: Path, method: str, arguments: dict[str, str]
) -> None:
    with pytest.raises(Failure) as failed:
        desk.ask(method, "root", **arguments)
    assert failed.value.code == "arguments"
    assert len(failed.value.text) < 200


def test_others_have_their_turn_while_names_are_matched_and_a_cancel_is_heard(
    desk: Desk, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(100):
        os.mknod(root / f"{number}")
    monkeypatch.setattr(searching, "MOMENT", 0.0)
    turn, matched = [0], list[int]()

    async def cancelled_at(count: int) -> None:
        def fits(*_: object) -> bool:
            matched.append(turn[0])
            if len(matched) == count:
                work.cancel()
            return False

        monkeypatch.setattr(searching, "fits_all", fits)
        work = asyncio.ensure_future(desk.hand.glob(FakeCall("root"), pattern="none"))
        while not work.done():
            turn[0] += 1
            await asyncio.sleep(0)
        assert work.cancelled() == (count <= 100)

    desk.run(cancelled_at(1000))
    assert len(set(matched)) == len(matched) == 100
    matched.clear()
    desk.run(cancelled_at(10))
    assert len(matched) == 10


def test_a_cancel_is_heard_between_two_pieces_of_a_file(
    desk: Desk, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "f").write_text("a line\n" * 10_000)
    monkeypatch.setattr(searching, "MOMENT", 0.0)
    monkeypatch.setattr(searching, "BLOCK", 128)
    fitting, pieces = searching._matching_in, list[object]()

    async def cancelled() -> None:
        def at_the_third(*piece: object) -> object:
            pieces.append(piece)
            if len(pieces) == 3:
                desk.loop.call_soon_threadsafe(work.cancel)
            return fitting(*piece)

        monkeypatch.setattr(searching, "_matching_in", at_the_third)
        work = asyncio.ensure_future(desk.hand.grep(FakeCall("root/f"), pattern="none"))
        with pytest.raises(asyncio.CancelledError):
            await work

    desk.run(cancelled())
    assert len(pieces) == 3


def test_a_search_that_is_too_large_says_that_it_was_cut(
    desk: Desk, grown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "LOOKED_AT_MOST", 5)
    reply = desk.ask("glob", "root", pattern="none")
    assert (reply["cut"], reply["more"]) == (True, False), "no part of it comes by asking on"
    monkeypatch.setattr(searching, "LOOKED_AT_MOST", 1000)
    assert desk.ask("glob", "root", pattern="none")["cut"] is False
    monkeypatch.setattr(searching, "READ_MOST", 5)
    reply = desk.ask("grep", "root", pattern="none")
    assert (reply["cut"], reply["more"]) == (True, False)


def test_a_search_that_is_cut_tells_what_it_has_seen(desk: Desk, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for way in ("a/1", "a/2", "a/3", "a/4", "b/1"):
        (root / way).parent.mkdir(exist_ok=True)
        (root / way).write_text("0123456789")
    monkeypatch.setattr(searching, "FOLDER_MOST", 3)
    reply = desk.ask("glob", "root", pattern="**")
    assert (len(paths(reply)), paths(reply)[-1], reply["cut"]) == (6, "b/1", True), "of one folder some are passed over"
    reply = desk.ask("grep", "root", pattern="5")
    assert (reply["searched"], reply["cut"]) == (4, True)
    monkeypatch.setattr(searching, "LOOKED_AT_MOST", 4)
    reply = desk.ask("glob", "root", pattern="**")
    assert (len(paths(reply)), paths(reply)[-1], reply["cut"]) == (4, "b", True), "a folder is not looked into"
    assert desk.ask("glob", "root/b", pattern="**")["cut"] is False
    monkeypatch.setattr(searching, "READ_MOST", 15)
    reply = desk.ask("grep", "root/a", pattern="5")
    assert (len(paths(reply, "matches")), reply["searched"], reply["cut"]) == (1, 2, True), "no further file is read"


def test_no_pattern_is_kept_when_its_call_has_ended(desk: Desk, grown: Path) -> None:
    """What RE2 made of one grows by megabytes while it searches."""
    desk.ask("grep", "root", pattern="(a|b)*a(a|b){14}")
    assert re2._Regexp._make.cache_info().currsize == 0
    kept = fnmatch._compile_pattern.cache_info().currsize  # type: ignore[attr-defined]  # typeshed has it not
    desk.ask("list", "root", pattern="?" * 1023)
    assert fnmatch._compile_pattern.cache_info().currsize == kept  # type: ignore[attr-defined]  # likewise
    with pytest.raises(Failure) as failed:
        desk.ask("list", "root", pattern="?" * 1025)
    assert failed.value.code == "arguments"


def test_a_name_that_waits_takes_little_memory(desk: Desk, root: Path) -> None:
    """There may be 200,000 of them, and all callers share one process."""
    for number in range(3000):
        os.mknod(root / f"{number}")
    desk.ask("glob", "root", pattern="none")
    tracemalloc.start()
    desk.ask("glob", "root", pattern="none")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3000 * 500


@pytest.mark.wide
def test_many_searches_at_once_take_hardly_more_memory_than_one(
    desk: Desk, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_module("files", "search_crowd"), "CROWD_MOST", 800)  # 50,000 names take their time
    for folder in (root, root / "a", root / "a" / "b"):
        folder.mkdir(exist_ok=True)
        for number in range(600):
            os.mknod(folder / f"c{number}")

    async def searched() -> list[dict[str, object]]:
        return list(await asyncio.gather(*(desk.hand.glob(FakeCall("root"), pattern="**/c599") for _ in range(12))))

    desk.run(searched())
    tracemalloc.start()
    replies = desk.run(searched())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [paths(reply) for reply in replies] == [["a/b/c599", "a/c599", "c599"]] * 12
    assert all(reply["cut"] is False for reply in replies)
    assert peak < (1800 + 800) * 500


def test_a_search_that_was_given_back_waits_until_it_fits(
    desk: Desk, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it reads the same folder again and again, and everybody's work stands behind that."""
    monkeypatch.setattr(hand_module("files", "search_crowd"), "CROWD_MOST", 2_000)
    for number in range(1500):
        os.mknod(root / f"c{number}")
    read, hand = list[object](), type(desk.hand)
    really = hand._list_folder

    def inside(*given: object) -> object:
        read.append(given)
        return really(*given)

    monkeypatch.setattr(hand, "_list_folder", inside)

    async def searched() -> int:
        with desk.hand.crowd.joined() as first:
            first.waiting = 1500
            search = asyncio.ensure_future(desk.hand.glob(FakeCall("root"), pattern="c1499"))
            while not read:  # noqa: ASYNC110  a thread tells
                await asyncio.sleep(0)
            await asyncio.sleep(0.3)
            tried = len(read)
        assert paths(await search) == ["c1499"]
        return tried

    assert desk.run(searched()) == 1


def test_a_search_of_a_few_names_waits_for_none_of_many(
    desk: Desk, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_module("files", "search_crowd"), "CROWD_MOST", 2_000)
    (root / "few").mkdir()
    os.mknod(root / "few" / "one")

    async def searched() -> list[object]:
        with desk.hand.crowd.joined() as first:
            first.waiting = 2_000
            async with asyncio.timeout(30):
                return list(paths(await desk.hand.glob(FakeCall("root/few"), pattern="one")))

    assert desk.run(searched()) == ["one"]


def test_in_a_line_one_match_is_looked_for() -> None:
    """However often it stands there: a search of one block cannot be cancelled."""

    class Counted:
        def __init__(self, pattern: str) -> None:
            self.real, self.searches = searching._expression(pattern, False, False), 0

        def search(self, text: bytes, at: int) -> object:
            self.searches += 1
            return self.real.search(text, at)

    for pattern in ("a", "a?", "$", "^", "a*$", "(?:)"):
        counted = Counted(pattern)
        found = [number for number, _ in searching._matching_in(b"a" * 100 + b"\n\n" + b"ba" * 100, counted)]
        assert found == ([1, 3] if pattern == "a" else [1, 2, 3]), pattern
        assert counted.searches <= 4, pattern


def test_a_search_carries_the_labels_of_what_it_shows(desk: Desk, grown: Path) -> None:
    os.setxattr(grown / "src/b.py", "user.maniple.labels", b"web")
    os.setxattr(grown / "a.py", "user.maniple.labels", b"mail")
    assert desk.ask("grep", "root", pattern="import re")["labels"] == {"web"}
    assert desk.ask("glob", "root", pattern="*.py")["labels"] == {"mail"}
    os.setxattr(grown / "src", "user.maniple.labels", b"folder")
    assert desk.ask("glob", "root", pattern="none")["labels"] == {"folder"}


def test_names_that_no_resource_can_carry_are_shown_and_not_entered(desk: Desk, root: Path) -> None:
    os.makedirs(os.fsencode(root) + b"/caf\xe9/inside")
    reply = desk.ask("glob", "root", pattern="**")["entries"]
    assert isinstance(reply, list)
    assert [(row["path"], row.get("escaped")) for row in reply] == [("caf\\xe9", True)]


def test_a_folder_too_deep_to_be_opened_is_told_as_left_out(desk: Desk, root: Path) -> None:
    at = os.open(root, os.O_RDONLY)
    for _ in range(25):
        os.mkdir("d" * 200, dir_fd=at)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)
    found = desk.ask("glob", "root", pattern="**/bottom")
    assert (found["entries"], found["cut"]) == ([], True)
