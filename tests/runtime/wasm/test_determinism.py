"""The same input and seed give the same answer, bit for bit, whatever the machine does."""

import struct

import pytest

from runtime.wasm.seeded import Seeded
from tests.runtime.wasm.guests import MEBI, called, program, run, running, terms, wat

RANDOM = '(import "maniple" "random" (func $random (param i32 i32)))'
NOW = '(import "maniple" "now" (func $now (result i64)))'
GIVE_64 = "(i64.const 0x0000_0100_0000_0040)"  # 64 bytes at 256


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    text = running(f"(call $random (i32.const 256) (i32.const 64)) {GIVE_64}", imports=RANDOM)
    made = program(text)
    first, again, other = (called(made, "run", b"\x80", under=terms(seed=seed)).what for seed in (b"1", b"1", b"2"))
    assert first == again != other
    assert first == Seeded(b"1").take(64)


def test_random_bytes_do_not_depend_on_how_they_are_asked_for() -> None:
    one, many = Seeded(b"x"), Seeded(b"x")
    assert one.take(100) == b"".join(many.take(size) for size in (0, 1, 31, 32, 33, 3))


def test_a_guest_that_wants_random_bytes_outside_of_its_memory_ends() -> None:
    answer = run(running("(call $random (i32.const 65500) (i32.const 64)) (i64.const 0)", imports=RANDOM))
    assert answer.code == "trap"


def test_a_flood_of_random_bytes_ends_with_its_fuel() -> None:
    text = running(
        "(loop (call $random (i32.const 0) (i32.const 8000000)) (br 0)) (i64.const 0)", imports=RANDOM, pages="128"
    )
    answer = run(text, under=terms(fuel=1_000_000))
    assert answer.code == "fuel"


def test_time_is_the_kernels_and_stands_still_while_a_guest_computes() -> None:
    body = """(local $n i32) (i64.store (i32.const 256) (call $now))
    (loop (local.set $n (i32.add (local.get $n) (i32.const 1))) (br_if 0 (i32.lt_u (local.get $n) (i32.const 1000000))))
    (i64.store (i32.const 264) (call $now)) (i64.const 0x0000_0100_0000_0010)"""
    answer = run(running(body, imports=NOW))
    assert isinstance(answer.what, bytes)
    assert struct.unpack("<QQ", answer.what) == (terms().time, terms().time)


NANS = {
    "zero by zero": "(f64.div (f64.const 0) (f64.const 0))",
    "infinity less infinity": "(f64.sub (f64.const inf) (f64.const inf))",
    "root of -1": "(f64.sqrt (f64.const -1))",
    "a number with a payload": "(f64.add (f64.const nan:0x4000000000001) (f64.const 1))",
    "a negative one": "(f64.mul (f64.const -nan:0x8000000000001) (f64.const 2))",
    "of a smaller one": "(f64.promote_f32 (f32.div (f32.const 0) (f32.const 0)))",
    "the least": "(f64.min (f64.const nan:0x123) (f64.const 1))",
}


@pytest.mark.parametrize("name", NANS)
def test_every_computed_nan_has_the_same_bits(name: str) -> None:
    answer = run(running(f"(f64.store (i32.const 256) {NANS[name]}) (i64.const 0x0000_0100_0000_0008)"))
    assert answer.what == bytes.fromhex("000000000000f87f")


def test_every_computed_nan_of_a_vector_has_the_same_bits() -> None:
    nan = "(f32x4.div (v128.const f32x4 0 -0 inf nan:0x7) (v128.const f32x4 0 0 inf 1))"
    answer = run(running(f"(v128.store (i32.const 256) {nan}) (i64.const 0x0000_0100_0000_0010)"))
    assert answer.what == bytes.fromhex("0000c07f") * 4


def test_fuel_and_memory_are_the_same_each_time() -> None:
    made = program(running("(drop (memory.grow (i32.const 7))) (i64.const 0)"))
    used = {(one.fuel, one.memory) for one in (called(made, "run", b"\x80").used for _ in range(5))}
    assert len(used) == 1
    assert used.pop()[1] == 8 * 65_536


def test_what_a_guest_is_told_of_its_memory_depends_on_its_limit_alone() -> None:
    body = """(local $n i32) (loop (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if 0 (i32.ne (i32.const -1) (memory.grow (i32.const 1)))))
    (i32.store (i32.const 256) (local.get $n)) (i64.const 0x0000_0100_0000_0004)"""
    made = program(wat(f'(func (export "run") (param i32 i32) (result i64) {body})'))
    answers = {called(made, "run", b"\x80", under=terms(memory=4 * MEBI)).what for _ in range(3)}
    assert answers == {struct.pack("<I", 64)}
