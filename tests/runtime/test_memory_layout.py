"""What a run uses lies together in the template's memory, and nobody can tell that it has been moved."""

import gc
import os
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Final

import pytest

from kernel import NAMED_STARTER
from runtime import memory_layout
from tests.runtime.peer import ROOT

NAME: Final = "moved_by_a_test"
SOURCE: Final = '''
def alone(a: int, b: str = "b", *, c: float = 1.0) -> str:
    """What it is for."""
    return f"{a}{b}{c}" + "".join(str(x) for x in (1, 2))
alone.mark = ["kept"]

def caller():
    return alone(1)

def outer():
    seen = []
    def inner(x):
        seen.append(x)
        return seen
    return inner
closed = outer()

def held(): return "held"
HOLDS = {"held": held}

def two(): return "two"
also = two

def weak(): return "weak"

class Thing:
    def method(self): return super().__repr__()[:3], "method"
    def __len__(self): return 7
    @staticmethod
    def still(): return "still"
    class Within:
        def deep(self): return "deep"
'''


@pytest.fixture
def module() -> Iterator[ModuleType]:
    made = sys.modules[NAME] = ModuleType(NAME)
    exec(compile(SOURCE, NAME, "exec"), vars(made))
    yield made
    del sys.modules[NAME]


def _all(module: ModuleType) -> dict[str, FunctionType]:
    return {
        one.__qualname__: one
        for one in gc.get_objects()
        if type(one) is FunctionType and one.__module__ == NAME and one.__globals__ is vars(module)
    }


def _told(function: Callable[..., object]) -> dict[str, object]:
    """All that can be seen of a function, but for which one it is."""
    seen = {
        name: getattr(function, name)
        for name in dir(function)
        if isinstance(getattr(function, name), (str, tuple, dict, list, type(None))) and name != "__globals__"
    }
    return {**seen, "code": function.__code__.replace(), "globals": id(function.__globals__)}


def test_a_function_that_only_its_home_holds_is_moved_and_is_as_it_was(module: ModuleType) -> None:
    before = {name: (id(one), _told(one)) for name, one in _all(module).items()}
    weakly = weakref.ref(module.weak)
    memory_layout.lay_together((), {NAME})
    after = _all(module)
    assert {name: _told(one) for name, one in after.items()} == {name: told for name, (_, told) in before.items()}
    moved = {name for name, one in after.items() if id(one) != before[name][0]}
    assert moved == {"alone", "caller", "outer", "Thing.method", "Thing.__len__", "Thing.Within.deep"}
    assert module.HOLDS["held"] is module.held
    assert module.also is module.two
    assert weakly() is module.weak


def test_moved_functions_do_what_they_did(module: ModuleType) -> None:
    memory_layout.lay_together((), {NAME})
    thing = module.Thing()
    assert module.caller() == "1b1.012"
    assert module.alone(2, c=3) == "2b312"
    assert module.closed(1) is module.closed(2)
    assert module.outer()(5) == [5]
    assert thing.method() == ("<mo", "method")
    assert (len(thing), thing.still(), module.Thing.Within().deep()) == (7, "still", "deep")


def test_code_and_its_texts_come_to_lie_in_few_pages(module: ModuleType) -> None:
    many = "\n".join(f"def f{number}(): return [*(x for x in 'text {number}')]" for number in range(200))
    exec(compile(many, NAME, "exec"), vars(module))
    spread = [bytes(23) for _ in range(10_000)]  # of the size of these texts, and a gap for each second one
    del spread[::2]
    memory_layout.fill_gaps()
    laid = memory_layout.lay_together((), {NAME})
    texts = [code.co_qualname for one in laid for code in one.co_consts if isinstance(code, type(one))]
    assert len(texts) >= 200
    if sys.version_info < (3, 14):  # which makes other objects of their size between them
        assert len({id(text) // 4096 for text in texts}) < 15
    assert len({id(one) // 4096 for one in laid}) < len(laid) / 5


def test_names_that_a_run_uses_lie_together_in_the_next_template(tmp_path: Path) -> None:
    """It finds them in the file that the one before has left, whatever stood there."""
    (tmp_path / "probe.py").write_text("""
def main(arguments):
    from runtime import memory_layout, preload
    kept = memory_layout.keep_names
    def seen(path, codes):
        kept(path, codes)
        print(len({id(name) // 4096 for code in codes for name in code.co_names}))
    memory_layout.keep_names = seen
    preload.preload(*arguments)
""")
    names = tmp_path / "names"
    start = [sys.executable, "-S", "-c", NAMED_STARTER, str(names), f"{tmp_path}:{ROOT}:{':'.join(sys.path)}", "probe"]

    def pages() -> int:
        return int(subprocess.run([*start, str(names)], capture_output=True, text=True, check=True).stdout)

    names.write_bytes(b"\xff\0 no name\n" * 1_000)
    before = pages()
    kept = names.read_text().split("\n")
    assert {"create_task", "redact", "_unsent"} < set(kept)
    assert sorted(kept) == kept
    assert pages() < before * 0.6
    assert {path.name for path in tmp_path.iterdir()} <= {"names", "probe.py", "__pycache__"}


def test_names_are_written_when_they_differ_and_can_be(tmp_path: Path) -> None:
    def used(thing: os.stat_result) -> int:
        return thing.st_ino

    path = tmp_path / "names"
    memory_layout.keep_names(str(path), [used.__code__])
    assert path.read_text() == "st_ino\nthing\nused"
    os.utime(path, (1, 1))
    memory_layout.keep_names(str(path), [used.__code__])
    assert path.stat().st_mtime == 1
    memory_layout.keep_names(str(path), [])
    assert path.read_text() == ""
    (tmp_path / "folder").mkdir()
    memory_layout.keep_names(str(tmp_path / "folder"), [used.__code__])
    memory_layout.keep_names(str(tmp_path / "nowhere" / "names"), [used.__code__])
    assert sorted(one.name for one in tmp_path.iterdir()) == ["folder", "names"]


def test_whoever_else_uses_this_installation_begins_with_the_names_too(tmp_path: Path) -> None:
    """The template's own files are its user's alone, and the first one here may be root's."""
    path, before = tmp_path / "names", os.umask(0o077)
    try:
        memory_layout.keep_names(str(path), [_told.__code__])
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_python_that_allocates_in_another_way_is_left_as_it_is() -> None:
    assert memory_layout._fillers(64, pool=1 << 30) == []
    assert memory_layout._fill_heap(most=1_000) < 1_000 + 4_104
