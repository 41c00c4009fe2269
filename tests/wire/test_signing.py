"""Keys, notes and signatures: the published example of signed notes, namespaces, and every malformed note refused."""

import base64
import random

import pytest

from wire import signing
from wire.errors import NoteMalformed, SignatureInvalid, Unencodable
from wire.signing import SigningKey, VerifyKey, open_note, sign_note

# The example of golang.org/x/mod/sumdb/note, the first implementation of C2SP signed-note, and a case of its tests.
PETER_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
PETER = VerifyKey.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
ENOCH = VerifyKey.parse("EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop")
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
ENOCH_LINE = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
)

KEY = SigningKey("maniple.example/home", bytes(range(32)))
OTHER = SigningKey("maniple.example/other", bytes(range(1, 33)))


def test_the_published_key_signs_the_published_note() -> None:
    key = SigningKey("PeterNeumann", PETER_SEED)
    assert key.verify_key == PETER
    assert sign_note(TEXT, key) == TEXT + "\n" + PETER_LINE


def test_the_published_note_opens_for_either_of_its_keys_or_both() -> None:
    note = TEXT + "\n" + PETER_LINE + ENOCH_LINE
    assert open_note(note, [PETER]) == signing.Opened(text=TEXT, by=(PETER,))
    assert open_note(note.encode(), [ENOCH]) == signing.Opened(text=TEXT, by=(ENOCH,))
    assert open_note(note, [ENOCH, PETER, PETER]) == signing.Opened(text=TEXT, by=(PETER, ENOCH))


def test_a_note_that_no_known_key_signed_does_not_open() -> None:
    with pytest.raises(SignatureInvalid, match="no known key"):
        open_note(TEXT + "\n" + PETER_LINE, [ENOCH])
    with pytest.raises(SignatureInvalid, match="no known key"):
        open_note(TEXT + "\n" + PETER_LINE, [])


def test_signatures_by_unknown_keys_are_passed_over_whatever_they_hold() -> None:
    strange = "— someone.example/witness " + base64.b64encode(b"\x00\x01\x02\x03" + b"x" * 2420).decode() + "\n"
    same_name = "— PeterNeumann " + base64.b64encode(b"\xc7\x4f\x20\xa4" + bytes(64)).decode() + "\n"
    same_id = "— EnochRoot " + PETER_LINE.split(" ")[2]
    note = TEXT + "\n" + strange + strange + same_name + same_id + PETER_LINE
    assert open_note(note, [PETER]).by == (PETER,)


def test_a_wrong_signature_by_a_known_key_spoils_the_note_even_beside_a_right_one() -> None:
    for spoilt in (
        TEXT.replace("your", "my") + "\n" + PETER_LINE,
        TEXT + "\n" + PETER_LINE.replace("ZJku", "ZJkv") + ENOCH_LINE,
        TEXT + "\n" + "— PeterNeumann " + base64.b64encode(bytes.fromhex("c74f20a3") + bytes(70)).decode() + "\n",
    ):
        with pytest.raises(SignatureInvalid, match="PeterNeumann"):
            open_note(spoilt, [PETER, ENOCH])


@pytest.mark.parametrize(
    "note",
    [
        "",
        TEXT,
        TEXT + "\n",
        TEXT + PETER_LINE,
        TEXT + "\n" + PETER_LINE[:-1],
        TEXT + "\n" + PETER_LINE + "\n",
        TEXT + "\n" + PETER_LINE + "Unexpected line.\n",
        "\x01" + TEXT + "\n" + PETER_LINE,
        TEXT.replace("\n", "\r\n") + "\n" + PETER_LINE,
        b"\xff" + (TEXT + "\n" + PETER_LINE).encode(),
        TEXT + "\n" + PETER_LINE.replace("PeterNeumann", "Bad Name"),
        TEXT + "\n" + PETER_LINE.replace("PeterNeumann", "Bad\u00a0Name"),
        TEXT + "\n" + PETER_LINE.replace("PeterNeumann", "Bad+Name"),
        TEXT + "\n" + PETER_LINE.replace("PeterNeumann ", " "),
        TEXT + "\n" + PETER_LINE.replace("—", "-"),
        TEXT + "\n" + PETER_LINE.replace("nAM=", "nAM"),
        TEXT + "\n" + PETER_LINE.replace("nAM=", "nAN="),
        TEXT + "\n" + "— PeterNeumann x08gow==\n",
        TEXT + "\n" + PETER_LINE + PETER_LINE,
        TEXT + "\n" + PETER_LINE + ENOCH_LINE * 100,
    ],
)
def test_a_malformed_or_twice_signed_note_is_refused(note: str | bytes) -> None:
    with pytest.raises(NoteMalformed):
        open_note(note, [PETER])


@pytest.mark.parametrize("end", ["", "x", " ", "\r", "=", "\n\n", "\nx"])
def test_a_note_ends_with_the_newline_of_its_last_signature_and_in_no_other_way(end: str) -> None:
    note = f"{TEXT}\n{PETER_LINE}"
    assert open_note(note, [PETER]).text == TEXT
    with pytest.raises(NoteMalformed):
        open_note(note[:-1] + end, [PETER])


def test_the_text_ends_at_the_last_empty_line() -> None:
    text = "first\n\n— PeterNeumann looks like a signature\n\nlast\n"
    assert open_note(sign_note(text, KEY, OTHER), [OTHER.verify_key]).text == text


@pytest.mark.parametrize(
    "text", ["", "no newline", "bell\x07\n", "half a pair \ud800\n", "maniple/snapshot/v1\nstate\n"]
)
def test_what_is_no_note_text_is_not_signed(text: str) -> None:
    with pytest.raises(NoteMalformed):
        sign_note(text, KEY)


def test_a_note_is_signed_by_each_key_once_and_by_one_at_least() -> None:
    with pytest.raises(NoteMalformed):
        sign_note(TEXT)
    with pytest.raises(NoteMalformed):
        sign_note(TEXT, KEY, KEY)


def test_a_verifier_key_with_any_change_is_refused() -> None:
    text = KEY.verify_key.text()
    assert VerifyKey.parse(text) == KEY.verify_key
    for start in range(len(text)):
        changed = text[:start] + chr(ord(text[start]) + 1) + text[start + 1 :]
        for bad in (changed, text[:start], text[start + 1 :]):
            with pytest.raises(NoteMalformed):
                VerifyKey.parse(bad)
    for published in (
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ):
        with pytest.raises(NoteMalformed):
            VerifyKey.parse(published)
    with pytest.raises(NoteMalformed, match="not an Ed25519 key"):
        VerifyKey.parse("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")


def test_two_known_keys_under_one_name_and_id_are_refused_before_either_is_believed() -> None:
    class Impostor(VerifyKey, frozen=True):
        @property
        def id(self) -> str:
            return PETER.id

    impostor = Impostor(name=PETER.name, public=ENOCH.public)
    with pytest.raises(SignatureInvalid, match="two different"):
        open_note(TEXT + "\n" + PETER_LINE, [PETER, impostor])


def test_a_signature_of_one_namespace_never_verifies_in_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(signing.NAMESPACES, "other", "a second type, so that there is one to mistake the first for")
    payload = b'{"seq":7}'
    for made in signing.NAMESPACES:
        signature = signing.sign(made, KEY, payload)
        for asked in signing.NAMESPACES:
            if asked == made:
                signing.verify(asked, KEY.verify_key, payload, signature)
                continue
            with pytest.raises(SignatureInvalid):
                signing.verify(asked, KEY.verify_key, payload, signature)


def test_the_signature_of_a_note_is_none_in_any_namespace_and_the_other_way_round() -> None:
    note = sign_note(TEXT, KEY)
    signature = base64.b64decode(note.rstrip("\n").rsplit(" ", 1)[1])[4:]
    for namespace in signing.NAMESPACES:
        with pytest.raises(SignatureInvalid):
            signing.verify(namespace, KEY.verify_key, TEXT.encode(), signature)
        raw = bytes.fromhex(KEY.verify_key.id) + signing.sign(namespace, KEY, b"state\n")
        forged = f"maniple/{namespace}/v1\nstate\n\n— {KEY.name} {base64.b64encode(raw).decode()}\n"
        with pytest.raises(NoteMalformed):
            open_note(forged, [KEY.verify_key])


def test_a_signature_verifies_for_its_own_payload_and_key_only() -> None:
    chance = random.Random(8032)
    payload = chance.randbytes(200)
    signature = signing.sign("snapshot", KEY, payload)
    signing.verify("snapshot", KEY.verify_key, payload, signature)
    for _ in range(64):
        bit = chance.randrange(8 * 64)
        bad = bytearray(signature)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SignatureInvalid):
            signing.verify("snapshot", KEY.verify_key, payload, bytes(bad))
    for key, content, found in (
        (OTHER.verify_key, payload, signature),
        (KEY.verify_key, payload + b"x", signature),
        (KEY.verify_key, payload, signature[:-1]),
        (KEY.verify_key, signature[-1:] + payload, signature[:-1]),
        (KEY.verify_key, payload, b""),
    ):
        with pytest.raises(SignatureInvalid):
            signing.verify("snapshot", key, content, found)


def test_the_beginning_of_a_text_cannot_be_hidden_in_its_signature() -> None:
    signature = base64.b64decode(PETER_LINE.rstrip("\n").rsplit(" ", 1)[1])
    moved = base64.b64encode(signature + TEXT[:10].encode()).decode()
    with pytest.raises(SignatureInvalid):
        open_note(TEXT[10:] + f"\n— PeterNeumann {moved}\n", [PETER])


def test_a_namespace_that_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(Unencodable, match="snapshot"):
        signing.sign("nonsense", KEY, b"")
    with pytest.raises(Unencodable):
        signing.verify("nonsense", KEY.verify_key, b"", bytes(64))


def test_a_signing_key_shows_no_secret() -> None:
    shown = repr(KEY) + str(KEY)
    assert "maniple.example/home" in shown
    for secret in (bytes(range(32)).hex(), base64.b64encode(bytes(range(32))).decode()):
        assert secret not in shown


@pytest.mark.parametrize("name", ["", "two words", "a+b", "tab\t", "line\n", "thin\u2009space"])
def test_a_key_name_has_no_spaces_and_no_plus(name: str) -> None:
    with pytest.raises(NoteMalformed):
        SigningKey(name, bytes(32))


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_seeds_and_public_keys_have_one_length(size: int) -> None:
    with pytest.raises(Unencodable):
        SigningKey("name", bytes(size))
    with pytest.raises(NoteMalformed):
        VerifyKey(name="name", public=bytes(size))
