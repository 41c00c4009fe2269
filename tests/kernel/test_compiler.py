"""What compiles a module is confined before it reads one byte of it, whatever the module makes of it."""

import json
import os
import re
import resource
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from kernel.cli import compiling, package, screen
from kernel.cli.exits import Ended
from kernel.process.compiler import MEMORY
from manifests.values import COMPILER_UID
from tests.living import make_home
from tests.spread import spread
from tests.system.fates import living, until
from tests.system.test_wasm import ECHO, guest

HOSTILE = "tests.kernel.hostile_compiler"
IS_ROOT = os.geteuid() == 0
SECONDS = 60
LACKING = "user-namespace" if IS_ROOT else "user-id"


@contextmanager
def _started(program: str, *arguments: str, required: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """One that waits for its module."""
    command = [*compiling.confined_command(required, SECONDS), program, *arguments]
    pipe = subprocess.PIPE
    with (
        open(os.devnull) as left_open,
        subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, env={"SECRET": "s"}, cwd="/", pass_fds=[left_open.fileno()]
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def _confined(first: subprocess.Popen[bytes]) -> tuple[int, dict[str, str]]:
    """The process that has every layer, which is the first one's only child, and its status in /proc."""

    def look() -> tuple[int, dict[str, str]] | None:
        children = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
        for pid in map(int, children):
            try:
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            except OSError:
                continue  # it tried what this machine can do, and is gone
            status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
            if status.get("Seccomp") == "2":
                return pid, status
        return None

    found = until(look, "it is confined")
    assert found
    return found


def test_it_has_every_layer_before_it_reads(tmp_path: Path) -> None:
    with _started(compiling.COMPILER, "main.wat", "task") as first:
        pid, status = _confined(first)
        assert status["NoNewPrivs"] == "1"
        assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
        assert status["NSpid"].split()[-1] == "1"
        assert status["Threads"] == "1"
        assert os.getsid(pid) == pid
        limits = Path(f"/proc/{pid}/limits").read_text()
        core = min(1, resource.getrlimit(resource.RLIMIT_CORE)[1] % 2**64)
        for name, most in (
            ("cpu time", SECONDS), ("data size", MEMORY), ("processes", 1), ("file size", 0), ("core file size", core),
        ):  # fmt: skip
            assert re.search(rf"Max {name} +{most} ", limits), limits
        assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "500\n"
        if IS_ROOT:
            assert set(status["Uid"].split()) == set(status["Gid"].split()) == {str(COMPILER_UID)}
            assert status["Groups"] == ""
            mounts = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
            assert not [row for row in mounts if "ro" not in row.split()[5].split(",")]
            assert {*os.listdir(f"/proc/{pid}/fd")} == {"0", "1", "2"}
            own, its = Path("/proc/self/ns"), Path(f"/proc/{pid}/ns")  # nobody else may look into what is not dumpable
            assert not [
                kind for kind in ("net", "ipc", "mnt", "pid") if (own / kind).readlink() == (its / kind).readlink()
            ]
        out, said = first.communicate((guest(tmp_path / "guest", ECHO) / "main.wat").read_bytes(), timeout=60)
    assert (first.returncode, said, out[64:65]) == (0, b"", b"\n")


def test_what_has_taken_it_over_reaches_nothing(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    with _started(HOSTILE, str(home / "keys" / "seal.key")) as first:
        out, said = first.communicate(b"", timeout=60)
    assert (first.returncode, said) == (0, b"")
    found = json.loads(out)
    assert (found.pop("uid"), found.pop("pid")) == (COMPILER_UID if IS_ROOT else os.getuid(), 1)
    assert found.pop("environment") == {}
    assert found.pop("signal its parent") == "No such process"
    assert found.pop("fork") in ("Resource temporarily unavailable", "Operation not permitted")
    assert set(found.values()) <= {"Permission denied", "Operation not permitted", "Read-only file system"}, found


def test_it_ends_with_the_one_that_waits_for_it() -> None:
    with _started(compiling.COMPILER, "main.wat", "task") as first:
        confined = psutil.Process(_confined(first)[0])
        first.kill()
        first.wait()
        until(lambda: not living([confined]), "it has ended")


def test_without_a_layer_that_is_required_nothing_is_compiled(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    more = f'[confinement]\nrequire = ["{LACKING}"]'
    required = package.read(str(guest(tmp_path / "picky", ECHO, name="picky", more=more)))
    words = f"it requires {LACKING}, which it would not have here"
    with pytest.raises(Ended, match=words):
        compiling.compile_module(required, 60)
    easy = package.read(str(guest(tmp_path / "easy", ECHO, name="easy")))
    compiling.compile_into(str(home), easy)
    with open(home / "home.toml", "a") as file:
        file.write(f'require = ["{LACKING}"]\n')
    with pytest.raises(Ended, match=words):
        compiling.compile_into(str(home), easy)


def test_a_home_that_requires_a_control_group_still_compiles_what_is_one_process(tmp_path: Path) -> None:
    compiling.compile_module(package.read(str(guest(tmp_path / "guest", ECHO))), 60, ["cgroup", "seccomp", "landlock"])


def _lied_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: str, seconds: int = compiling.CPU_SECONDS) -> Path:
    """A home into which a module was compiled by what lies; raises what that comes to. seconds: it is waited for."""
    monkeypatch.setattr(compiling, "COMPILER", "tests.kernel.lying_compiler")
    monkeypatch.setattr(compiling, "CPU_SECONDS", seconds)
    home = make_home(tmp_path / "home")
    folder = guest(tmp_path / "guest", ECHO)
    (folder / "main.wat").rename(folder / f"{lie}.wat")
    text = (folder / "HAND.toml").read_text()
    (folder / "HAND.toml").write_text(text.replace("main.wat", f"{lie}.wat"))
    before = _files(home)
    try:
        compiling.compile_into(str(home), package.read(str(folder)))
    finally:
        changed = {path for path, content in _files(home).items() if before.get(path) != content}
        assert {path.parent.name for path in changed} <= {"compiled"}, changed
        assert not Path("/etc/maniple-was-here").exists()
    return home


def _files(home: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}


@pytest.mark.parametrize("lie", ["elsewhere", "absolute", "bytes"])
def test_a_compiler_that_was_taken_over_does_not_say_where_its_answer_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: str
) -> None:
    with pytest.raises(Ended, match="the compiler said nothing"):
        _lied_to(tmp_path, monkeypatch, lie)


def test_a_terminal_shows_that_it_compiles_if_that_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(screen, "is_terminal", lambda _: True)
    monkeypatch.setattr(compiling, "SHOW_AFTER", 0.02)
    compiling.compile_module(package.read(str(guest(tmp_path / "guest", ECHO))), 60)
    shown = capsys.readouterr().err
    assert "  compiling main.wat" in shown
    assert shown.endswith("\r\033[K")


def test_nor_does_it_answer_in_the_place_of_another_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = _lied_to(tmp_path, monkeypatch, "another")
    assert [path.name for path in (home / "compiled").iterdir()] != ["a" * 64]


@pytest.mark.wide
@pytest.mark.parametrize(
    ("lie", "words"),
    spread(
        [("endless", "answer is larger than"), ("silent", "took more than"), ("complaint", "answer is larger than")], 2
    ),
)
def test_one_that_answers_without_end_or_never_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: str, words: str
) -> None:
    Path("/proc/self/clear_refs").write_text("5")  # the highest that was resident is what is resident now
    before = _resident("VmRSS")
    with pytest.raises(Ended, match=words):
        _lied_to(tmp_path, monkeypatch, lie, 2 if lie == "silent" else compiling.CPU_SECONDS)
    assert _resident("VmHWM") - before < compiling.ANSWER_MAX + (256 << 20)


@pytest.mark.parametrize(("number", "told"), [(signal.SIGRTMIN + 6, f"signal {signal.SIGRTMIN + 6}"), (9, "SIGKILL")])
def test_the_signal_that_ended_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: str
) -> None:
    def compilers() -> list[psutil.Process]:
        found = []
        for one in psutil.Process().children():
            with suppress(psutil.Error):  # another one has just ended
                found += [one] if "kernel.process.compiler" in one.cmdline() else []
        return found

    ender = threading.Thread(target=lambda: until(compilers, "it is started")[0].send_signal(number))
    ender.start()
    with pytest.raises(Ended, match=f"compiling it was killed by {told},"):
        _lied_to(tmp_path, monkeypatch, "silent")
    ender.join()


def _resident(name: str) -> int:
    """Bytes of this process: VmRSS is now, VmHWM the highest."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[name].split()[0]) * 1024


def test_what_it_says_is_one_line_without_what_a_terminal_obeys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Ended, match="cannot be run: said\ufffd$"):
        _lied_to(tmp_path, monkeypatch, "words")
