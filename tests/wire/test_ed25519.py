"""Ed25519 as the RFC gives it, and only keys and signatures of the right size come to the library."""

import subprocess
import sys

import pytest

from wire import ed25519

# RFC 8032, section 7.1, test 3
SEED = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
PUBLIC = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
SIGNATURE = bytes.fromhex(
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
)
MESSAGE = b"\xaf\x82"


def test_the_published_key_signs_the_published_message() -> None:
    public, secret = ed25519.key_pair(SEED)
    assert public == PUBLIC
    assert ed25519.sign(MESSAGE, secret) == SIGNATURE
    assert ed25519.is_signed(MESSAGE, SIGNATURE, PUBLIC)


@pytest.mark.parametrize("message", [b"", b"\xaf\x83", MESSAGE + b"\0"])
def test_a_signature_of_another_message_is_refused(message: bytes) -> None:
    assert not ed25519.is_signed(message, SIGNATURE, PUBLIC)


@pytest.mark.parametrize("signature", [b"", SIGNATURE[:-1], SIGNATURE + b"\0", bytes(64), SIGNATURE[:-1] + b"\x0b"])
def test_another_signature_is_refused(signature: bytes) -> None:
    assert not ed25519.is_signed(MESSAGE, signature, PUBLIC)


def test_a_key_of_another_size_does_not_reach_the_library() -> None:
    with pytest.raises(ValueError, match="31 bytes instead of 32"):
        ed25519.key_pair(SEED[1:])
    with pytest.raises(ValueError, match="32 bytes instead of 64"):
        ed25519.sign(MESSAGE, SEED)
    with pytest.raises(ValueError, match="33 bytes instead of 32"):
        ed25519.is_signed(MESSAGE, SIGNATURE, PUBLIC + b"\0")


def test_signing_imports_little_of_pynacl() -> None:
    script = "import sys, wire.signing; print(sorted(name for name in sys.modules if name.startswith('nacl')))"
    seen = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == "['nacl', 'nacl._sodium']"
