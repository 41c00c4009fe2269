"""Checkpoints: the specification's example, a real one of a public log, and every second spelling refused."""

import base64

import pytest

from wire import checkpoint
from wire.checkpoint import Checkpoint, open_checkpoint, open_checkpoints, sign_checkpoint
from wire.errors import NoteMalformed, SignatureInvalid
from wire.merkle import EMPTY_ROOT
from wire.signing import NOTE_TYPES, SigningKey, VerifyKey, sign_note

# c2sp.org/tlog-checkpoint prints this tree head under a made-up name. It is one of the Go checksum database, whose
# published key signed it under the database's own origin line, so both texts are known.
ROOT = base64.b64decode("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")
EXAMPLE = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
GO_KEY = VerifyKey.parse("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8")
GO_ORIGIN = "go.sum database tree"
GO_NOTE = (
    f"{GO_ORIGIN}\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— sum.golang.org Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)

KEY = SigningKey("maniple.example/home", bytes(range(32)))
OTHER = SigningKey("maniple.example/other", bytes(range(1, 33)))
HEAD = Checkpoint(origin="maniple.example/home", size=7, root=ROOT)


def test_the_example_of_the_specification_is_read_and_written_byte_for_byte() -> None:
    read = checkpoint.parse(EXAMPLE)
    assert read == Checkpoint(origin="example.com/behind-the-sofa", size=20852163, root=ROOT)
    assert checkpoint.format(read) == EXAMPLE


def test_a_real_checkpoint_of_a_public_log_opens_with_its_published_key() -> None:
    assert open_checkpoint(GO_NOTE, [GO_KEY], GO_ORIGIN) == Checkpoint(origin=GO_ORIGIN, size=20852163, root=ROOT)
    with pytest.raises(SignatureInvalid):
        open_checkpoint(GO_NOTE.replace("20852163", "20852164"), [GO_KEY], GO_ORIGIN)


def test_a_signed_checkpoint_comes_back_with_a_witness_beside_it() -> None:
    note = sign_checkpoint(HEAD, KEY, OTHER)
    assert open_checkpoint(note, [KEY.verify_key], HEAD.origin) == HEAD
    assert open_checkpoint(note.encode(), [OTHER.verify_key], HEAD.origin) == HEAD


def test_a_checkpoint_of_another_log_or_by_another_key_is_refused() -> None:
    note = sign_checkpoint(HEAD, KEY)
    with pytest.raises(NoteMalformed, match=r"not of maniple\.example/elsewhere"):
        open_checkpoint(note, [KEY.verify_key], "maniple.example/elsewhere")
    with pytest.raises(SignatureInvalid):
        open_checkpoint(note, [OTHER.verify_key], HEAD.origin)


def test_of_many_checkpoints_the_bad_one_is_counted() -> None:
    good = sign_checkpoint(HEAD, KEY)
    keys = [KEY.verify_key]
    assert list(open_checkpoints([good, good], iter(keys), HEAD.origin)) == [HEAD, HEAD]
    with pytest.raises(SignatureInvalid, match="^checkpoint 2: "):
        list(open_checkpoints([good, good.replace("\n7\n", "\n8\n")], keys, HEAD.origin))
    with pytest.raises(NoteMalformed, match="^checkpoint 3: "):
        list(open_checkpoints([good, good, "nothing"], keys, HEAD.origin))


@pytest.mark.parametrize(
    "text",
    [
        "",
        EXAMPLE[:-1],
        EXAMPLE + "extension\n",
        EXAMPLE + "\n",
        EXAMPLE.replace("example.com/behind-the-sofa", ""),
        EXAMPLE.replace("20852163", "020852163"),
        EXAMPLE.replace("20852163", "+20852163"),
        EXAMPLE.replace("20852163", "-1"),
        EXAMPLE.replace("20852163", "2085_2163"),
        EXAMPLE.replace("20852163", " 20852163"),
        EXAMPLE.replace("20852163", "２０８５２１６３"),
        EXAMPLE.replace("20852163", "9" * 5000),
        EXAMPLE.replace("20852163", "0"),
        EXAMPLE.replace("q2I=", "q2J="),
        EXAMPLE.replace("q2I=", "q2I"),
        EXAMPLE.replace("q2I=", "q2I= "),
        EXAMPLE.replace("CsUY", ""),
        EXAMPLE.replace("CsUY", "é"),
    ],
)
def test_a_second_spelling_or_another_text_is_refused(text: str) -> None:
    with pytest.raises(NoteMalformed):
        checkpoint.parse(text)


@pytest.mark.parametrize(
    "head",
    [
        Checkpoint(origin="", size=7, root=ROOT),
        Checkpoint(origin="two\nlines", size=7, root=ROOT),
        Checkpoint(origin="a", size=-1, root=ROOT),
        Checkpoint(origin="a", size=10**19, root=ROOT),
        Checkpoint(origin="a", size=7, root=ROOT[:-1]),
        Checkpoint(origin="a", size=0, root=ROOT),
        Checkpoint(origin=NOTE_TYPES["hand-seal"], size=7, root=ROOT),
    ],
)
def test_what_no_log_can_have_is_not_signed(head: Checkpoint) -> None:
    with pytest.raises(NoteMalformed):
        sign_checkpoint(head, KEY)


def test_the_empty_log_has_a_checkpoint() -> None:
    empty = Checkpoint(origin="a", size=0, root=EMPTY_ROOT)
    assert checkpoint.parse(checkpoint.format(empty)) == empty


def test_a_note_of_another_type_is_no_checkpoint() -> None:
    seal = NOTE_TYPES["hand-seal"] + "\n" + EXAMPLE.split("\n", 1)[1]
    note = sign_note(seal, KEY)
    with pytest.raises(NoteMalformed):
        open_checkpoint(note, [KEY.verify_key], NOTE_TYPES["hand-seal"])
