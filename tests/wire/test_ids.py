"""Ids: their letter, their alphabet, and all 80 bits of chance in them."""

import pytest

from wire.ids import ID_BYTES, hand_id, key_id, run_id


def test_an_id_is_a_letter_and_all_of_its_random_bits() -> None:
    assert run_id(bytes(ID_BYTES)) == "r-0000000000000000"
    assert hand_id(b"\xff" * ID_BYTES) == "h-zzzzzzzzzzzzzzzz"
    assert key_id(bytes.fromhex("00443214c74254b635cf")) == "k-0123456789abcdef"
    assert len({run_id((1 << bit).to_bytes(ID_BYTES)) for bit in range(8 * ID_BYTES)}) == 8 * ID_BYTES


@pytest.mark.parametrize("size", [0, ID_BYTES - 1, ID_BYTES + 1])
def test_an_id_of_more_or_less_chance_is_not_made(size: int) -> None:
    with pytest.raises(ValueError, match="made of 10 random bytes"):
        run_id(bytes(size))
