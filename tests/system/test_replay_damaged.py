"""Tapes that are not what was recorded: each is named, with its byte or call and the code's version; none is replayed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from kernel.record.journal import Journal
from tests.living import Kernel, install, make_home
from tests.system import chaos, fates
from tests.system.fates import entries, entry
from tests.system.recordings import SLOW, maniple, replay
from tests.system.test_resuming import begin, calls_made
from wire import tape
from wire.tape import Asked, Ended, Heard, Placed, Record, key_of


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("damaged") / "home")) as kernel:
        chaos.prepare(kernel)
        install(kernel, SLOW)
        yield kernel


@pytest.fixture(scope="module")
def journey(kernel: Kernel) -> str:
    run = begin(kernel, calls=6)
    chaos.is_right(chaos.outcome_of(kernel, run), chaos.done(kernel.home), 6)
    fates.until(lambda: entries(kernel.home, "run.end"), "its end")
    return run


@pytest.fixture
def file(kernel: Kernel, journey: str) -> Iterator[Path]:
    """The run's tape, to be damaged; whole again afterwards."""
    path = kernel.home / "journal" / "runs" / f"{journey}.tape"
    whole = path.read_bytes()
    yield path
    path.write_bytes(whole)


def key(kernel: Kernel, run: str) -> bytes:
    return key_of(Journal(kernel.home / "journal").secret(run))


def placed(kernel: Kernel, run: str, path: Path) -> list[Placed]:
    with path.open("rb") as opened:
        return list(tape.read(opened.read, key(kernel, run)))


def forge(kernel: Kernel, run: str, path: Path, records: list[tuple[int, Record]]) -> None:
    """Write a tape whose checks are right, as whoever holds its key can."""
    check, parts = b"", []
    for needs, record in records:
        raw, check = tape.write(record, needs, key(kernel, run), check)
        parts.append(raw)
    path.write_bytes(b"".join(parts))


def refused(kernel: Kernel, run: str) -> str:
    """What is said of a tape that is not replayed."""
    said = replay(kernel, run)
    assert said.code == 5, said.words
    assert json.loads(said.out)["exit"] == 5, "it says why, and shows nothing of the run"
    assert f"{run} of journey 1.0.0 cannot be replayed" in said.words
    assert f"audit search --run {run}` shows" in said.words
    return said.words


def test_a_changed_byte_is_named_wherever_it_is(kernel: Kernel, journey: str, file: Path) -> None:
    whole = file.read_bytes()
    ends = [0, *(one.end for one in placed(kernel, journey, file))]
    for at in range(0, len(whole), len(whole) // 7):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        file.write_bytes(damaged)
        record = max(end for end in ends if end <= at)
        assert f"cannot be read from byte {record} on" in refused(kernel, journey)


def test_the_call_before_the_damage_is_named(kernel: Kernel, journey: str, file: Path) -> None:
    last = [one for one in placed(kernel, journey, file) if isinstance(one.record, Asked)][-1]
    damaged = bytearray(file.read_bytes())
    damaged[last.end + 30] ^= 1
    file.write_bytes(damaged)
    assert "behind request 11 (ledger.add)" in refused(kernel, journey)


def test_a_tape_that_breaks_off_is_named_at_any_place(kernel: Kernel, journey: str, file: Path) -> None:
    whole, ends = file.read_bytes(), [one.end for one in placed(kernel, journey, file)]
    file.write_bytes(whole[: ends[4] + 9])
    assert f"from byte {ends[4]} on: it breaks off" in refused(kernel, journey)
    file.write_bytes(whole[: ends[-2]])
    end = entry(kernel.home, "end", method="run")
    assert f"it lacks the end of its run, entry {end.seq} of the log" in refused(kernel, journey)
    file.write_bytes(whole[: ends[3]])
    assert "it lacks the call of entry" in refused(kernel, journey)
    file.write_bytes(b"")
    assert "it does not say what its run was started with" in refused(kernel, journey)


@pytest.mark.parametrize("kind", [Asked, Heard, Ended])
def test_a_forged_body_is_not_what_the_log_has_the_digest_of(
    kernel: Kernel, journey: str, file: Path, kind: type[Record]
) -> None:
    records = [(one.needs, one.record) for one in placed(kernel, journey, file)]
    at = [n for n, (_, record) in enumerate(records) if isinstance(record, kind)][-1]
    needs, record = records[at]
    assert isinstance(record, Asked | Heard | Ended)
    records[at] = needs, replace(record, body=(record.body or b"").replace(b"5", b"6").replace(b"told", b"tolD"))
    forge(kernel, journey, file, records)
    assert "of the log has the digest of" in refused(kernel, journey)


def test_forged_inputs_are_not_what_the_log_has_the_digest_of(kernel: Kernel, journey: str, file: Path) -> None:
    records = [(one.needs, one.record) for one in placed(kernel, journey, file)]
    began = records[0][1]
    assert isinstance(began, tape.Began)
    records[0] = 0, replace(began, inputs=began.inputs.replace(b"\x06", b"\x07"))
    forge(kernel, journey, file, records)
    assert "its inputs are not those" in refused(kernel, journey)


def test_a_call_that_was_left_out_is_looked_for(kernel: Kernel, journey: str, file: Path) -> None:
    records = [(one.needs, one.record) for one in placed(kernel, journey, file)]
    forge(kernel, journey, file, [one for one in records if not (isinstance(one[1], Asked) and one[1].number == 5)])
    assert "it lacks the call of entry" in refused(kernel, journey)


def test_an_erased_tape_is_named(kernel: Kernel, journey: str, file: Path) -> None:
    file.unlink()
    assert "it was erased, or is not there" in refused(kernel, journey)


def test_an_erased_key_is_named(kernel: Kernel, journey: str, file: Path) -> None:
    keys = kernel.home / "journal" / "keys" / "000000.jsonl"
    whole = keys.read_bytes()
    secret = Journal(kernel.home / "journal").secret(journey)
    keys.write_bytes(whole.replace(secret.hex().encode(), b"0" * 64))
    try:
        assert "was erased" in refused(kernel, journey)
    finally:
        keys.write_bytes(whole)


def test_the_kernel_itself_refuses_a_damaged_tape(kernel: Kernel, journey: str, file: Path) -> None:
    damaged = bytearray(file.read_bytes())
    damaged[-20] ^= 1
    file.write_bytes(damaged)
    with kernel.client() as client:
        assert fates.ended(client, "kernel.replay", journey) == "tape"
        assert fates.ended(client, "kernel.replay", "r-0000000000000000") == "tape"


def test_a_run_that_goes_on_replays_as_far_as_it_is(kernel: Kernel) -> None:
    before = calls_made(kernel)
    run = begin(kernel, calls=60, rest=0.1)
    fates.until(lambda: calls_made(kernel) > before + 3, "some calls")
    said = replay(kernel, run)
    assert said.code == 0, said.words
    assert "as far as it is recorded" in said.words
    with kernel.client() as client:
        client.call("kernel.stop", run)
    said = replay(kernel, run)
    assert said.code == 0, said.words
    assert str(said.verdict["end"]).startswith("cancelled")


@pytest.mark.wide
def test_what_has_no_tape_is_told_so(kernel: Kernel, journey: str) -> None:
    with kernel.client() as client:
        client.call("slow.answer", "a", {"seconds": 0.0})
    service = entry(kernel.home, "run.start", name="slow").run
    assert replay(kernel, journey).code == 0
    again = [one.run for one in entries(kernel.home, "run.start") if not one.call and one.run != service][-1]
    for run in (service, again):
        said = replay(kernel, run)
        assert said.code == 1
        assert "has no tape" in said.words
    assert replay(kernel, "r-0000000000000000").code == 1


@pytest.mark.wide
def test_without_a_kernel_nothing_is_replayed_and_a_recording_can_be_saved(tmp_path: Path) -> None:
    kernel = Kernel(make_home(tmp_path / "home"))
    with kernel:
        chaos.prepare(kernel)
        run = begin(kernel, calls=3)
        chaos.outcome_of(kernel, run)
        kernel.down()
        assert replay(kernel, run).code == 3
        said = maniple(kernel.home, "replay", run, "--save", str(tmp_path / "runs"))
        assert said.code == 0, said.words
        assert said.out.strip() == str(tmp_path / "runs" / f"{run}.jsonl")
        assert (tmp_path / "runs" / f"{run}.jsonl").exists()
