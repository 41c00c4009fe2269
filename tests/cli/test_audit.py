"""The log from the command line: read, searched, verified, proved and exported; and whatever is wrong with it named."""

import json
import os
import shutil
import signal
import tarfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from kernel.cli import evidence
from kernel.cli.client import Client
from kernel.cli.exits import Ended, Exit
from kernel.cli.main import run
from tests.cli.shell import Shell, copied_home, is_one_clear_line
from tests.spread import spread
from tests.system.fates import until


@pytest.fixture(scope="module")
def stopped(made: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A home with some fifty entries, whose kernel has gone down."""
    shell = copied_home(made, tmp_path_factory.mktemp("audit") / "home")
    shell.good("up")
    for _ in range(8):
        shell.good("ps")
    shell.good("down")
    return shell


@pytest.fixture
def copied(stopped: Shell, tmp_path: Path) -> Shell:
    """A copy of that home, to be spoiled."""
    return copied_home(stopped, tmp_path / "home")


def _entries(shell: Shell) -> Path:
    return shell.home / "log" / "entries" / "000000.jsonl"


def _lines(shell: Shell) -> list[bytes]:
    return _entries(shell).read_bytes().splitlines(keepends=True)


def test_tail_gives_the_lines_exactly_as_they_stand(stopped: Shell) -> None:
    lines = _lines(stopped)
    assert stopped.good("audit", "tail", "--json", "-n", "5").encode().splitlines(keepends=True) == lines[-5:]
    assert stopped.good("audit", "tail", "--json", "-n", "100000").encode() == b"".join(lines)
    assert stopped.good("audit", "tail").count("\n") == 20
    assert stopped.good("audit", "tail", "-n", "0") == ""


def test_tail_follows_a_log_that_grows(shell: Shell) -> None:
    follower = shell.begin("audit", "tail", "-f", "-n", "1", "--json")
    try:
        assert follower.stdout is not None
        assert follower.stdout.readline(), "it has begun to follow"
        shell.good("call", "echo.say", "text=followed")
        assert any(json.loads(line).get("method") == "echo.say" for line in iter(follower.stdout.readline, b""))
    finally:
        follower.terminate()
        follower.communicate()


def test_who_greets_so_as_to_read_finds_on_disk_all_that_was_done_before(shell: Shell) -> None:
    with Client(str(shell.home)) as operator:
        operator.call("echo.say", "", {"text": "there already"})  # its service has started
        with Client(str(shell.home), is_written=True):
            before = sum(b"echo.say" in line for line in _lines(shell))
        for number in range(1, 31):
            operator.call("echo.say", "", {"text": f"written {number}"})
            with Client(str(shell.home), is_written=True):
                written = sum(b"echo.say" in line for line in _lines(shell))
            assert written == before + 2 * number  # each call, and its end


def test_what_a_kernel_that_does_not_answer_has_on_disk_is_read_all_the_same(still: Shell) -> None:
    pid = int(str(still.result("up")["pid"]))
    os.kill(pid, signal.SIGSTOP)
    try:
        ran = still.run("audit", "search", "--kind", "kernel.start")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert (ran.code, "kernel.start" in ran.out) == (0, True)
    assert "what the kernel did last may be missing here" in ran.err


def test_show_tells_an_entry_and_its_partner(shell: Shell) -> None:
    shell.good("call", "echo.say", "text=shown")
    (line,) = shell.good(
        "audit", "search", "--kind", "call", "--method", "echo.*", "--json", "--since", "1m"
    ).splitlines()[-1:]
    told = shell.result("audit", "show", str(json.loads(line)["seq"]))
    entry, partner = told["entry"], told["partner"]
    assert isinstance(entry, dict)
    assert isinstance(partner, dict)
    assert (entry["kind"], partner["kind"], partner["verdict"]) == ("call", "end", "done")
    assert shell.run("audit", "show", "99999999").code == 1


def test_show_gives_no_two_fields_one_name(shell: Shell) -> None:
    line = shell.good("audit", "search", "--kind", "hand.install", "-n", "1")
    names = [row.split("  ")[0] for row in shell.good("audit", "show", line.split()[0]).splitlines() if row[0] != " "]
    assert len(names) == len(set(names)), names
    assert {"by", "detail by"} <= set(names)


def test_show_knows_a_body_by_its_digest(shell: Shell, tmp_path: Path) -> None:
    shell.good("call", "echo.say", "text=weighed")
    line = shell.good("audit", "search", "--kind", "end", "--method", "echo.say", "--json").splitlines()[-1]
    end = str(json.loads(line)["seq"])
    (tmp_path / "reply.json").write_text('{"text": "weighed"}')
    assert shell.result("audit", "show", end, "--body", tmp_path / "reply.json") == {"seq": int(end), "body": "reply"}
    (tmp_path / "raw").write_bytes(msgspec.msgpack.encode({"text": "weighed"}))
    assert shell.run("audit", "show", end, "--body", tmp_path / "raw").code == 0
    (tmp_path / "other").write_text('{"text": "changed"}')
    assert shell.run("audit", "show", end, "--body", tmp_path / "other").code == 5


def test_search_finds_what_is_all_that_is_asked_for(shell: Shell) -> None:
    shell.run("call", "nobody.does")
    found = [json.loads(line) for line in shell.good("audit", "search", "--verdict", "refused", "--json").splitlines()]
    assert found
    assert {entry["verdict"] for entry in found} == {"refused"}
    starts = shell.good("audit", "search", "--kind", "run.*", "--hand", "greeter", "--json").splitlines()
    assert all(json.loads(line)["kind"].startswith("run.") for line in starts)
    assert shell.good("audit", "search", "--since", "2035-01-01") == ""
    assert shell.good("audit", "search", "--until", "2001-01-01T00:00") == ""
    assert "kernel.start" in shell.good("audit", "search", "kernel.start", "--most", "1")
    assert shell.run("audit", "search", "--since", "yesterday-ish").code == 2


def test_verify_holds_with_the_kernel_running_and_stopped(shell: Shell, stopped: Shell) -> None:
    assert shell.result("audit", "verify")["ok"] is True
    told = stopped.result("audit", "verify")
    assert told["entries"] == told["signed"] == len(_lines(stopped))


def test_verify_needs_nothing_secret(copied: Shell) -> None:
    public = (copied.home / "keys" / "log.pub").read_text().strip()
    shutil.rmtree(copied.home / "keys")
    assert copied.run("audit", "verify").code == 1
    assert copied.result("audit", "verify", "--key", public)["ok"] is True


def _edited(lines: list[bytes]) -> list[bytes]:
    return [line.replace(b"operator", b"0perator") if at == 9 else line for at, line in enumerate(lines)]


SPOILED: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "edited": _edited,
    "dropped": lambda lines: lines[:9] + lines[10:],
    "swapped": lambda lines: [*lines[:9], lines[10], lines[9], *lines[11:]],
    "duplicated": lambda lines: [*lines[:10], *lines[9:]],
    "reversed": lambda lines: lines[:9] + lines[:8:-1],
    "not JSON": lambda lines: [*lines[:9], b"{\n", *lines[10:]],
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_spoiled_log_ends_with_5_and_names_its_first_bad_entry(how: str, copied: Shell) -> None:
    lines = _lines(copied)
    assert b"operator" in lines[9]
    _entries(copied).write_bytes(b"".join(SPOILED[how](lines)))
    ran = copied.run("audit", "verify")
    assert ran.code == 5
    assert f"entry {10 if how == 'duplicated' else 9}:" in ran.err


def test_a_cut_tail_is_missed_even_with_all_else_in_order(copied: Shell) -> None:
    lines = _lines(copied)
    _entries(copied).write_bytes(b"".join(lines[:-3]))
    ran = copied.run("audit", "verify")
    assert (ran.code, f"entry {len(lines) - 3}: it is missing" in ran.err) == (5, True)


def test_a_forked_log_is_found_against_an_older_checkpoint(stopped: Shell, copied: Shell, tmp_path: Path) -> None:
    held = tmp_path / "held"
    shutil.copy(stopped.home / "log" / "checkpoint", held)
    assert stopped.result("audit", "verify", "--checkpoint", held)["ok"] is True
    shutil.rmtree(copied.home / "log")
    copied.good("up")
    with Client(str(copied.home)) as client:
        for _ in range(60):
            client.call("kernel.ps")
    copied.good("down")
    assert copied.result("audit", "verify")["ok"] is True
    ran = copied.run("audit", "verify", "--checkpoint", held)
    assert ran.code == 5
    assert "held elsewhere" in ran.err


def test_a_log_without_checkpoints_or_with_a_foreign_one_does_not_verify(copied: Shell, shell: Shell) -> None:
    checkpoint = copied.home / "log" / "checkpoint"
    foreign = shell.home / "log" / "checkpoint"
    assert copied.run("audit", "verify", "--checkpoint", foreign).code == 5
    checkpoint.write_text(checkpoint.read_text().replace("\n", "\n ", 1))
    assert copied.run("audit", "verify").code == 5
    checkpoint.unlink()
    (copied.home / "log" / "checkpoints").unlink(missing_ok=True)
    assert copied.run("audit", "verify").code == 5


@pytest.fixture(scope="module")
def restarted(stopped: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A copy of that home, whose kernel has gone up and down once more. Whoever spoils a file of it brings it back."""
    shell = copied_home(stopped, tmp_path_factory.mktemp("restarted") / "home")
    shell.good("up")
    shell.good("down")
    return shell


@pytest.mark.parametrize(
    ("name", "masks"),
    [
        ("checkpoint", (0x01, 0x07, 0x80)),
        ("checkpoints", (0x01,)),
        pytest.param("checkpoints", (0x07, 0x80), marks=pytest.mark.wide),
    ],
)
def test_a_byte_that_was_changed_anywhere_among_the_checkpoints_is_told_with_its_file(
    name: str, masks: tuple[int, ...], restarted: Shell
) -> None:
    path = restarted.home / "log" / name
    raw = path.read_bytes()
    proof = evidence.locate(str(restarted.home), key=None, folder=None)
    assert evidence.verify(proof, []).signed == len(_lines(restarted))
    for at in range(len(raw)):
        for mask in masks:
            path.write_bytes(raw[:at] + bytes([raw[at] ^ mask]) + raw[at + 1 :])
            with pytest.raises(Ended, match=rf"{path}\b.*; .*restore that file") as told:
                evidence.verify(proof, [])
            assert told.value.code == Exit.UNVERIFIED
    path.write_bytes(raw)


@pytest.mark.parametrize("first", spread(range(1, 5), 1))
def test_an_older_checkpoint_that_a_crash_cut_short_is_no_damage(first: int, copied: Shell) -> None:
    """Cut after so many bytes, and after each four more."""
    path = copied.home / "log" / "checkpoints"
    raw = path.read_bytes()
    size = len(raw) // raw.count(b"\xe2\x80\x94")
    proof = evidence.locate(str(copied.home), key=None, folder=None)
    signed = evidence.verify(proof, []).signed
    for length in range(first, size, 4):
        path.write_bytes(raw + raw[:length])
        assert evidence.verify(proof, []).signed == signed
        path.write_bytes(raw + raw[:length] + raw)
        assert evidence.verify(proof, []).signed == signed
    path.write_bytes(raw + raw[:100] + bytes(100) + raw)
    assert evidence.verify(proof, []).signed == signed


@pytest.mark.wide
def test_verify_says_what_a_start_misses_when_only_older_checkpoints_are_left(copied: Shell) -> None:
    path = copied.home / "log" / "checkpoint"
    path.unlink()
    assert copied.run("up").code == 1
    ran = copied.run("audit", "verify")
    assert ran.code == 5
    assert f"{path} is not there" in ran.err
    assert is_one_clear_line(ran)
    last = (copied.home / "log" / "checkpoints").read_text().rpartition("\n\nmaniple.local")[2]
    path.write_text(f"maniple.local{last}")
    copied.good("audit", "verify")
    copied.good("up")
    copied.good("down")


def test_evidence_of_another_home_is_told_by_whose_key_it_is(stopped: Shell, shell: Shell, tmp_path: Path) -> None:
    own, other = ("+".join((each.home / "keys" / "log.pub").read_text().split("+")[:2]) for each in (stopped, shell))
    proof = tmp_path / "entry.tlog-proof"
    proof.write_text(stopped.good("audit", "prove", "7"))
    stopped.good("audit", "export", tmp_path / "log")
    shutil.copy(shell.home / "keys" / "log.pub", tmp_path / "log" / "log.pub")
    for words in (("verify-proof", proof), ("verify", "--from", tmp_path / "log")):
        ran = shell.run("audit", *words)
        assert ran.code == 5
        assert f"signed by {own}" in ran.err, ran
        assert f"not by {other}" in ran.err
        assert "log's verifier key with `--key" in ran.err
        assert is_one_clear_line(ran)
    damaged = proof.read_text().splitlines(keepends=True)
    damaged[1] = damaged[1].replace("extra ", "extra AAAA")
    ran = shell.run("audit", "verify-proof", "-", "--key", stopped.home / "keys" / "log.pub", stdin="".join(damaged))
    assert (ran.code, "`maniple audit prove SEQ`" in ran.err) == (5, True)


def test_an_export_is_all_that_a_stranger_needs(shell: Shell, tmp_path: Path) -> None:
    public = (shell.home / "keys" / "log.pub").read_text().strip()
    told = shell.result("audit", "export", tmp_path / "log")
    stranger = Shell(tmp_path / "none")
    verified = stranger.result("audit", "verify", "--from", tmp_path / "log", "--key", public)
    assert verified["entries"] == verified["signed"] == told["entries"]
    shell.good("audit", "export", tmp_path / "log.tar.gz")
    packed = stranger.run("audit", "verify", "--from", tmp_path / "log.tar.gz")
    assert (packed.code, f"`tar -xf {tmp_path / 'log.tar.gz'}`" in packed.err) == (1, True)
    with tarfile.open(tmp_path / "log.tar.gz") as archive:
        names = {member.name for member in archive}
        archive.extractall(tmp_path / "out", filter="data")
    assert "maniple-log/entries/000000.jsonl" in names
    assert not any("key" in name and not name.endswith(".pub") for name in names)
    assert stranger.run("audit", "verify", "--from", tmp_path / "out" / "maniple-log").code == 0
    assert shell.run("audit", "export", tmp_path / "log").code == 1


def test_an_export_beside_a_kernel_that_goes_on_signing_verifies(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = evidence.newest_checkpoint

    def meanwhile(proof: evidence.Evidence) -> tuple[str, int, bytes]:
        found = newest(proof)
        shell.good("ps")
        until(lambda: newest(proof) != found, "a newer checkpoint")
        return found

    monkeypatch.setattr(evidence, "newest_checkpoint", meanwhile)
    assert run(["--home", str(shell.home), "audit", "export", str(tmp_path / "log")]) == Exit.DONE
    assert shell.run("audit", "verify", "--from", tmp_path / "log").code == 0


@pytest.mark.parametrize("how", ["edited", "dropped"])
def test_a_log_that_does_not_fit_its_checkpoint_is_not_handed_out_as_if_it_did(
    how: str, copied: Shell, tmp_path: Path
) -> None:
    _entries(copied).write_bytes(b"".join(SPOILED[how](_lines(copied))))
    for to in (tmp_path / "log", tmp_path / "log.tar.gz"):
        ran = copied.run("audit", "export", to)
        assert (ran.code, ran.out, "`maniple audit verify`" in ran.err) == (5, "", True)
        assert is_one_clear_line(ran)
    assert [each.name for each in tmp_path.iterdir()] == ["home"]


@pytest.mark.parametrize("harm", ["zeroed", "emptied", "cut"])
def test_what_reads_the_log_says_that_its_end_is_missing_and_not_that_nothing_happened(
    copied: Shell, harm: str
) -> None:
    lines = _lines(copied)
    size = sum(map(len, lines))
    _entries(copied).write_bytes({"zeroed": bytes(size), "emptied": b"", "cut": b"".join(lines[:-3])}[harm])
    for words in (["runs"], ["usage"], ["run-show", "r-1"], ["audit", "tail"], ["audit", "search"], ["keys", "list"]):
        ran = copied.run(*words)
        assert (ran.code, f"its newest checkpoint covers {len(lines)} entries" in ran.err) == (1, True), (words, ran)
        assert is_one_clear_line(ran)
    ran = copied.run("audit", "show", str(len(lines) - 1))
    assert (ran.code, "damaged" in ran.err) == (1, True)


def test_a_torn_tail_after_a_crash_is_no_damage(copied: Shell) -> None:
    with _entries(copied).open("ab") as file:
        file.write(b'{"kind":"ca')
    assert copied.result("audit", "verify")["entries"] == len(_lines(copied)) - 1


def _kept(shell: Shell, to: Path, text: str | None = None) -> Path:
    to.write_text((shell.home / "log" / "checkpoint").read_text() if text is None else text)
    return to


def test_a_checkpoint_that_is_none_is_named_and_not_the_log(shell: Shell, tmp_path: Path) -> None:
    good = _kept(shell, tmp_path / "good")
    assert shell.run("audit", "verify", "--checkpoint", good).code == 0
    kept = good.read_text()
    for text in ("rubbish\n", "", kept.replace("maniple.local", "other.local"), kept[:-4] + "\n"):
        bad = _kept(shell, tmp_path / "bad", text)
        ran = shell.run("audit", "verify", "--checkpoint", good, "--checkpoint", bad)
        assert ran.code == 5
        assert is_one_clear_line(ran)
        assert f"{bad} is not a checkpoint of this log" in ran.err
        assert "does not verify" not in ran.err.partition(str(bad))[0]


def test_a_checkpoint_that_cannot_be_read_is_named(shell: Shell, tmp_path: Path) -> None:
    for path, why in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        ran = shell.run("audit", "verify", "--checkpoint", path)
        assert (ran.code, ran.out) == (1, "")
        assert is_one_clear_line(ran)
        assert f"the checkpoint {path} cannot be read: {why}" in ran.err
