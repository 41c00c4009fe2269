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


def test_an_end_that_an_older_maniple_logged_without_its_caller_has_the_key_of_the_operator(tmp_path: Path) -> None:
    """It logged so what a run had begun that ended before."""
    keys = tmp_path / "journal" / "keys"
    keys.mkdir(parents=True)
    (keys / "000000.jsonl").write_bytes(b'{"run":"operator 2026-01","key":"03"}\n{"run":"r-2","key":"0102"}\n')
    call = Entry(seq=1, prev="", time="2027", kind="call", principal="r-2", run="r-2")
    for run, key in (("", b"\3"), ("r-2", b"\1\2")):
        end = Entry(seq=2, prev="", time="2027", kind="end", principal="r-3", run=run)
        assert bodies.digest_key(str(tmp_path), call, end) == key
