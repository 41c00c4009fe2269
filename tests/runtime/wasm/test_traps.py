"""Whatever a guest does wrong, its call ends with a reason that names it, and the next call finds a clean instance."""

import resource
import threading
import time

import pytest

from runtime.wasm.ends import of_error
from runtime.wasm.guest import HOST_CALL, TABLE_ELEMENTS, TABLES, Guest
from tests.runtime.wasm.guests import ECHO, MEBI, called, program, run, running, terms, wat
from wire import codec

TRAPS = {
    "unreachable": ("unreachable", "trap", "unreachable"),
    "divides by zero": ("(i64.div_u (i64.const 1) (i64.const 0))", "trap", "divided by zero"),
    "remainder by zero": ("(i64.rem_s (i64.const 1) (i64.const 0))", "trap", "divided by zero"),
    "overflows": ("(i64.div_s (i64.const 0x8000000000000000) (i64.const -1))", "trap", "overflowed"),
    "converts what does not fit": ("(i64.trunc_f64_s (f64.const 1e300))", "trap", "overflowed"),
    "converts no number": ("(i64.trunc_f64_s (f64.const nan))", "trap", "converted"),
    "reads outside": ("(i64.load (i32.const -8))", "trap", "outside of its memory"),
    "writes outside": ("(i64.store (i32.const 65530) (i64.const 1)) (i64.const 0)", "trap", "outside of its memory"),
    "fills outside": (
        "(memory.fill (i32.const 1) (i32.const 0) (i32.const 65536)) (i64.const 0)",
        "trap",
        "outside of its memory",
    ),
    "recurses": ("(i64.add (i64.const 1) (call $run (local.get $at) (local.get $size)))", "stack", "recursed"),
    "answers from outside": ("(i64.const 0xffff_ffff_0000_0010)", "trap", "outside of its memory"),
    "answers more than it has": ("(i64.const 0x0000_0000_ffff_ffff)", "trap", "outside of its memory"),
}


@pytest.mark.parametrize("name", TRAPS)
def test_each_trap_is_named_and_leaves_nothing_behind(name: str) -> None:
    body, code, words = TRAPS[name]
    made = program(running(body))
    first, second = called(made, "run", b"\x80"), called(made, "run", b"\x80")
    assert (first.code, second.code) == (code, code)
    assert words in str(first.what) == str(second.what)
    assert first.used.fuel == second.used.fuel


TABLE = "(type $f (func (result i64))) (table 2 funcref) (elem (i32.const 0) $other) (func $other (param i32))"
TABLE_TRAPS = {
    "beyond the table": ("(call_indirect (type $f) (i32.const 2))", "outside of a table"),
    "an empty entry": ("(call_indirect (type $f) (i32.const 1))", "empty entry"),
    "another type": ("(call_indirect (type $f) (i32.const 0))", "another type"),
}


@pytest.mark.parametrize("name", TABLE_TRAPS)
def test_each_wrong_call_through_a_table_is_named(name: str) -> None:
    body, words = TABLE_TRAPS[name]
    answer = run(running(body).replace(b"(module ", b"(module " + TABLE.encode()))
    assert answer.code == "trap"
    assert words in str(answer.what)


def test_the_functions_that_trapped_are_named() -> None:
    body = '(func $inner unreachable) (func $outer (export "run") (param i32 i32) (result i64) (call $inner) (i64.const 0))'
    assert str(run(wat(body)).what).endswith("(in inner, called by outer)")


def _named(name: str, body: str) -> str:
    return f'(func $"{name}" {body}) (func (export "run") (param i32 i32) (result i64) (call $"{name}") (i64.const 0))'


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("_ZN3foo3barEv", "foo::bar"),
        ("_ZN4core3fmt3pad17h0123456789abcdefE", "core::fmt::pad::h0123456789abcdef"),
        ("_ZN9999foo", "_ZN9999foo"),
        ("_ZNE", "_ZNE"),
        ("a\\n\\1b[2Jb", "a\ufffd\ufffd[2Jb"),
    ],
)
def test_a_functions_name_is_shown_as_its_language_writes_it_and_in_one_line(name: str, shown: str) -> None:
    assert str(run(wat(_named(name, "unreachable"))).what).endswith(f"(in {shown})")


def _doubling(times: int) -> str:
    """A name in the manner of C++, each type of which is made of the one before twice: whole it has 2 ** times letters."""
    signs, name = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", "_Z1f1pI1AS0_E"
    for at in signs[1 : times + 1]:
        name += f"S_IS{at}_S{at}_E"
    return name


@pytest.mark.parametrize(
    "body", ["unreachable", "(loop (br 0))", "(call $log (i32.const 0) (i32.const -1) (i32.const 9))"]
)
@pytest.mark.parametrize("name", [_doubling(20), "x" * 2_000_000], ids=["doubling", "long"])
def test_no_name_of_a_function_makes_its_trap_take_time_or_room(name: str, body: str) -> None:
    """By the processor's time; once everything is loaded, that the first trap needs."""
    log = '(import "maniple" "log" (func $log (param i32 i32 i32)))'
    made, few = program(wat(_named(name, body), imports=log)), terms(fuel=20_000)
    room = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    called(made, "run", b"\x80", under=few)
    before = time.process_time()
    answer = called(made, "run", b"\x80", under=few)
    assert time.process_time() - before < 0.05
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - room < 16 * 1024
    assert answer.code in ("trap", "fuel")
    assert len(str(answer.what)) < 400


LOOP = "(loop (br 0)) (i64.const 0)"


def test_an_endless_loop_ends_when_its_fuel_does() -> None:
    answer = run(running(LOOP), under=terms(fuel=1_000_000))
    assert answer.code == "fuel"
    assert answer.used.fuel == 1_000_000


ENDLESS = {
    "in code": running(LOOP),
    "in a start function": running("(i64.const 0)").replace(
        b"(func $alloc", b"(start $s) (func $s (loop (br 0))) (func $alloc"
    ),
    "in _initialize": running("(i64.const 0)").replace(
        b"(func $alloc", b'(func (export "_initialize") (loop (br 0))) (func $alloc'
    ),
    "in its allocator": wat(ECHO).replace(b"(local $at i32)", b"(local $at i32) (loop (br 0))", 1),
    "in tail calls": running("(return_call $run (local.get $at) (local.get $size))"),
    "in host calls": running(
        "(loop (drop (call $now)) (br 0)) (i64.const 0)", imports='(import "maniple" "now" (func $now (result i64)))'
    ),
}


@pytest.mark.parametrize("where", ENDLESS)
def test_an_endless_loop_ends_within_its_fuel_wherever_it_is(where: str) -> None:
    answer = run(ENDLESS[where], under=terms(fuel=3_000_000))
    assert answer.code == "fuel"
    assert answer.used.fuel == 3_000_000


def test_a_start_function_calls_nobody() -> None:
    """There is no instance yet that an answer could be given to."""
    call = '(import "maniple" "call" (func $call (param i32 i32 i32 i32 i32 i32 i32) (result i32)))'
    calls = f"(start $s) (func $s (drop (call $call {'(i32.const 0)' * 7})))"
    text = running("(i64.const 0)", imports=call).replace(b"(func $alloc", calls.encode() + b"(func $alloc")
    answer = run(text)
    assert (answer.code, str(answer.what)) == (
        "malformed",
        "maniple.call cannot be used in a start function: use `_initialize`",
    )


def test_a_call_of_the_host_costs_more_than_an_instruction() -> None:
    now = '(import "maniple" "now" (func $now (result i64)))'
    free, paid = (
        run(running("(drop (call $now))" * times + "(i64.const 0)", imports=now)).used.fuel for times in (0, 3)
    )
    assert paid - free >= 3 * HOST_CALL


def test_each_byte_that_a_guest_is_given_costs_fuel() -> None:
    made = program(wat(ECHO))
    few, many = (called(made, "run", codec.encode_body("x" * size)).used.fuel for size in (1, 1001))
    assert many - few >= 1000


def test_a_line_that_is_too_long_is_cut_and_costs_no_more_than_one_that_is_not() -> None:
    log = '(import "maniple" "log" (func $log (param i32 i32 i32)))'
    line = "(call $log (i32.const 0) (i32.const 1024) (i32.const {})) (i64.const 0)"
    costs = [run(running(line.format(size), imports=log)).used.fuel for size in (8191, 8192, 60_000)]
    assert costs[0] + 1 == costs[1] == costs[2]


@pytest.mark.parametrize("where", ENDLESS)
def test_an_endless_loop_does_no_50_ms_of_work_after_its_deadline_wherever_it_is(where: str) -> None:
    """By the processor's time, of which others on the machine take none."""
    guest = Guest(made := program(ENDLESS[where]), terms(fuel=10**15))
    since = list[float]()

    def interrupt() -> None:
        since.append(time.process_time())
        guest.interrupt("deadline", "late")

    timer = threading.Timer(0.05, interrupt)
    timer.start()
    assert called(made, "run", b"\x80", guest=guest).code == "deadline"
    assert time.process_time() - since[0] < 0.05
    timer.join()


def test_a_guest_that_is_interrupted_before_it_begins_does_nothing() -> None:
    made = program(running(LOOP))
    guest = Guest(made, terms())
    guest.interrupt("cancelled", "not wanted any more")
    assert called(made, "run", b"\x80", guest=guest).code == "cancelled"


GROW = "(loop (br_if 0 (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))"


def test_a_memory_bomb_stops_at_the_limit_and_says_so_when_it_gives_up() -> None:
    answer = run(running(GROW + "unreachable"), under=terms(memory=8 * MEBI))
    assert answer.code == "memory"
    assert "8MiB" in str(answer.what)
    assert answer.used.memory == 8 * MEBI


def test_a_guest_that_is_told_there_is_no_more_memory_may_go_on() -> None:
    assert run(running(GROW + "(i64.const 0)"), under=terms(memory=8 * MEBI)).what == b""


def test_a_module_that_begins_with_too_much_memory_is_not_instantiated() -> None:
    answer = run(running("(i64.const 0)", pages="400"))
    assert answer.code == "memory"
    assert "exceeds memory limits" in str(answer.what)


def test_an_instance_for_which_there_is_no_room_ends_for_memory() -> None:
    """What a module's globals and functions take lies outside of its own memory; in wasmtime's words."""
    assert of_error("out of memory (failed to allocate 6400272 bytes)\n").code == "memory"


def test_a_table_that_begins_too_large_is_not_instantiated() -> None:
    table = f"(table {TABLE_ELEMENTS + 1} funcref)".encode()
    answer = run(running("(i64.const 0)").replace(b"(module ", b"(module " + table))
    assert answer.code == "table"


@pytest.mark.parametrize(("tables", "code"), [(TABLES, ""), (TABLES + 1, "table")])
def test_a_module_with_too_many_tables_is_not_instantiated(tables: int, code: str) -> None:
    text = running("(i64.const 0)").replace(b"(module ", b"(module " + b"(table 1 funcref)" * tables)
    assert run(text).code == code


def test_a_table_bomb_is_told_that_there_is_no_more() -> None:
    grown = f"(table.grow $t (ref.null func) (i32.const {TABLE_ELEMENTS + 1}))"
    body = f"(if (i32.ne (i32.const -1) {grown}) (then unreachable)) (i64.const 0)"
    answer = run(running(body).replace(b"(module ", b"(module (table $t 0 funcref)"))
    assert answer.what == b""


def test_a_guest_whose_allocator_has_no_room_ends() -> None:
    text = wat(ECHO).replace(b"(local.get $at))\n", b"(i32.const 0))\n", 1)
    assert (run(text).code, "no room" in str(run(text).what)) == ("memory", True)


def test_nothing_of_one_call_is_seen_by_the_next() -> None:
    count = """(global $n (mut i32) (i32.const 0))
    (func (export "run") (param i32 i32) (result i64)
      (global.set $n (i32.add (global.get $n) (i32.const 1)))
      (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
      (i32.store8 (i32.const 16) (i32.add (global.get $n) (i32.load (i32.const 0))))
      (i64.const 0x0000_0010_0000_0001))"""
    made = program(wat(count))
    assert [called(made, "run", b"\x80").what for _ in range(3)] == [b"\x02"] * 3


def test_a_call_maps_no_executable_memory() -> None:
    made = program(wat(ECHO))

    def executable() -> set[str]:
        with open("/proc/self/maps", encoding="utf-8") as maps:
            return {line.split()[0] for line in maps if "x" in line.split()[1]}

    before = executable()
    assert called(made, "run", b"\x80").what == b"\x80"
    assert executable() == before
