"""Packets between kernel, template and runs: read back as they were, bounded, and nothing else passes for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import CodecError
from wire.launch import PACKET_MAX, Confined, Fork, Go, Unfit, decode, decode_template, encode


@pytest.mark.parametrize(
    "packet", [Go(), Confined(applied=("landlock",), missing=(), landlock=7), Unfit(code="altered", why="main.py")]
)
def test_a_packet_is_read_back_as_it_was(packet: Go | Confined | Unfit) -> None:
    assert decode(encode(packet)) == packet
    with pytest.raises(CodecError, match="not a template packet"):
        decode_template(encode(packet))


def test_a_packet_that_would_not_be_sent_whole_is_not_made() -> None:
    head = len(encode(Unfit(code="altered", why="x" * 100_000))) - 100_000
    assert len(encode(Unfit(code="altered", why="x" * (PACKET_MAX - head)))) == PACKET_MAX
    with pytest.raises(CodecError, match=f"at most {PACKET_MAX} bytes, this one has {PACKET_MAX + 1}"):
        encode(Unfit(code="altered", why="x" * (PACKET_MAX - head + 1)))


def test_a_packet_of_the_template_is_none_of_a_run() -> None:
    raw = encode(Fork(number=1, isolated=True, usual=False, memory=5))
    assert decode_template(raw) == Fork(number=1, isolated=True, usual=False, memory=5)
    with pytest.raises(CodecError, match="not a launch packet"):
        decode(raw)


@given(st.binary(max_size=60) | st.just(b"\x91" * 100_000))
def test_any_bytes_are_a_packet_or_a_codec_error(raw: bytes) -> None:
    for read in (decode, decode_template):
        try:
            read(raw)
        except CodecError:
            continue
