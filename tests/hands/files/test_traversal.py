"""No spelling of a way leads out of a root, whichever method is given it, as its resource or as an argument.

The tricks are those of the public lists (OWASP's Path Traversal page and its Testing Guide's WSTG-ATHZ-01, the families
of dotdotpwn and of SecLists' LFI lists, CVE reports that are named beside their row), written as families here: every
way of writing a dot, every way of writing a slash, and what is put in front and behind. Each is asked for twice: as a
caller's resource, which the kernel's own reading must refuse or name beneath the root; and of the Hand itself, as if
that reading had let it pass.
"""

import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Final

import pytest

from manifests.capabilities import normalise
from manifests.errors import ResourceInvalid
from tests.hands.doubles import FakeCall, hand_module
from tests.hands.files.conftest import Desk
from tests.spread import spread

Failure = hand_module("files", "main").Failure

UP: Final = (
    "..", "%2e%2e", "%2E%2E", ".%2e", "%2e.", "%252e%252e", "%25%32%65%25%32%65", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae",
    "%uff0e%uff0e", "．．", "‥", "…", "․․", "..;", "..;x=y", ".. ", " ..", "..\t", "..%00", "..%20",
    ".\u200b.", ".\u202e.", "\ufeff..", "....", "...", "..%09", "..%0d", "..\x00", "&#46;&#46;", "\\x2e\\x2e", "0x2e0x2e",
)  # fmt: skip
SLASH: Final = (
    "/", "//", "/./", "\\", "\\/", "/\\", "%2f", "%2F", "%5c", "%252f", "%255c", "%c0%af", "%c1%9c", "%c0%2f", "%u2215",
    "∕", "⁄", "／", "＼", "\x00/", ";/", "%2f/", "/%2f", "%00/", "&#47;", "\\x2f",
)  # fmt: skip
FRONT: Final = (
    "",
    "/",
    "//",
    "./",
    "\\\\?\\",
    "C:\\",
    "file:///",
    "~/",
    "~root/",
    "sub/",
    "/proc/self/cwd/",
    "$HOME/",
    "`pwd`/",
)
BEHIND: Final = (
    "secret",
    "secret\x00.txt",
    "secret%00.txt",
    "secret/.",
    "secret//",
    "secret;.txt",
    "./secret",
    "secret#.txt",
)
WHOLE: Final = (
    "/proc/version", "//proc/version", "/proc/self/root/proc/version", "/proc/self/fd/3", "/proc/1/cwd/proc/version",
    "/dev/fd/0", "/dev/stdin", "/dev/tcp/127.0.0.1/80", "\\\\127.0.0.1\\c$\\boot.ini", "C:\\boot.ini",
    "php://filter/resource=/proc/version", "zip://x#y", "expect://id", "jar:file:///x!/y", "|id", "$(id)", "`id`",
    "-rf", "--", "~", "~root", "CON", "aux.txt",
    "f::$DATA", "a.txt.", ".", "..", "...", "", "/", "*", "**", "?", "{..,}", "\n", "a\nb", "a\rb", "\x1b[2J",
    "a" * 256, "a/" * 600 + "a", "ä" * 128, "\ud800", "\u2028", ".maniple-bin", ".maniple-bin/x", "sub/.maniple-bin/x",
    ".maniple-0123456789abcdef.part", "é", "link", "link/secret", "sub/link", "sub/link/secret", "sub/../link/secret",
    "hop/hop/hop/secret", "magic", "magic/secret", "magic/away", "magic/proc/version", "link/away", "sub/link/away",
    "hop/sub",
)  # fmt: skip


def tricks() -> Iterator[str]:
    """Every dot with a plain slash and every slash with plain dots, to several depths, with what goes before and after."""
    yield from WHOLE
    for up, front in product(UP, FRONT):
        for depth in (1, 2, 8):
            yield front + f"{up}/" * depth + "secret"
    for slash, front in product(SLASH, FRONT):
        for depth in (1, 2, 8):
            yield front + f"..{slash}" * depth + "secret"
    for up, slash, behind in product(UP[:12], SLASH[:12], BEHIND):
        yield f"sub{slash}{up}{slash}{up}{slash}{behind}"
    yield from (f"....{slash}{slash}secret" for slash in SLASH)
    yield from ("..." + "/..." * depth for depth in range(1, 5))


TRICKS: Final = tuple(dict.fromkeys(tricks()))


INSIDE: Final = {"hop", "link", "magic", "sub", "sub/link"}
"""All that a reply may name of the root below."""


@pytest.fixture
def baited(root: Path) -> Iterator[Path]:
    """A root in which links of every kind lead out: to what lies beside it, which nobody would miss if one were followed."""
    (root.parent / "away" / "prize").mkdir(parents=True)
    beside = os.open(root.parent, os.O_PATH | os.O_DIRECTORY)
    (root / "sub").mkdir()
    (root / "link").symlink_to("..")
    (root / "sub/link").symlink_to("../..")
    (root / "hop").symlink_to(".")
    (root / "magic").symlink_to(f"/proc/self/fd/{beside}")
    yield root
    os.close(beside)


def outside(root: Path) -> dict[str, tuple[int, bytes]]:
    """All that lies beside the root, but for what belongs to the Hand."""
    return {
        path.name: (path.stat().st_ino, path.read_bytes() if path.is_file() else b"")
        for path in root.parent.iterdir()
        if path.name not in ("state", "scratch", "root")
    }


def test_there_are_more_than_two_thousand_tricks() -> None:
    assert len(TRICKS) > 2000


def test_the_kernels_reading_names_what_lies_beneath_or_refuses() -> None:
    named = 0
    for trick in TRICKS:
        try:
            resource = normalise("path", f"root/{trick}")
        except ResourceInvalid:
            continue
        named += 1
        parts = resource.split("/")
        assert parts[0] == "root"
        assert not {"", ".", ".."} & set(parts)
        assert "\\" not in resource
        assert resource.isprintable()
        assert os.path.normpath("/x/" + resource) == "/x/" + resource
    assert 0 < named < len(TRICKS)


METHODS: Final[tuple[tuple[str, dict[str, object]], ...]] = (
    ("read", {}),
    ("stat", {}),
    ("list", {}),
    ("glob", {"pattern": "**"}),
    ("grep", {"pattern": "secret"}),
    ("bin", {}),
    ("edit", {"old": "secret", "new": "public"}),
    ("patch", {"diff": "@@ -1 +1 @@\n-secret\n\\ No newline at end of file\n+public\n"}),
    ("delete", {}),
    ("restore", {}),
    ("make_folder", {}),
    ("write", {"make_folders": True}),
    ("move", {"source": "secret", "target": "taken"}),
)


@pytest.mark.parametrize("share", [1, pytest.param(len(METHODS), marks=pytest.mark.wide)], ids=["a share", "all"])
@pytest.mark.parametrize("number", range(len(METHODS)), ids=[name for name, _ in METHODS])
def test_no_trick_as_a_resource_reaches_beyond_the_root(desk: Desk, baited: Path, number: int, share: int) -> None:
    """Every method with a share of the tricks, and every trick with one of the methods; the wide ones are each with all."""
    method, arguments = METHODS[number]
    before = outside(baited)
    for trick in TRICKS[number % (len(METHODS) // share) :: len(METHODS) // share]:
        for resource in (f"root/{trick}", trick):
            call = FakeCall(resource, upload=(b"public",))
            try:
                reply = desk.run(getattr(desk.hand, method)(call, **arguments))
            except Failure:
                continue
            assert call.body in (b"", b"public"), resource
            assert reply.get("matches", []) == [], resource
            assert {entry.get("name") or entry["path"] for entry in reply.get("entries", [])} <= INSIDE, resource
            assert method != "stat" or reply["kind"] == "link", (
                resource
            )  # of what is named, and not of what it leads to
    assert outside(baited) == before
    for link in ("link", "sub/link", "hop", "magic"):
        assert (baited / link).is_symlink()


@pytest.mark.parametrize("share", [1, pytest.param(2, marks=pytest.mark.wide)], ids=["a half", "all"])
@pytest.mark.parametrize("side", ["source", "target"])
def test_no_trick_as_an_argument_of_move_reaches_beyond_the_folder(
    desk: Desk, baited: Path, side: str, share: int
) -> None:
    (baited / "beside").write_text("beside")
    (baited / "sub/f").write_text("f")
    before = outside(baited)
    for trick in TRICKS[(side == "source") % (2 // share) :: 2 // share]:
        ways = {"source": "f", "target": "g"} | {side: trick}
        try:
            desk.ask("move", "root/sub", make_folders=True, **ways)
        except Failure:
            continue
        assert side == "target", trick
        desk.ask("move", "root/sub", source=normalise("path", f"r/{trick}")[2:], target="f")
    assert outside(baited) == before
    assert sorted(os.listdir(baited)) == ["beside", "hop", "link", "magic", "sub"]
    assert (baited / "sub/f").read_text() == "f"


@pytest.mark.parametrize("part", spread(range(8), 1))
def test_no_trick_as_a_pattern_or_a_name_in_the_bin_reaches_beyond(desk: Desk, baited: Path, part: int) -> None:
    (baited / "f").write_text("f")
    desk.ask("delete", "root/f")
    before = outside(baited)
    for trick in TRICKS[part::8]:
        for method, arguments in (
            ("glob", {"pattern": trick}),
            ("grep", {"pattern": "secret", "names": trick}),
            ("list", {"pattern": trick}),
            ("list", {"after": trick}),
            ("restore", {"bin": trick}),
        ):
            resource = "root/f" if method == "restore" and trick else "root"
            try:
                reply = desk.ask(method, resource, **arguments)
            except Failure:
                continue
            assert "secret" not in str(reply), (method, trick)
    assert outside(baited) == before
    assert not (baited / "f").exists()
