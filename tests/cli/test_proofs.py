"""Proofs about the log, for strangers: that one entry is in it, and that it only grew since a checkpoint."""

import base64
import hashlib
from pathlib import Path

import pytest

from tests.cli.shell import Shell, copied_home, is_one_clear_line
from wire.merkle import leaf_hash


@pytest.fixture(scope="module")
def young(made: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A home with some twenty entries, whose kernel has gone down."""
    return _lived(copied_home(made, tmp_path_factory.mktemp("young") / "home"), 1)


@pytest.fixture(scope="module")
def stopped(young: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """The same home some time later."""
    return _lived(copied_home(young, tmp_path_factory.mktemp("old") / "home"), 5)


def _lived(shell: Shell, calls: int) -> Shell:
    shell.good("up")
    for _ in range(calls):
        shell.good("ps")
    shell.good("down")
    return shell


def _lines(shell: Shell) -> list[bytes]:
    return (shell.home / "log" / "entries" / "000000.jsonl").read_bytes().splitlines(keepends=True)


def test_a_proof_convinces_with_the_public_key_alone(stopped: Shell, tmp_path: Path) -> None:
    public = (stopped.home / "keys" / "log.pub").read_text().strip()
    line = _lines(stopped)[7].rstrip(b"\n")
    proof = tmp_path / "entry.tlog-proof"
    proof.write_text(stopped.good("audit", "prove", "7"))
    assert base64.b64encode(line).decode() in proof.read_text()
    nobody = Shell(tmp_path / "none")
    told = nobody.result("audit", "verify-proof", proof, "--key", public)
    assert (told["seq"], told["entry"]) == (7, line.decode())
    assert stopped.run("audit", "verify-proof", "-", stdin=proof.read_text()).code == 0
    as_json = stopped.result("audit", "prove", "7")
    assert as_json["entry"] == line.decode()
    assert leaf_hash(line) == hashlib.sha256(b"\0" + line).digest()


@pytest.mark.parametrize("at", range(5))
def test_a_proof_with_anything_changed_does_not_verify(at: int, stopped: Shell, tmp_path: Path) -> None:
    text = stopped.good("audit", "prove", "7")
    place = at * len(text) // 5 + 7
    letter = "A" if text[place] != "A" else "B"
    (tmp_path / "proof").write_text(text[:place] + letter + text[place + 1 :])
    assert stopped.run("audit", "verify-proof", tmp_path / "proof").code == 5


def test_an_entry_that_is_not_there_cannot_be_proved(stopped: Shell) -> None:
    ran = stopped.run("audit", "prove", "99999999")
    assert (ran.code, "the log has no entry 99999999: see `maniple audit tail`" in ran.err) == (1, True), ran


def test_who_kept_a_checkpoint_learns_from_the_public_key_alone_that_the_log_only_grew(
    young: Shell, stopped: Shell, tmp_path: Path
) -> None:
    public, kept = stopped.home / "keys" / "log.pub", young.home / "log" / "checkpoint"
    proof = tmp_path / "growth"
    proof.write_text(stopped.good("audit", "prove", "--since", kept))
    size, newer = (int((home / "log" / "checkpoint").read_text().split()[1]) for home in (young.home, stopped.home))
    assert proof.read_text().startswith(f"old {size}\n")
    nobody = Shell(tmp_path / "none")
    told = nobody.result("audit", "verify-proof", proof, "--since", kept, "--key", public)
    assert told == {"ok": True, "since": size, "size": newer}
    assert "nothing in it was changed or taken out" in stopped.good("audit", "verify-proof", proof, "--since", kept)
    assert stopped.result("audit", "prove", "--since", kept)["add_checkpoint"] == proof.read_text()


@pytest.mark.parametrize("at", range(5))
def test_a_proof_of_growth_with_anything_changed_does_not_verify(
    at: int, young: Shell, stopped: Shell, tmp_path: Path
) -> None:
    kept = young.home / "log" / "checkpoint"
    text = stopped.good("audit", "prove", "--since", kept)
    place = at * len(text) // 5 + 4
    (tmp_path / "proof").write_text(text[:place] + ("7" if text[place] != "7" else "8") + text[place + 1 :])
    ran = stopped.run("audit", "verify-proof", tmp_path / "proof", "--since", kept)
    mends = ("`maniple audit prove --since FILE`", "`--key KEY`")  # the latter if a signer's name was changed
    assert (ran.code, any(mend in ran.err for mend in mends)) == (5, True), ran
    assert is_one_clear_line(ran)


def test_a_log_that_took_another_way_since_a_checkpoint_cannot_prove_that_it_grew(
    young: Shell, stopped: Shell, tmp_path: Path
) -> None:
    other = _lived(copied_home(young, tmp_path / "home"), 2)
    kept = other.home / "log" / "checkpoint"
    ran = stopped.run("audit", "prove", "--since", kept)
    assert (ran.code, f"the log does not continue {kept}" in ran.err) == (5, True), ran
    proof = tmp_path / "proof"
    proof.write_text(stopped.good("audit", "prove", "--since", young.home / "log" / "checkpoint"))
    ran = stopped.run("audit", "verify-proof", proof, "--since", kept)
    assert (ran.code, "the proof begins at" in ran.err) == (5, True), ran
    ran = other.run("audit", "prove", "--since", stopped.home / "log" / "checkpoint")  # a longer one
    assert (ran.code, "the log does not continue" in ran.err) == (5, True), ran


def test_what_is_to_be_proved_is_named_once(young: Shell, stopped: Shell, tmp_path: Path) -> None:
    kept = young.home / "log" / "checkpoint"
    for words in ((), ("3", "--since", kept)):
        ran = stopped.run("audit", "prove", *words)
        assert (ran.code, "the number of an entry, or an older checkpoint with --since" in ran.err) == (2, True), ran
    (tmp_path / "growth").write_text(stopped.good("audit", "prove", "--since", kept))
    (tmp_path / "entry").write_text(stopped.good("audit", "prove", "3"))
    ran = stopped.run("audit", "verify-proof", tmp_path / "growth")
    assert (ran.code, "name the checkpoint it begins at with --since" in ran.err) == (2, True), ran
    ran = stopped.run("audit", "verify-proof", tmp_path / "entry", "--since", kept)
    assert (ran.code, "needs no --since" in ran.err) == (2, True), ran
    ran = stopped.run("audit", "prove", "--since", tmp_path / "none")
    assert (ran.code, "with --since, then `maniple audit prove" in ran.err) == (1, True), ran
