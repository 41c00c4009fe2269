"""A WASM Hand as a run: on a real bus, its calls made by the run's loop while guests wait on threads of their own."""

import resource
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import msgspec
import pytest
from msgspec.structs import replace

from manifests.values import guest_memory
from runtime.wasm.hand import WasmHand
from runtime.wasm.seeded import Seeded
from tests.manifests.texts import manifest
from tests.runtime.peer import Peer, provided
from tests.runtime.wasm.guests import ECHO, MEBI, running, wat
from wire import codec, headers, limits
from wire.codec import Value

CALL = '(import "maniple" "call" (func $call (param i32 i32 i32 i32 i32 i32 i32) (result i32)))'
LOG = '(import "maniple" "log" (func $log (param i32 i32 i32)))'
NOW = '(import "maniple" "now" (func $now (result i64)))'
FAIL = '(import "maniple" "fail" (func $fail (param i32 i32 i32 i32)))'
POLL = '(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))'

DATA = (
    '(data (i32.const 0) "web.fetch") (data (i32.const 16) "https://a.example/") (data (i32.const 48) "\\81\\a1k\\07")'
)
FETCH = """(call $call (i32.const 0) (i32.const 9) (i32.const 16) (i32.const 18)
                       (i32.const 48) (i32.const 4) (i32.const 64))"""
GIVE = """(i64.or (i64.shl (i64.extend_i32_u (i32.load (i32.const 64))) (i64.const 32))
                 (i64.extend_i32_u (i32.load (i32.const 68))))"""
GIVE_INPUT = (
    """(i64.or (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32)) (i64.extend_i32_u (local.get $size)))"""
)
CALLING = wat(
    f"""{DATA} (func (export "run") (param i32 i32) (result i64)
      (i32.store8 (i32.const 72) {FETCH})
      (if (i32.eq (i32.load8_u (i32.const 72)) (i32.const 2)) (then (i32.store8 (i32.const 512) (i32.const 2))))
      {GIVE})""",
    imports=CALL,
)


def _method(name: str, body: str) -> str:
    """An export that answers a method."""
    parameters = " ".join(f"(param ${one} i32)" for one in ("of", "of_size", "at", "size"))
    return f'(func (export "{name}") {parameters} (result i64) {body})'


def _record(peer: Peer, event: str) -> dict[str, object]:
    return next(one for one in peer.records() if one["event"] == event)


def test_a_run_answers_and_tells_what_its_guest_used(peer: Peer) -> None:
    peer.launch("", kind="task", wasm=wat(ECHO)).ready()
    number = peer.call("run", a=[1, 2.5, "ü"], b=None)
    done, value = peer.expect(headers.Done)
    assert (done.number, value) == (number, {"a": [1, 2.5, "ü"], "b": None})
    assert done.used is not None
    assert 0 < done.used.fuel < 100
    assert done.used.memory == 65_536
    assert peer.stop() == 0
    said = _record(peer, "metered")
    assert (said["method"], said["fuel"], said["memory"]) == ("run", done.used.fuel, 65_536)


def test_a_guests_call_is_a_call_of_its_run_made_for_the_one_it_answers(peer: Peer) -> None:
    peer.launch("", kind="task", wasm=CALLING).ready()
    number = peer.call("run")
    call, arguments = peer.expect(headers.Call)
    assert (call.method, call.resource, call.parent) == ("web.fetch", "https://a.example/", number)
    assert arguments == {"k": 7}
    peer.send(headers.Done(number=call.number, time=9), {"status": 200})
    assert peer.expect(headers.Done)[1] == {"status": 200}


ENDS: dict[str, tuple[headers.End, Value, Value]] = {
    "failed": (
        headers.Failed(number=1, code="late", text="no answer"), {"tries": 3},
        {"code": "late", "text": "no answer", "detail": {"tries": 3}},
    ),
    "refused": (
        headers.Refused(number=1, code="capability", why="not granted", grant='"web.fetch" = ["*"]'), None,
        {"code": "capability", "text": "not granted", "grant": '"web.fetch" = ["*"]'},
    ),
    "cancelled": (headers.Cancelled(number=1, why="taken back"), None, {"code": "cancelled", "text": "taken back"}),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDS)
def test_a_guest_is_told_how_its_call_ended(peer: Peer, name: str) -> None:
    end, body, told = ENDS[name]
    kind = f'(func (export "run") (param i32 i32) (result i64) (i32.store8 (i32.const 511) {FETCH}) {GIVE})'
    peer.launch("", kind="task", wasm=wat(DATA + kind, imports=CALL)).ready()
    peer.call("run")
    call, _ = peer.expect(headers.Call)
    peer.send(msgspec.structs.replace(end, number=call.number), body)
    assert peer.expect(headers.Done)[1] == told


def test_an_end_that_is_too_large_with_its_code_and_text_has_failed(peer: Peer) -> None:
    peer.launch("", kind="task", wasm=CALLING).ready()
    peer.call("run")
    call, _ = peer.expect(headers.Call)
    peer.send(headers.Failed(number=call.number, code="late", text="no answer"), {"x": bytes(limits.BODY_MAX - 16)})
    told = peer.expect(headers.Done)[1]
    assert isinstance(told, dict)
    assert told["code"] == "malformed"
    assert str(told["text"]).startswith("its end cannot be given to a module: a body is at most")


def test_what_a_guest_gave_to_the_bus_is_read_before_it_is_sent(peer: Peer) -> None:
    wrong = DATA.replace("\\81\\a1k\\07", "\\c1\\a1k\\07")
    peer.launch("", kind="task", wasm=CALLING.replace(DATA.encode(), wrong.encode())).ready()
    peer.call("run")
    failed, _ = peer.expect(headers.Failed)
    assert failed.code == "trap"
    assert "not msgpack" in failed.text


EMPTY_TABLES = b"\x81\xa1k\xdd\x00\x04\x93\xe0" + 300_000 * b"\x80"
"""A table of a list of them, which takes seventy times as much memory when it is taken apart."""


def _memory(peer: Peer, row: str) -> int:
    """Bytes of the run: VmHWM is the most that was resident, VmData what it has of its own."""
    assert peer.process is not None
    rows = dict(line.split(":", 1) for line in Path(f"/proc/{peer.process.pid}/status").read_text().splitlines())
    return int(rows[row].split()[0]) * 1024


def test_what_a_guest_gives_is_handed_on_without_being_taken_apart(peer: Peer) -> None:
    gives = f"""(memory.fill (i32.const 0x10008) (i32.const 0x80) (i32.const 300000))
    (drop (call $call (i32.const 0) (i32.const 9) (i32.const 16) (i32.const 18)
                      (i32.const 0x10000) (i32.const {len(EMPTY_TABLES)}) (i32.const 64)))
    (i64.const 0x0001_0000_0004_93e8)"""
    data = DATA + '(data (i32.const 0x10000) "\\81\\a1k\\dd\\00\\04\\93\\e0")'
    run = f'(func (export "run") (param i32 i32) (result i64) {gives})'
    peer.launch("", kind="task", wasm=wat(data + run, imports=CALL, pages="6")).ready()
    before = _memory(peer, "VmHWM")
    peer.call("run")
    call, arguments = peer.expect(headers.Call)
    peer.send(headers.Done(number=call.number))
    done = peer.expect(headers.Done)[1]
    assert codec.encode_body(done) == codec.encode_body(arguments) == EMPTY_TABLES
    assert _memory(peer, "VmHWM") - before < 8 * 1024 * 1024


def test_a_reply_for_which_the_process_has_no_room_ends_the_call_for_memory(peer: Peer) -> None:
    peer.launch("", kind="task", wasm=CALLING).ready()
    peer.call("run")
    call, _ = peer.expect(headers.Call)
    assert peer.process is not None
    *_, most = resource.prlimit(peer.process.pid, resource.RLIMIT_DATA)
    resource.prlimit(peer.process.pid, resource.RLIMIT_DATA, (_memory(peer, "VmData") + 8 * 1024 * 1024, most))
    peer.send_raw(codec.encode(headers.Done(number=call.number)), EMPTY_TABLES)
    failed, _ = peer.expect(headers.Failed)
    assert (failed.code, failed.text) == ("memory", "test: its process has no room for what it gave or was given")


def test_time_moves_with_what_the_kernel_says(peer: Peer) -> None:
    body = f"(i64.store (i32.const 512) (call $now)) (drop {FETCH}) (i64.store (i32.const 520) (call $now))"
    body += "(i32.store16 (i32.const 510) (i32.const 0x10c4)) (i64.const 0x0000_01fe_0000_0012)"  # as 16 bytes
    whole = DATA + f'(func (export "run") (param i32 i32) (result i64) {body})'
    peer.launch("", kind="task", wasm=wat(whole, imports=CALL + NOW)).ready()
    peer.send(headers.Call(number=2, method="run", deadline=60_000, time=1_000), {})
    call, _ = peer.expect(headers.Call)
    peer.send(headers.Done(number=call.number, time=5_000))
    times = peer.expect(headers.Done)[1]
    assert isinstance(times, bytes)
    assert [int.from_bytes(times[at : at + 8], "little") for at in (0, 8)] == [1_000, 5_000]


@pytest.mark.parametrize(
    ("nanoseconds", "milliseconds"),
    [(1_500_000_000, 1_500), (1_500_000_001, 1_501), (2**64 - 1, limits.DEADLINE_MAX)],
)
def test_a_guest_that_sleeps_asks_the_kernel(peer: Peer, nanoseconds: int, milliseconds: int) -> None:
    body = f"""(i32.store (i32.const 16) (i32.const 1)) (i64.store (i32.const 24) (i64.const {nanoseconds}))
    (drop (call $poll (i32.const 0) (i32.const 256) (i32.const 1) (i32.const 288))) (i64.const 0)"""
    peer.launch("", kind="task", wasm=running(body, imports=POLL)).ready()
    peer.call("run")
    call, arguments = peer.expect(headers.Call)
    assert (call.method, arguments) == ("kernel.sleep", {"milliseconds": milliseconds})
    peer.send(headers.Done(number=call.number, time=2_000_000), {})
    peer.expect(headers.Done)


DICE = """(i32.store16 (i32.const 510) (i32.const 0x10c4)) (call $random (i32.const 512) (i32.const 16))
(i64.const 0x0000_01fe_0000_0012)"""


def test_random_bytes_are_the_runs_and_for_a_service_the_calls(peer: Peer, tmp_path: Path) -> None:
    random = '(import "maniple" "random" (func $random (param i32 i32)))'
    peer.launch("", kind="task", wasm=running(DICE, imports=random)).ready()
    assert peer.answer("run") == Seeded(b"7:0").take(16)  # 7 is the seed in its launch packet
    (tmp_path / "service").mkdir()
    service = Peer(tmp_path / "service")
    try:
        service.launch("", (provided("test.dice"),), wasm=wat(_method("dice", DICE), imports=random)).ready()
        assert [service.answer("test.dice") for _ in range(2)] == [Seeded(b"7:2").take(16), Seeded(b"7:4").take(16)]
    finally:
        service.close()


LOOP = "(loop (br 0)) (i64.const 0)"


def test_a_deadline_ends_a_guest_before_the_kernel_would_and_says_what_it_used(peer: Peer) -> None:
    peer.launch("", kind="task", wasm=running(LOOP), fuel=10**15).ready()
    peer.send(headers.Call(number=2, method="run", deadline=300), {})  # and nothing takes it back
    failed, _ = peer.expect(headers.Failed)
    assert failed.code == "deadline"
    assert failed.used is not None
    assert failed.used.wall > 200_000
    assert peer.stop() == 0


def test_a_pause_does_not_count_against_the_deadline(peer: Peer) -> None:
    peer.launch("", kind="task", wasm=running(LOOP), fuel=10**15).ready()
    peer.send(headers.Call(number=2, method="run", deadline=1_500), {})
    assert peer.process is not None
    time.sleep(0.1)  # on a busy machine several times that, and it must not be over before it is paused
    for number, wait in ((signal.SIGSTOP, 1.7), (signal.SIGCONT, 0.6)):
        peer.process.send_signal(number)
        assert not peer.router.poll(int(wait * 1000)), "it ended, though it was not told to"
    peer.send(headers.Cancel(number=2, why="its deadline"))
    assert peer.expect(headers.Cancelled)[0].used is not None


def test_a_guest_whose_call_is_cancelled_is_gone_and_the_next_call_is_answered(peer: Peer) -> None:
    text = wat(_method("echo", GIVE_INPUT) + _method("spin", LOOP))
    peer.launch("", (provided("test.echo", a="int"), provided("test.spin")), wasm=text, fuel=10**15).ready()
    numbers = [peer.call("test.spin") for _ in range(4)]
    for number in numbers:
        peer.send(headers.Cancel(number=number, why="not wanted"))
    ends = [peer.expect(headers.Cancelled)[0] for _ in numbers]
    assert {end.number for end in ends} == set(numbers)
    assert all(end.used is not None for end in ends)
    assert peer.answer("test.echo", a=3) == {"a": 3}
    assert peer.stop() == 0


def test_a_guest_that_waits_for_its_call_does_not_keep_others_from_being_answered(peer: Peer) -> None:
    text = DATA + _method("slow", f"(drop {FETCH}) {GIVE}") + _method("quick", "(i64.const 0)")
    peer.launch("", (provided("test.slow"), provided("test.quick")), wasm=wat(text, imports=CALL)).ready()
    slow = peer.call("test.slow")
    call, _ = peer.expect(headers.Call)
    assert call.parent == slow
    assert peer.answer("test.quick") is None
    peer.send(headers.Done(number=call.number), "at last")
    done, value = peer.expect(headers.Done)
    assert (done.number, value) == (slow, "at last")


def test_a_call_that_waits_for_a_thread_is_cancelled_while_those_before_it_go_on(peer: Peer) -> None:
    peer.launch("", (provided("test.spin"),), wasm=wat(_method("spin", LOOP)), fuel=10**15).ready()
    spinning = [peer.call("test.spin") for _ in range(4)]
    waiting = peer.call("test.spin")
    peer.send(headers.Cancel(number=waiting, why="not wanted"))
    assert peer.expect(headers.Cancelled)[0].number == waiting
    for number in spinning:  # they end by nothing else
        peer.send(headers.Cancel(number=number, why="enough"))
        peer.expect(headers.Cancelled)


def test_a_cancelled_guest_that_waits_for_its_call_takes_that_back(peer: Peer) -> None:
    peer.launch("", kind="task", wasm=CALLING).ready()
    number = peer.call("run")
    call, _ = peer.expect(headers.Call)
    peer.send(headers.Cancel(number=number, why="enough"))
    came = {
        type(header): header.number
        for header, _ in (peer.next(), peer.next())
        if isinstance(header, headers.Cancel | headers.Cancelled)
    }
    assert came == {headers.Cancel: call.number, headers.Cancelled: number}


def test_a_method_gets_the_resource_that_the_kernel_checked_and_its_checked_arguments(peer: Peer) -> None:
    resource_as_text = """(i32.store8 (i32.sub (local.get $of) (i32.const 1)) (i32.add (i32.const 0xa0) (local.get $of_size)))
    (i64.or (i64.shl (i64.extend_i32_u (i32.sub (local.get $of) (i32.const 1))) (i64.const 32))
            (i64.extend_i32_u (i32.add (local.get $of_size) (i32.const 1))))"""
    text = wat(_method("look_up", resource_as_text) + _method("take", GIVE_INPUT))
    offers = (provided("test.look-up"), provided("test.take", n="int"))
    peer.launch("", offers, wasm=text).ready()
    number = peer.call("test.look-up", "shelf")
    assert peer.expect(headers.Done)[1] == "shelf", number
    assert peer.answer("test.take", n=4) == {"n": 4}
    peer.call("test.take", n="four")
    assert peer.expect(headers.Failed)[0].code == "arguments"


def test_a_guest_fails_its_call_with_words_of_its_own(peer: Peer) -> None:
    text = '(data (i32.const 0) "conflictit is there") (func (export "run") (param i32 i32) (result i64) '
    text += "(call $fail (i32.const 0) (i32.const 8) (i32.const 8) (i32.const 11)) unreachable)"
    peer.launch("", kind="task", wasm=wat(text, imports=FAIL)).ready()
    peer.call("run")
    failed, _ = peer.expect(headers.Failed)
    assert (failed.code, failed.text) == ("conflict", "test: it is there")


def test_a_guests_lines_are_records_of_the_hands_log(peer: Peer) -> None:
    text = '(data (i32.const 0) "careful") (func (export "run") (param i32 i32) (result i64) '
    text += "(call $log (i32.const 1) (i32.const 0) (i32.const 7)) (i64.const 0))"
    peer.launch("", kind="task", wasm=wat(text, imports=LOG)).ready()
    peer.answer("run")
    peer.stop()
    assert _record(peer, "careful")["level"] == "warning"


def test_what_is_no_answer_fails_the_call(peer: Peer) -> None:
    peer.launch(
        "",
        kind="task",
        wasm=running("(i64.const 0x0000_0010_0000_0008)").replace(
            b"(func $alloc", b'(data (i32.const 16) "\\c1") (func $alloc'
        ),
    ).ready()
    peer.call("run")
    assert peer.expect(headers.Failed)[0].code == "malformed"


def test_a_module_that_does_not_fit_its_manifest_ends_the_run_and_says_why(peer: Peer) -> None:
    peer.launch("", (provided("test.missing"),), wasm=wat(ECHO))
    assert peer.expect(headers.Bye)[0].why.startswith("main.wat: it exports no function missing")
    assert peer.exit_code() == 1


def test_every_body_that_a_guest_hands_back_is_measured(peer: Peer) -> None:
    large = "(i64.const 0x0000_0000_0020_0000)"
    peer.launch(
        "",
        kind="task",
        wasm=running(large, pages="64").replace(
            b"(func $alloc", b'(data (i32.const 0) "\\c6\\00\\1f\\ff\\fb") (func $alloc'
        ),
    ).ready()
    peer.call("run")
    failed, _ = peer.expect(headers.Failed)
    assert failed.code == "malformed"
    assert f"bytes; {limits.BODY_MAX} are the most" in failed.text


@pytest.mark.parametrize(
    ("kind", "in_flight", "processes", "at_once"),
    [("task", 16, 32, 1), ("service", 16, 32, 4), ("service", 2, 32, 2), ("service", 16, 6, 3), ("service", 16, 2, 1)],
)
def test_as_many_calls_are_answered_at_once_as_their_hands_limits_allow(
    kind: Literal["task", "service"], in_flight: int, processes: int, at_once: int
) -> None:
    """Only what a Hand is made from; each guest has its part of the memory."""
    hand = replace(
        manifest(),
        hand=replace(manifest().hand, kind=kind),
        limits=replace(manifest().limits, memory=256 * MEBI, in_flight=in_flight, processes=processes),
    )
    place: Any = SimpleNamespace(manifest=hand)
    made = WasmHand.__new__(WasmHand)
    made._place = place
    WasmHand.__init__(made)
    assert (made._at_once, made._memory) == (at_once, guest_memory(256 * MEBI, at_once))
