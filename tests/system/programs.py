"""Programs as Hands, in sh or any other language, for tests: each a Source with a command; and what is asked of them."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from kernel.cli.client import Client
from tests.living import ECHO, ROOT, Kernel, Source, install, make_home

NODE: Final = shutil.which("node", path="/usr/local/bin:/usr/bin:/bin")
PYTHON: Final = "/usr/bin/python3"

ALWAYS: Final = """#!/bin/sh
told() { printf '%s\\n' "$1" >&3; }
read -r hello <&3
"""
LOOP: Final = """
told '{"type":"ready"}'
while read -r line <&3; do
    id=${line#*'"id":'}; id=${id%%,*}; id=${id%%\\}*}
    case $line in
        *'"type":"stop"'*) exit 0 ;;
        *'"type":"call"'*) answer ;;
    esac
done
"""

SQUARES: Final = """
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

def squares(most):
    with done.get_lock():
        done.value += 1
    met.wait(10)
    return os.getpid(), sum(n * n for n in range(most))

fork = multiprocessing.get_context("fork")
done, met = fork.Value("i", 0), fork.Barrier(2)
with ProcessPoolExecutor(2, fork) as pool:
    (one, first), (other, second) = pool.map(squares, [3, 30_000])
print(first, second, done.value, one != other)
"""
"""A program in Python of which two processes each do a part, and meet before they are done."""

SQUARED: Final = "5 8999550005000 2 True"


@contextmanager
def with_cats(work: Path) -> Iterator[Kernel]:
    """A kernel whose Hand `files` has a root `data`, in which a file is about cats; and `echo`."""
    (work / "data").mkdir()
    (work / "data" / "cats.txt").write_text("the cat sat\non the mat\n")
    with Kernel(make_home(work / "home")) as kernel, kernel.client() as client:
        install(kernel, ROOT / "hands" / "files")
        install(kernel, ECHO)
        client.call("kernel.root-add", "data", {"path": str(work / "data")})
        yield kernel


def a_hand(name: str, program: str, *, more: str = "", kind: str = "service") -> Source:
    """A Hand whose command is ./main.py, a text in any language: `NAME.do` takes a text and gives a value."""
    toml = f"""
[hand]
name = "{name}"
version = "1.0.0"
description = "A program."
command = ["./main.py"]
kind = "{kind}"
autonomy = "full"

[provides."{name}.do"]
summary = "Do it"
resource = "none"
effect = "read"
params = {{ text = "string?" }}

[limits]
processes = 32

[restart]
times = 100
{more}
"""
    return Source(toml, program)


def in_sh(name: str, answer: str, before: str = "") -> Source:
    """One in sh, which answers every call by this."""
    return a_hand(name, f"{ALWAYS}{before}\nanswer() {{\n{answer}\n}}\n{LOOP}")


SAY: Final = """told "{\\"type\\":\\"done\\",\\"id\\":$id,\\"value\\":\\"$({})\\"}" """


def says(name: str, command: str) -> Source:
    """One that answers with what a command prints, in one line."""
    return in_sh(name, SAY.replace("{}", f"{{ {command}; }} 2>&1 | tr '\\n\"\\\\' '|  ' | sed 's/|$//'", 1))


def output_of(kernel: Kernel, name: str) -> str:
    """What a Hand printed."""
    return (kernel.home / "output" / f"{name}.log").read_text()


def value_of(client: Client, method: str, /, **arguments: object) -> Any:
    """The value that a method answers with."""
    return client.call(method, "", arguments).value


def is_down(client: Client, name: str) -> bool:
    """Whether no run of this Hand lives."""
    return name not in [one["hand"] for one in value_of(client, "kernel.ps")["runs"]]


def wait_for(told: Callable[[], object], within: float = 30.0) -> None:
    """Return when it is true."""
    end = time.monotonic() + within
    while not told():
        assert time.monotonic() < end
        time.sleep(0.02)
