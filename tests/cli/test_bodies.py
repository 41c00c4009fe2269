"""The keys of the digests of bodies, as commands read them."""

from pathlib import Path

import pytest

from kernel.cli import bodies
from wire.entries import Entry


@pytest.mark.parametrize("damage", [b'{"run":"r-1","key":"\xff"}', b'{"run":"r-1","key":'])
def test_a_damaged_line_of_keys_hides_no_other_key(damage: bytes, tmp_path: Path) -> None:
    keys = tmp_path / "journal" / "keys"
    keys.mkdir(parents=True)
    (keys / "000000.jsonl").write_bytes(damage + b'\n{"run":"r-2","key":"0102"}\n')
    call = Entry(seq=1, prev="", time="", kind="call", principal="r-2")
    assert bodies.digest_key(str(tmp_path), call, call) == b"\1\2"
