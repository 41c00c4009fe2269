"""What `maniple check` points at: time and chance that no later process can be told again, and what no run may do."""

import pkgutil
from inspect import iscoroutinefunction

import pytest

from manifests.advice import (  # fmt: skip
    AWAITED,
    NETWORK,
    PROGRAMS,
    UNBOUND,
    find_absent,
    find_refused,
    find_unawaited,
    find_unbound,
)
from runtime.hand import Hand
from runtime.kernel_handle import KernelHandle
from tests.living import ROOT


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("import datetime\nx = datetime.datetime.now(datetime.UTC)", ["datetime.datetime.now"]),
        ("import datetime as dt\nx = dt.datetime.utcnow", ["datetime.datetime.utcnow"]),
        ("from datetime import datetime, date\nx = datetime.now(), date.today()",
         ["datetime.datetime.now", "datetime.date.today"]),
        ("from datetime import datetime as when\ndef f():\n    return when.today()", ["datetime.datetime.today"]),
        ("import os.path\nx = os.urandom(4)", ["os.urandom"]),
        ("from os import urandom\nx = map(urandom, [1])", ["os.urandom"]),
        ("import secrets\nx = secrets.token_hex()", ["secrets.token_hex"]),
        ("from secrets import choice as pick\nx = pick('ab')", ["secrets.choice"]),
        ("def f():\n    import time\n    time.sleep(1)", ["time.sleep"]),
        ("import random\nx = random.SystemRandom().random()", ["random.SystemRandom"]),
        ("import time, random, uuid\nx = time.time(), random.random(), uuid.uuid4()", []),
        ("from datetime import datetime\nx = datetime.fromisoformat('2026-01-01')", []),
        ("class secrets: token = 1\nx = secrets.token", []),
        ("x = self.datetime.now()", []),
        ("from .secrets import token\nx = token", []),
    ],
)  # fmt: skip
def test_each_use_is_found_under_whatever_name(code: str, named: list[str]) -> None:
    assert [one.what.split()[0] for one in find_unbound(code, "main.py")] == named


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("import subprocess\nx = subprocess.run(['ls'])", ["subprocess.run"]),
        ("from os import system\nx = system('ls')", ["os.system"]),
        ("import socket\nx = socket.create_connection", ["socket.create_connection"]),
        ("import urllib.request\nx = urllib.request.urlopen('http://a')", ["urllib.request.urlopen"]),
        ("import urllib.parse, socket, os\nx = urllib.parse.quote('a'), socket.inet_aton, os.path.join", []),
    ],
)  # fmt: skip
def test_what_a_run_may_not_do_is_found_with_what_to_call(code: str, named: list[str]) -> None:
    found = find_refused(code, "main.py", programs=False, network=False)
    assert [one.what.split()[0] for one in found] == named
    assert all("call " in one.instead for one in found)
    assert find_refused(code, "main.py", programs=True, network=True) == ()


def test_a_use_is_shown_where_it_stands_with_what_to_write() -> None:
    (one,) = find_unbound("from datetime import datetime\n\nx = [datetime.now()]\n", "hand/main.py")
    assert (one.file, one.line, one.column, one.instead) == ("hand/main.py", 3, 6, "write self.now()")


def test_a_call_that_nobody_awaits_is_found() -> None:
    code = """
async def run(self):
    self.kernel.call("files.write", "a", text="b")
    self.progress(1, 2)
    self.in_background(self.kernel.note("c"))
    self.log.info("d")
    await self.sleep(1)
    both = self.kernel.call("e"), self.kernel.call("f")
    async with self.kernel.stream("files.read", "a") as stream:
        await stream.send(b"g")
    self.kernel.append(1)
    self.kernel.stream("h", "a")
"""
    found = find_unawaited(code, "main.py")
    assert [(one.line, one.what) for one in found] == [
        (3, "self.kernel.call without await does nothing"), (4, "self.progress without await does nothing"),
    ]  # fmt: skip


def test_what_a_hand_must_await_is_known() -> None:
    listed = [name for name, one in vars(KernelHandle).items() if iscoroutinefunction(one) and not name.startswith("_")]
    handed = {f"self.kernel.{name}" for name in listed}
    own = {f"self.{name}" for name in ("progress", "publish", "sleep") if iscoroutinefunction(getattr(Hand, name))}
    assert handed | own == AWAITED


def test_a_module_that_is_nowhere_is_found_unless_its_absence_is_provided_for() -> None:
    code = """
import os.path, requests.adapters
from runtime import Hand
from own import part
from pandas.io import sql
from . import other
try:
    import orjson
except ImportError:
    pass
def late():
    import numpy
"""
    found = find_absent(code, "main.py", {"os", "runtime", "own"}.__contains__)
    assert [(one.line, one.what.split(",")[0]) for one in found] == [
        (2, "there is no module requests"), (5, "there is no module pandas"),
    ]  # fmt: skip
    assert not find_absent(f"import sys\nsys.path.append('/opt/parts'){code}", "main.py", {"sys"}.__contains__)


@pytest.mark.parametrize("name", [path.parent.name for path in sorted((ROOT / "hands").glob("*/HAND.toml"))])
def test_no_task_hand_of_ours_asks_the_machine(name: str) -> None:
    folder = ROOT / "hands" / name
    if 'kind = "task"' in (folder / "HAND.toml").read_text():
        assert [one for path in folder.rglob("*.py") for one in find_unbound(path.read_text(), path.name)] == []


@pytest.mark.parametrize("name", [*UNBOUND, *PROGRAMS, *NETWORK])
def test_what_is_listed_is_there(name: str) -> None:
    assert pkgutil.resolve_name(name)
