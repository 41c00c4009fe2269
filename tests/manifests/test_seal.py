"""A seal has one form; whatever is changed about it or the files is seen and named."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import SealMalformed
from manifests.seal import LINK, MOST_FILES, TYPE_LINE, Difference, compare, open_seal, path_complaint, seal, signers
from wire.errors import SignatureInvalid
from wire.signing import SigningKey, sign_note

KEY = SigningKey("author.example/seal", b"\x01" * 32)
OTHER = SigningKey("other.example/seal", b"\x02" * 32)
DIGEST = "ab" * 32
FILES = {"HAND.toml": DIGEST, "main.py": "cd" * 32, "lib/käse.py": "ef" * 32}
SEAL = seal("watcher", "1.2.0", FILES, KEY)


def _signed(*lines: str, end: str = "\n") -> str:
    return sign_note("\n".join(lines) + end, KEY)


def test_a_seal_opens_to_what_was_sealed_and_says_by_whom() -> None:
    opened = open_seal(SEAL, [OTHER.verify_key, KEY.verify_key])
    assert (opened.name, opened.version, opened.files) == ("watcher", "1.2.0", FILES)
    assert opened.by == (KEY.verify_key.id,)
    assert signers(SEAL) == ((KEY.name, KEY.verify_key.id),)


def test_whoever_a_seal_claims_to_be_by_is_named_and_what_claims_nothing_is_passed_over() -> None:
    text = sign_note("text\n", KEY, OTHER) + "\u2014 nobody a\n\u2014\n"
    named = (KEY.name, KEY.verify_key.id), (OTHER.name, OTHER.verify_key.id)
    assert [one for one in signers(text) if one[1]] == [*named]


def test_the_text_is_the_documented_one() -> None:
    assert SEAL.startswith(
        "maniple.dev/hand-seal/v1\nwatcher\n1.2.0\n"
        f"{DIGEST}  HAND.toml\n{'ef' * 32}  lib/käse.py\n{'cd' * 32}  main.py\n\n"
    )


@pytest.mark.parametrize(
    "old_new",
    [("1.2.0", "1.2.1"), ("watcher", "watches"), ("cdcd", "cdce"), ("main.py", "evil.py"), ("\n\n", "\nx\n\n")],
)
def test_a_seal_that_was_altered_does_not_open(old_new: tuple[str, str]) -> None:
    with pytest.raises((SealMalformed, SignatureInvalid)):
        open_seal(SEAL.replace(*old_new, 1), [KEY.verify_key])


@given(st.integers(0, len(SEAL) - 1), st.characters(codec="utf-8"))
def test_no_single_character_can_be_changed(at: int, char: str) -> None:
    if SEAL[at] != char:
        with pytest.raises((SealMalformed, SignatureInvalid)):
            open_seal(SEAL[:at] + char + SEAL[at + 1 :], [KEY.verify_key])


def test_a_seal_by_another_key_does_not_open() -> None:
    with pytest.raises(SignatureInvalid):
        open_seal(SEAL, [OTHER.verify_key])
    with pytest.raises(SignatureInvalid):
        open_seal(SEAL, [])


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n",
        SEAL.replace("\n\n", "\n"),
        SEAL.replace("\n", "\r\n"),
        SEAL + "\n",
        "x" * 300_000,
        _signed(TYPE_LINE),
        _signed(TYPE_LINE, "watcher", "1.2.0"),
        _signed("maniple.dev/hand-seal/v2", "watcher", "1.2.0", f"{DIGEST}  HAND.toml"),
        _signed("log.example", "12", "AAAA"),
        _signed(TYPE_LINE, "Watcher", "1.2.0", f"{DIGEST}  HAND.toml"),
        _signed(TYPE_LINE, "watcher", "1.2", f"{DIGEST}  HAND.toml"),
        _signed(TYPE_LINE, "watcher", "1.2.0", f"{DIGEST} HAND.toml"),
        _signed(TYPE_LINE, "watcher", "1.2.0", f"{DIGEST.upper()}  HAND.toml"),
        _signed(TYPE_LINE, "watcher", "1.2.0", f"{DIGEST[1:]}  HAND.toml"),
        _signed(TYPE_LINE, "watcher", "1.2.0", f"{DIGEST}  main.py"),
        _signed(TYPE_LINE, "watcher", "1.2.0", f"{DIGEST}  main.py", f"{DIGEST}  HAND.toml"),
        _signed(TYPE_LINE, "watcher", "1.2.0", f"{DIGEST}  HAND.toml", f"{DIGEST}  HAND.toml"),
        _signed(TYPE_LINE, "watcher", "1.2.0", f"{DIGEST}  HAND.toml", f"{'0' * 64}  HAND.toml"),
        _signed(TYPE_LINE, "watcher", "1.2.0", f"{DIGEST}  HAND.toml", ""),
        _signed(
            TYPE_LINE, "watcher", "1.2.0", f"{DIGEST}  HAND.toml", *(f"{DIGEST}  {n:05}" for n in range(MOST_FILES))
        ),
    ],
    ids=range(21),
)
def test_what_is_not_exactly_a_seal_is_malformed(note: str) -> None:
    with pytest.raises(SealMalformed):
        open_seal(note, [KEY.verify_key])


def test_a_path_of_two_lines_is_named_and_makes_no_seal_over_two_other_files() -> None:
    for path in ("a\nb", f"main2.py\n{DIGEST}  z"):
        with pytest.raises(SealMalformed, match=re.escape(repr(path))):
            seal("watcher", "1.2.0", {**FILES, path: DIGEST}, KEY)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../x",
        "a/../b",
        "./a",
        "a//b",
        "a/",
        "",
        "a\\b",
        "HAND.seal",
        " a",
        "a /b",
        "a\u202eb",
        "e\u0301",
        "a" * 513,
    ],
)
def test_a_path_with_a_trick_is_neither_sealed_nor_opened(path: str) -> None:
    assert path_complaint(path)
    with pytest.raises(SealMalformed):
        seal("watcher", "1.2.0", {**FILES, path: DIGEST}, KEY)
    with pytest.raises(SealMalformed):
        open_seal(
            _signed(TYPE_LINE, "watcher", "1.2.0", *(f"{DIGEST}  {one}" for one in sorted(["HAND.toml", path]))),
            [KEY.verify_key],
        )


@pytest.mark.parametrize("path", ["a" * 512, "ä" * 256, "a" * 255 + "/" + "b" * 256])
def test_a_path_may_have_so_many_bytes_and_no_more(path: str) -> None:
    files = {**FILES, path: DIGEST}
    assert open_seal(seal("watcher", "1.2.0", files, KEY), [KEY.verify_key]).files == files
    with pytest.raises(SealMalformed, match="empty or too long"):
        seal("watcher", "1.2.0", {**FILES, path + "c": DIGEST}, KEY)


def test_a_seal_lists_so_many_files_and_no_more() -> None:
    files = {"HAND.toml": DIGEST, **{f"{number:04}": DIGEST for number in range(MOST_FILES - 1)}}
    assert open_seal(seal("watcher", "1.2.0", files, KEY), [KEY.verify_key]).files == files
    with pytest.raises(SealMalformed, match="more than 1000 files"):
        seal("watcher", "1.2.0", {**files, "more": DIGEST}, KEY)


def test_a_seal_that_would_be_too_long_to_be_opened_is_not_made() -> None:
    files = {"HAND.toml": DIGEST, **{f"{number:03}" + "x" * 197: DIGEST for number in range(980)}}
    opened = open_seal(seal("watcher", "1.2.0", files, KEY), [KEY.verify_key])
    assert opened.files == files
    longer = {path if path == "HAND.toml" else f"{path}yyyy": DIGEST for path in files}
    with pytest.raises(SealMalformed, match="the seal is too long"):
        seal("watcher", "1.2.0", longer, KEY)
    text = _signed(TYPE_LINE, "watcher", "1.2.0", *(f"{DIGEST}  {path}" for path in sorted(longer)))
    with pytest.raises(SealMalformed, match="the seal is too long"):
        open_seal(text, [KEY.verify_key])


@pytest.mark.parametrize("path", ["a\nb", "a\x00b", "a\u2028b"])
def test_a_path_cannot_smuggle_a_line(path: str) -> None:
    with pytest.raises(SealMalformed):
        seal("watcher", "1.2.0", {**FILES, path: DIGEST}, KEY)


def test_every_difference_is_named_with_its_file() -> None:
    sealed = open_seal(SEAL, [KEY.verify_key])
    assert compare(sealed, FILES) == ()
    assert compare(sealed, {**FILES, "HAND.seal": DIGEST}) == ()
    found = {"HAND.toml": "00" * 32, "lib/käse.py": LINK, "new.py": DIGEST, "HAND.seal": LINK}
    differences = compare(sealed, found)
    assert differences == (
        Difference(path="HAND.seal", change="linked"),
        Difference(path="HAND.toml", change="changed"),
        Difference(path="lib/käse.py", change="linked"),
        Difference(path="main.py", change="removed"),
        Difference(path="new.py", change="added"),
    )
    assert "new.py was added after sealing" in map(str, differences)


@given(st.text(max_size=200))
def test_any_text_is_opened_or_refused(text: str) -> None:
    signers(text)
    with pytest.raises((SealMalformed, SignatureInvalid)):
        open_seal(text, [KEY.verify_key])
