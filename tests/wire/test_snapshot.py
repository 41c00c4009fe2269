"""A snapshot counts when this home's key signed all of it as a snapshot, and this version of Maniple knows it."""

import msgspec
import pytest

from wire.errors import CodecError, SignatureInvalid
from wire.signing import NAMESPACES, SigningKey, sign
from wire.snapshot import Snapshot, open_snapshot, seal_snapshot

KEY, OTHER = SigningKey("home", b"k" * 32), SigningKey("home", b"o" * 32)
SNAPSHOT = Snapshot(origin="home", size=3, prev="a" * 64, frontier=["b" * 64], state=b"state", segment=1, offset=7)


def test_what_was_sealed_is_opened_and_nothing_of_it_can_be_changed_or_left_out() -> None:
    raw = seal_snapshot(SNAPSHOT, KEY)
    assert open_snapshot(raw, KEY.verify_key) == SNAPSHOT
    for bit in range(0, 8 * len(raw), 7):
        wrong = bytearray(raw)
        wrong[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SignatureInvalid):
            open_snapshot(bytes(wrong), KEY.verify_key)
    for wrong_size in (raw[:-1], raw + b"x", raw[:40], b""):
        with pytest.raises(SignatureInvalid):
            open_snapshot(wrong_size, KEY.verify_key)
    with pytest.raises(SignatureInvalid):
        open_snapshot(raw, OTHER.verify_key)


def test_what_was_signed_as_something_else_is_no_snapshot() -> None:
    content = msgspec.msgpack.encode(SNAPSHOT)
    for namespace in set(NAMESPACES) - {"snapshot"}:
        with pytest.raises(SignatureInvalid):
            open_snapshot(sign(namespace, KEY, content) + content, KEY.verify_key)


@pytest.mark.parametrize("content", [b"", b"\xc0", b"\xc1", b"\x91" * 5_000, msgspec.msgpack.encode({"size": "three"})])
def test_a_snapshot_of_another_version_is_told_so(content: bytes) -> None:
    with pytest.raises(CodecError, match="not a snapshot"):
        open_snapshot(sign("snapshot", KEY, content) + content, KEY.verify_key)
