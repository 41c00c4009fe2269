"""What is no fit module is told before anything of it runs, and what is loaded is exactly what was compiled."""

import re
import signal
import struct
import subprocess
import time
from pathlib import Path

import pytest

from kernel.cli import compiling
from runtime.wasm import engine, exports, library, offered, sections
from runtime.wasm.compiling import LARGEST, key_of
from runtime.wasm.ends import Unfit
from runtime.wasm.engine import SETTINGS, Engine, Module, binary_of
from runtime.wasm.program import load_program
from runtime.wasm.sections import SECTIONS
from tests.runtime.wasm.guests import ALLOCATE, ECHO, ENGINE, called, run, wat

ROOT = Path(__file__).resolve().parents[3]


def _compile(raw: bytes, name: str = "main.wasm", seconds: int = 60, kind: str = "task") -> tuple[int, bytes, str]:
    """What the program that `maniple install` starts makes of a module."""
    start = [*compiling.confined_command("", seconds), compiling.COMPILER, name, kind]
    done = subprocess.run(start, input=raw, capture_output=True, env={}, cwd="/", timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


BINARY = binary_of(wat(ECHO))
MALFORMED = {
    "nothing": (b"", "unexpected end"),
    "no module": (b"\x7fELF" + bytes(60), "magic header not detected"),
    "a component": (b"\0asm\x0d\0\x01\0", "component"),
    "cut": (BINARY[:-7], "unexpected end"),
    "a section that lies about its size": (BINARY[:9] + b"\xff\xff\xff\xff\x0f" + BINARY[10:], ""),
    "too many imports": (BINARY[:8] + b"\x02\x81\x80\x01" + bytes(16_385), "its imports take 16385 bytes"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_module_is_told_in_one_line(name: str) -> None:
    raw, words = MALFORMED[name]
    code, out, said = _compile(raw)
    assert (code, out) == (1, b"")
    assert words in said
    assert said
    assert "\n" not in said


def test_every_prefix_and_every_flipped_bit_of_a_module_is_compiled_or_told() -> None:
    told = 0
    for at in range(len(BINARY)):
        for raw in (BINARY[:at], BINARY[:at] + bytes((BINARY[at] ^ 1 << at % 8,)) + BINARY[at + 1 :]):
            try:
                Module.from_binary(ENGINE, raw)
            except Unfit:
                told += 1
    assert told > len(BINARY)


def _section(number: int, raw: bytes) -> bytes:
    return bytes((number,)) + _leb(len(raw)) + raw


@pytest.mark.parametrize(
    ("number", "what", "row"),
    [
        (1, "types", b"\x60\x00\x00"),
        (2, "imports", b"\x07maniple\x03now\x00\x00"),
        (3, "functions", b"\x00"),
        (6, "globals", b"\x7f\x01\x41\x00\x0b"),
        (7, "exports", b"\x01x\x00\x00"),
    ],
)
def test_a_module_of_more_than_a_run_can_load_is_told_before_it_is_compiled(number: int, what: str, row: bytes) -> None:
    count = SECTIONS[number][1] // len(row) + 1
    raw = BINARY[:8] + _section(0, b"\x01x") + _section(number, _leb(count) + row * count)
    with pytest.raises(Unfit, match=f"its {what} take [0-9]+ bytes; {SECTIONS[number][1]} are the most"):
        sections.check(raw)
    sections.check(raw[:12])
    sections.check(BINARY)


def test_text_that_is_wrong_is_told_with_its_place() -> None:
    code, _, said = _compile(b"(module (func", "main.wat")
    assert code == 1
    assert "1:" in said


def test_a_huge_module_is_not_read_to_its_end() -> None:
    begun = time.monotonic()
    assert _compile(b"\0" * (LARGEST + 2))[2] == "it is larger than 16 MiB"
    assert time.monotonic() - begun < 10


def _leb(number: int) -> bytes:
    raw = b""
    while number > 0x7F:
        raw, number = raw + bytes((number & 0x7F | 0x80,)), number >> 7
    return raw + bytes((number,))


def _functions(count: int, body: bytes, locals_: bytes = b"\0") -> bytes:
    """A module of so many functions from i32 to i32 that are all alike."""
    code = locals_ + body + b"\x0b"
    function = _leb(len(code)) + code
    sections = (
        (1, b"\x01\x60\x01\x7f\x01\x7f"),
        (3, _leb(count) + b"\0" * count),
        (10, _leb(count) + function * count),
    )
    return (
        b"\0asm" + struct.pack("<I", 1) + b"".join(bytes((number,)) + _leb(len(raw)) + raw for number, raw in sections)
    )


SLOW = _functions(2_500, b"\x20\x00\x41\x05\x6a\x21\x00" * 300 + b"\x20\x00")
"""Five megabytes of additions."""

BROAD = _functions(
    40,
    b"\x20\x00" + b"\x20\x01\x6a\x22\x01\x04\x7f\x20\x00\x05\x20\x01\x0b" * 30_000,
    b"\x01" + b"\xd0\x0f" + b"\x7f",
)
"""Functions of many blocks that all use 2,000 variables, which takes more memory than anybody has."""


@pytest.mark.wide
def test_a_module_that_takes_long_to_compile_is_given_up() -> None:
    begun = time.monotonic()
    code, out, _ = _compile(SLOW, seconds=1)
    assert (code in (-signal.SIGXCPU, -signal.SIGKILL), out) == (True, b"")
    assert time.monotonic() - begun < 30


@pytest.mark.wide
def test_a_module_that_takes_much_memory_to_compile_is_given_up() -> None:
    begun = time.monotonic()
    code, out, _ = _compile(BROAD)
    assert (code in (-signal.SIGABRT, -signal.SIGSEGV), out) == (True, b"")  # process 1 hears no SIGABRT
    assert time.monotonic() - begun < 30


def test_what_is_compiled_is_the_same_each_time_and_under_a_key_of_all_it_comes_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = (_compile(wat(ECHO), "main.wat") for _ in range(2))
    assert first[0] == 0
    assert first == second
    key = key_of(wat(ECHO))
    assert first[1].partition(b"\n")[0].decode() == key != key_of(wat(ECHO) + b" ")
    monkeypatch.setattr("runtime.wasm.compiling.SETTINGS", "of another version")
    assert key_of(wat(ECHO)) != key


def test_an_artefact_that_was_made_without_fuel_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    lax = tuple((name, on and name != "consume_fuel") for name, on in engine._SWITCHES)
    monkeypatch.setattr(engine, "_SWITCHES", lax)
    whole = Module.from_binary(Engine(), BINARY).artefact()
    monkeypatch.undo()
    with pytest.raises(Unfit, match="fuel"):
        load_program(whole)


def test_the_version_in_the_key_is_the_one_that_is_pinned() -> None:
    pins = (ROOT / "requirements" / "base.txt").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^wasmtime==([0-9.]+)", pins) == [library.VERSION]
    assert library.VERSION in SETTINGS


REFUSED = {
    "threads": b"(module (memory 1 1 shared))",
    "relaxed simd": b"(module (func (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1))))",
    "two memories": b"(module (memory 1) (memory 1))",
    "a 64 bit memory": b"(module (memory i64 1))",
    "a collected heap": b"(module (type $s (struct (field i32))) (func (drop (struct.new $s (i32.const 1)))))",
    "exceptions": b"(module (tag $t) (func (throw $t)))",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_could_differ_or_escape_a_limit_is_not_compiled(name: str) -> None:
    with pytest.raises(Unfit):
        Module.from_binary(Engine(), binary_of(REFUSED[name]))


@pytest.mark.parametrize(
    ("imports", "words"),
    [
        ('(import "env" "system" (func (param i32)))', "env.system, which is not offered"),
        ('(import "maniple" "spawn" (func))', "maniple.spawn, which is not offered"),
        ('(import "maniple" "now" (func (result i32)))', "maniple.now as () -> (i32), and it is () -> (i64)"),
        ('(import "maniple" "now" (global i64))', "something that is not a function"),
        ('(import "wasi_snapshot_preview1" "memory" (memory 1))', "which is not offered"),
    ],
)
def test_an_import_that_is_not_offered_is_named(imports: str, words: str) -> None:
    with pytest.raises(Unfit, match=re.escape(words)):
        offered.check(Module.from_binary(ENGINE, binary_of(f"(module {imports})".encode())).imports)


def test_functions_of_vectors_are_told_like_others() -> None:
    """In a process of its own: wasmtime ends one that asks it what kind of type a vector is."""
    vectors = '(func (export "add") (param v128) (result v128) (local.get 0))'
    code, _, said = _compile(wat(ECHO + vectors, imports='(import "maniple" "now" (func (param v128)))'), "main.wat")
    assert (code, said) == (1, "it imports maniple.now as (?) -> (), and it is () -> (i64)")


def test_everything_that_is_offered_can_be_imported_and_imported_twice() -> None:
    letters = {"i": "i32", "I": "i64"}
    rows = [
        f'(import "{module}" "{name}" (func (param {" ".join(map(letters.__getitem__, one.parameters))}) '
        f"(result {' '.join(map(letters.__getitem__, one.results))})))"
        for (module, name), one in offered.TYPES.items()
    ]
    assert len(rows) == 5 + 46
    assert run(wat(ECHO, imports=" ".join(rows + rows[:3]))).what == b"\x80"


@pytest.mark.parametrize(
    ("body", "kind", "methods", "words"),
    [
        (ALLOCATE, "task", (), "exports no function run(i32, i32) -> i64"),
        (ECHO, "task", (), "exports no function maniple_alloc(i32) -> i32"),
        ('(func (export "run"))' + ALLOCATE, "task", (), "it exports run(), and that must be run(i32, i32) -> i64"),
        (ECHO + ALLOCATE, "service", ("test.say-it",), "exports no function say_it(i32, i32, i32, i32) -> i64"),
        ('(func (export "_start") (param i32))', "task", (), "it exports _start(i32), and that must be _start()"),
        (ECHO + ALLOCATE, "service", ("test.run",), "a meaning of its own"),
        (ALLOCATE, "service", ("test.say-it", "test.say.it"), "would both be answered by say_it"),
    ],
)
def test_an_export_that_is_missing_or_of_another_type_is_named(
    body: str, kind: str, methods: tuple[str, ...], words: str
) -> None:
    module = Module.from_binary(ENGINE, binary_of(f'(module (memory (export "memory") 1) {body})'.encode()))
    with pytest.raises(Unfit, match=re.escape(words)):
        exports.check(module, kind, methods)


@pytest.mark.parametrize(
    "what", ["(memory 1)", '(func (export "memory"))', '(memory 1) (table (export "memory") 1 funcref)']
)
def test_a_module_without_a_memory_to_speak_through_is_told(what: str) -> None:
    module = Module.from_binary(ENGINE, binary_of(f"(module {what} {ALLOCATE} {ECHO})".encode()))
    with pytest.raises(Unfit, match="no memory called"):
        exports.check(module, "task", ())


def test_a_loaded_artefact_answers_as_its_module_does() -> None:
    code, out, _ = _compile(BINARY)
    assert code == 0
    made = load_program(out.partition(b"\n")[2])
    import asyncio

    from runtime.kernel_handle import KernelHandle

    loop = asyncio.new_event_loop()
    made.begin(loop, KernelHandle.__new__(KernelHandle), 1)
    loop.close()
    assert called(made, "run", b"\x93\x01\x02\x03").what == b"\x93\x01\x02\x03"
