"""One kernel at a time on a home, whatever the last one left behind, and the same state from snapshot or log alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from kernel import STARTER
from kernel.home import Home
from tests.living import ECHO, ROOT, Kernel, install, make_home
from tests.spread import spread
from tests.system import fates
from tests.system.fates import call, entries, pid_of, state_of, table, until
from tests.system.recordings import maniple
from wire.codec import Value
from wire.signing import SIGNATURE_SIZE
from wire.snapshot import Snapshot, seal_snapshot


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path / "home")) as kernel:
        yield kernel


def _state(kernel: Kernel) -> list[Value]:
    """All that the log makes true, as the operator sees it."""
    shown = [table(call(kernel, "kernel.show", name)) for name in ("echo", "second")]
    for one in shown:
        del one["confinement"], one["lacking"], one["state"]  # of the live process
    status = table(call(kernel, "kernel.status"))
    return [
        *shown,
        call(kernel, "kernel.home"),
        *(status[name] for name in ("wanted", "paused", "quarantined", "frozen")),
    ]


def _changed(kernel: Kernel) -> None:
    """A home in which everything that entries can change has been changed."""
    second = ECHO._replace(toml=ECHO.toml.replace('"echo', '"second') + '\n[settings.loud]\ntype = "bool"\n')
    gone = ECHO._replace(toml=ECHO.toml.replace('"echo', '"gone'))
    upgraded = ECHO._replace(toml=ECHO.toml.replace("1.0.0", "1.1.0"))
    for hand in (ECHO, second, gone, upgraded):
        install(kernel, hand)
    call(kernel, "kernel.remove", "gone")
    call(kernel, "kernel.set", "second", {"values": {"loud": True}})
    call(kernel, "kernel.root-add", "files", {"path": str(kernel.home.parent / "files")})
    call(kernel, "kernel.start", "echo")
    call(kernel, "kernel.pause", "second")


def _is_refused(kernel: Kernel) -> None:
    second = Kernel(kernel.home)
    with pytest.raises(AssertionError, match=f"a kernel already runs on .* \\(process {kernel.pid}\\): see it with"):
        second.up()
    assert second.process is not None
    assert second.process.wait(fates.PATIENCE) == 1


@pytest.mark.wide
def test_a_second_kernel_on_the_same_home_is_refused_and_says_so(kernel: Kernel) -> None:
    _is_refused(kernel)
    assert table(call(kernel, "kernel.status"))["pid"] == kernel.pid


def test_what_a_killed_kernel_left_in_the_run_folder_hinders_no_other_and_the_next_is_refused(kernel: Kernel) -> None:
    kernel.kill()
    left = kernel.home / "run"
    assert (left / "bus").is_socket()
    assert (left / "lock").exists()
    kernel.up()
    assert table(call(kernel, "kernel.status"))["pid"] == kernel.pid
    kernel.down()
    (left / "lock").write_text("999999999 and more than any process number has\n")  # as a kernel of old may have
    kernel.up()
    _is_refused(kernel)


def test_term_takes_the_kernel_down_in_order(kernel: Kernel) -> None:
    install(kernel, ECHO)
    call(kernel, "kernel.start", "echo")
    kernel.kill(signal.SIGTERM)
    assert kernel.process is not None
    assert kernel.process.returncode == 0
    end = entries(kernel.home, "run.end")[-1]
    assert (end.verdict, end.why) == ("ended", "the kernel goes down")
    assert entries(kernel.home)[-2].kind == "kernel.stop"
    assert fates.verified(kernel.home).signed == len(entries(kernel.home))


@pytest.mark.parametrize("how", spread(["down", "kill"], 1))
def test_the_state_is_the_same_from_the_snapshot_and_its_tail_and_from_the_log_alone(kernel: Kernel, how: str) -> None:
    (kernel.home.parent / "files").mkdir()
    _changed(kernel)
    before = _state(kernel)
    kernel.down()
    kernel.up()
    assert _state(kernel) == before
    call(kernel, "kernel.set", "second", {"values": {"loud": False}})  # after the snapshot
    call(kernel, "kernel.grant", "echo", {"capabilities": []})
    before = _state(kernel)
    getattr(kernel, how)()
    kernel.up()
    assert _state(kernel) == before
    getattr(kernel, how)()
    (kernel.home / "log" / "snapshot").unlink()
    kernel.up()
    assert _state(kernel) == before
    until(lambda: state_of(kernel, "echo") == "ready", "what was wanted is up")


def _tampered(home: Path) -> bytes:
    """Its state is another."""
    raw = (home / "log" / "snapshot").read_bytes()
    return raw.replace(b"wanted", b"wanter")


def _tampered_elsewhere(home: Path) -> bytes:
    """Its state is the same, and the entry it says it follows is another."""
    raw = bytearray((home / "log" / "snapshot").read_bytes())
    at = raw.index(b"prev") + 10
    raw[at] = ord("0") if raw[at] != ord("0") else ord("1")
    return bytes(raw)


def _of_another_home(home: Path) -> bytes:
    with Kernel(make_home(home.parent / "other")) as other:
        call(other, "kernel.freeze")
        other.down()
    return (home.parent / "other" / "log" / "snapshot").read_bytes()


def _of_another_version(home: Path) -> bytes:
    """Rightly signed, and yet of a state that this kernel does not know."""
    return _resealed(home, msgspec.msgpack.encode({"frozen": True, "what": "comes in a later version"}))


def _not_in_the_log(home: Path) -> bytes:
    """Rightly signed, by whoever got at the key; but no entry names its digest."""
    return _resealed(home, msgspec.msgpack.encode({"frozen": True}), named=False)


def _resealed(home: Path, state: bytes, *, named: bool = True) -> bytes:
    import hashlib

    key = Home(str(home)).keys().log
    found = msgspec.msgpack.decode((home / "log" / "snapshot").read_bytes()[SIGNATURE_SIZE:], type=Snapshot)
    if named:  # the log with it, which is what that version would have written
        from kernel.record.log import Log
        from kernel.record.recovery import read_start, recover

        folder, origin = home / "log", found.origin
        start = read_start(folder, key.verify_key, origin)
        recovered = recover(folder, start, lambda entry: None, key=key.verify_key)
        log = Log(
            folder, key=key, origin=origin, chain=recovered.chain, wake=os.eventfd(0, os.EFD_NONBLOCK),
            clock=lambda: time.time_ns() // 1000,
        )  # fmt: skip
        log.snapshot(state)
        log.close()
        raw = (home / "log" / "snapshot").read_bytes()
        assert hashlib.sha256(state).hexdigest() in json.dumps([one.detail for one in entries(home, "snapshot")])
        return raw
    return seal_snapshot(msgspec.structs.replace(found, state=state), key)


def test_of_a_start_that_is_refused_no_process_is_left(kernel: Kernel) -> None:
    """The template is begun before the log is read."""
    kernel.down()
    entries_file = kernel.home / "log" / "entries" / "000000.jsonl"
    entries_file.write_bytes(entries_file.read_bytes().replace(b"kernel.start", b"kernel.stops"))
    (kernel.home / "log" / "snapshot").unlink()
    with pytest.raises(AssertionError, match="entry 0"):
        kernel.up()
    assert kernel.process is not None
    assert kernel.process.wait(fates.PATIENCE) == 1

    def of_this_home() -> list[str]:
        scratch = os.fsencode(kernel.home / "scratch")
        return [one for one in filter(str.isdigit, os.listdir("/proc")) if scratch in _command_line(one)]

    until(lambda: not of_this_home(), "processes are left")


def _command_line(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize(
    "made", spread([_tampered, _tampered_elsewhere, _of_another_home, _of_another_version, _not_in_the_log], 1)
)
def test_a_snapshot_that_is_not_this_homes_own_is_passed_over(kernel: Kernel, made: object) -> None:
    (kernel.home.parent / "files").mkdir()
    _changed(kernel)
    before = _state(kernel)
    kernel.down()
    assert callable(made)
    (kernel.home / "log" / "snapshot").write_bytes(made(kernel.home))
    kernel.up()
    assert _state(kernel) == before
    kernel.down()
    fates.verified(kernel.home)


def test_a_kernel_that_is_killed_while_it_starts_leaves_no_process_and_the_next_one_starts(kernel: Kernel) -> None:
    install(kernel, ECHO)
    call(kernel, "kernel.start", "echo")
    kernel.kill()
    chance = random.Random(7)
    search = ":".join(filter(None, [str(ROOT), *sys.path]))
    for _ in range(5):
        with open(os.devnull, "wb") as nowhere:
            starting = subprocess.Popen(
                [sys.executable, "-I", "-c", STARTER, search, "kernel.main", str(kernel.home), "1"],
                stdout=nowhere, stderr=nowhere, start_new_session=True,
            )  # fmt: skip
        time.sleep(chance.uniform(0.1, 0.45))  # the instant, not a wait for anything
        below = fates.under(starting.pid)
        starting.kill()
        starting.wait()
        until(lambda: not fates.living(below), "nothing of it is left", 1.0)
    kernel.up()
    until(lambda: state_of(kernel, "echo") == "ready", "what was wanted is up")
    assert pid_of(kernel, "echo")


def test_a_body_is_known_by_its_digest_though_the_clock_was_set_back_since_its_kernel_began(tmp_path: Path) -> None:
    home, asked = make_home(tmp_path / "home"), {"method": "nobody.does"}
    (tmp_path / "body").write_bytes(msgspec.msgpack.encode(asked))
    with Kernel(home) as before:
        call(before, "kernel.check", "", asked)
        before.down()
    with Kernel(home, "tests.system.ahead") as kernel:
        call(kernel, "kernel.check", "", asked)
        kernel.down()
    for one in [one for one in entries(home, "call") if one.method == "kernel.check"]:
        said = maniple(home, "audit", "show", str(one.seq), "--body", str(tmp_path / "body"))
        assert said.code == 0, said.words
