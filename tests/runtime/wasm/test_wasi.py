"""WASI preview 1 as a sandboxed program finds it: no files, no network, the kernel's clock, the Hand's log."""

import struct
from collections.abc import Iterator

import pytest

from runtime.wasm import offered, wasi
from runtime.wasm.ends import Exited
from runtime.wasm.guest import Guest
from runtime.wasm.hand import STDOUT_MOST, Output
from tests.runtime.wasm.guests import Answer, called, program, run, running, terms, wat

WASI = "wasi_snapshot_preview1"
LETTERS = {"i": "i32", "I": "i64"}


def _import(name: str) -> str:
    one = offered.TYPES[WASI, name]
    parameters, results = (" ".join(map(LETTERS.__getitem__, letters)) for letters in one)
    return f'(import "{WASI}" "{name}" (func ${name} (param {parameters}) (result {results})))'


def _errno(name: str, *arguments: int) -> int:
    """What a function gives when it is called with these."""
    kinds = offered.TYPES[WASI, name].parameters
    given = " ".join(f"({LETTERS[kind]}.const {value})" for kind, value in zip(kinds, arguments, strict=True))
    answer = run(
        running(
            f"(i32.store (i32.const 256) (call ${name} {given})) (i64.const 0x0000_0100_0000_0004)",
            imports=_import(name),
        )
    )
    assert isinstance(answer.what, bytes), answer
    return int.from_bytes(answer.what, "little")


FILES = [name for module, name in offered.TYPES if module == WASI and name.startswith(("path_", "sock_", "fd_"))]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("fd", [3, 4, 0xFFFF_FFFF])
def test_no_other_descriptor_is_open_for_anything(name: str, fd: int) -> None:
    rest = len(offered.TYPES[WASI, name].parameters) - 1
    assert _errno(name, fd, *[64] * rest) == wasi.BADF


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith(("path_", "fd_prestat_"))])
def test_the_standard_streams_are_no_folders(name: str) -> None:
    rest = len(offered.TYPES[WASI, name].parameters) - 1
    assert _errno(name, 1, *[64] * rest) == wasi.BADF


@pytest.mark.parametrize(
    ("name", "arguments", "errno"),
    [
        ("fd_seek", (1, 0, 0, 64), wasi.SPIPE),
        ("fd_tell", (2, 64), wasi.SPIPE),
        ("fd_sync", (1,), wasi.NOSYS),
        ("fd_read", (1, 64, 1, 128), wasi.BADF),
        ("fd_write", (0, 64, 1, 128), wasi.BADF),
        ("fd_write", (1, 64, 2_000, 128), wasi.INVAL),
        ("fd_fdstat_set_flags", (1, 0), wasi.SUCCESS),
        ("sock_send", (1, 64, 1, 0, 128), wasi.NOTSOCK),
        ("clock_time_get", (2, 0, 64), wasi.INVAL),
        ("clock_time_get", (0, 0, 64), wasi.SUCCESS),
        ("clock_res_get", (1, 64), wasi.SUCCESS),
        ("clock_res_get", (3, 64), wasi.INVAL),
        ("sched_yield", (), wasi.SUCCESS),
        ("proc_raise", (9,), wasi.NOSYS),
        ("random_get", (64, 8), wasi.SUCCESS),
        ("poll_oneoff", (64, 1024, 0, 32), wasi.INVAL),
        ("poll_oneoff", (64, 1024, 100_000, 32), wasi.INVAL),
    ],
)
def test_each_of_these_answers_as_a_program_expects(name: str, arguments: tuple[int, ...], errno: int) -> None:
    assert _errno(name, *arguments) == errno


def _said(text: bytes, **more: bytes) -> tuple[Answer, list[tuple[str, str]]]:
    lines: list[tuple[str, str]] = []
    answer = called(program(text), "_start", under=terms(say=lambda line, stream: lines.append((stream, line))))
    return answer, lines


def _writing(*texts: tuple[int, str], more: str = "") -> bytes:
    """A program that writes each text to a descriptor."""
    rows, at = [], 2048
    for fd, text in texts:
        size = len(text.encode())
        shown = "".join(f"\\{byte:02x}" for byte in text.encode())
        rows.append(
            f"(i32.store (i32.const 16) (i32.const {at})) (i32.store (i32.const 20) (i32.const {size}))"
            f"(drop (call $fd_write (i32.const {fd}) (i32.const 16) (i32.const 1) (i32.const 32)))"
        )
        more += f'(data (i32.const {at}) "{shown}")'
        at += size
    imports = _import("fd_write") + _import("fd_close") + _import("proc_exit").replace("(result )", "")
    return wat(
        f'(func (export "_start") {" ".join(rows)} (drop (call $fd_close (i32.const 1)))) {more}', imports=imports
    )


def test_what_is_written_goes_to_the_log_line_by_line_and_the_rest_at_the_end() -> None:
    text = _writing((1, "one\ntw"), (2, "wrong\n"), (1, "o\n\nthree"))
    answer, lines = _said(text)
    assert answer.what == b""
    assert lines == [("stdout", "one"), ("stderr", "wrong"), ("stdout", "two"), ("stdout", ""), ("stdout", "three")]


def test_standard_output_is_kept_as_it_came_whatever_the_log_makes_of_its_lines() -> None:
    long, output = "x" * 20_000, Output()
    text = _writing((1, long[:4096]), (1, long[4096:] + "\nsec"), (2, "wrong"), (1, "ond\n"))
    assert called(program(text), "_start", under=terms(keep=output.keep)).what == b""
    assert output.text() == f"{long}\nsecond"
    for character in ("x", "\U00010400"):
        output = Output()
        for _ in range(40):
            output.keep(character.encode() * 4_096)
        assert output.text() == character * STDOUT_MOST


def test_a_long_line_is_said_whole() -> None:
    long = "é" * 6_000
    assert _said(_writing((1, f"{long}\n"), (1, "two\n")))[1] == [("stdout", long), ("stdout", "two")]


def test_a_line_without_an_end_is_said_in_pieces_and_bytes_that_are_no_text_are_shown() -> None:
    answer, lines = _said(_writing((1, "x" * 20_000)))
    assert answer.what == b""
    assert "".join(line for _, line in lines) == "x" * 20_000
    answer, lines = _said(_writing((1, "a")).replace(b'"\\61"', b'"\\ff"'))
    assert lines == [("stdout", "\ufffd")]


def test_a_write_takes_at_most_a_piece_and_says_how_much() -> None:
    body = """(i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.const 1000000))
    (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 256))) (i64.const 0x0000_0100_0000_0004)"""
    answer = run(running(body, imports=_import("fd_write"), pages="20"))
    assert answer.what == struct.pack("<I", 65_536)


def test_arguments_and_environment_arrive_as_they_were_given() -> None:
    names = ("args_sizes_get", "args_get", "environ_sizes_get", "environ_get")
    body = """(drop (call $args_sizes_get (i32.const 0) (i32.const 4))) (drop (call $args_get (i32.const 16) (i32.const 256)))
    (drop (call $environ_sizes_get (i32.const 8) (i32.const 12))) (drop (call $environ_get (i32.const 32) (i32.const 300)))
    (i64.const 0x0000_0000_0000_0140)"""
    under = terms(arguments=(b"prog", b"a=1", "ü=2".encode()), environment=(b"LEVEL=3",))
    answer = run(running(body, imports="".join(map(_import, names))), under=under)
    assert isinstance(answer.what, bytes)
    assert struct.unpack("<IIII", answer.what[:16]) == (3, 14, 1, 8)
    assert struct.unpack("<III", answer.what[16:28]) == (256, 261, 265)
    assert answer.what[256:270] == "prog\0a=1\0ü=2\0".encode()
    assert answer.what[300:308] == b"LEVEL=3\0"


def test_a_program_with_many_arguments_is_interrupted_while_it_reads_them() -> None:
    class Many(tuple[bytes, ...]):
        def __iter__(self) -> Iterator[bytes]:
            yield b"first"
            guest.interrupt("deadline", "late")
            yield b"second"

    text = running("(drop (call $args_get (i32.const 0) (i32.const 64))) (i64.const 0)", imports=_import("args_get"))
    guest = Guest(made := program(text), terms(arguments=Many()))
    assert called(made, "run", b"\x80", guest=guest).code == "deadline"


def test_a_program_that_exits_ends_there_with_its_number() -> None:
    exit_import = _import("proc_exit").replace("(result )", "")
    answer, _ = _said(wat('(func (export "_start") (call $proc_exit (i32.const 3)) unreachable)', imports=exit_import))
    assert isinstance(answer.what, Exited)
    assert answer.what.number == 3


def test_a_pointer_outside_of_memory_ends_the_program() -> None:
    for name, arguments in (
        ("fd_write", (1, 65_532, 1, 0)),
        ("clock_time_get", (0, 0, 65_530)),
        ("args_sizes_get", (0, 70_000)),
    ):
        kinds = offered.TYPES[WASI, name].parameters
        given = " ".join(f"({LETTERS[kind]}.const {value})" for kind, value in zip(kinds, arguments, strict=True))
        answer = run(running(f"(drop (call ${name} {given})) (i64.const 0)", imports=_import(name)))
        assert answer.code == "trap", name


def test_a_flood_of_output_ends_with_its_fuel() -> None:
    body = (
        "(loop (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 32))) (br 0)) (i64.const 0)"
    )
    text = running(body, imports=_import("fd_write")).replace(
        b"(func $alloc", b'(data (i32.const 16) "\\00\\00\\00\\00\\00\\10") (func $alloc'
    )
    assert run(text, under=terms(fuel=1_000_000)).code == "fuel"


def test_a_flood_of_empty_lines_ends_with_its_fuel_and_at_once_when_it_is_interrupted() -> None:
    body = """(memory.fill (i32.const 4096) (i32.const 10) (i32.const 60000))
    (i32.store (i32.const 16) (i32.const 4096)) (i32.store (i32.const 20) (i32.const 60000))
    (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 32))) (i64.const 0)"""
    text = running(body, imports=_import("fd_write"))
    assert run(text, under=terms(fuel=10_000_000)).code == "fuel"
    made, lines = program(text), []

    def say(line: str, _: str) -> None:
        lines.append(line)
        guest.interrupt("deadline", "late")

    guest = Guest(made, terms(say=say))
    assert called(made, "run", b"\x80", guest=guest).code == "deadline"
    assert lines == [""]


def test_polling_a_stream_is_answered_at_once() -> None:
    body = """(i64.store (i32.const 64) (i64.const 77)) (i32.store8 (i32.const 72) (i32.const 2))
    (i32.store (i32.const 80) (i32.const 1))
    (drop (call $poll_oneoff (i32.const 64) (i32.const 256) (i32.const 1) (i32.const 288)))
    (i64.const 0x0000_0100_0000_0024)"""
    answer = run(running(body, imports=_import("poll_oneoff")))
    assert isinstance(answer.what, bytes)
    assert struct.unpack("<QHBxxxxxQH", answer.what[:26]) == (77, wasi.SUCCESS, 2, 65_536, 0)
    assert answer.what[32:] == struct.pack("<I", 1)
