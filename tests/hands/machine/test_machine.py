"""The machine Hand on the machine that runs the test, in a PID namespace of its own too, and with sensors broken."""

import asyncio
import fnmatch
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from manifests.check import check
from manifests.params import check as check_params
from runtime import Failure
from tests.hands.doubles import HANDS, hand_module
from wire.codec import encode_body

main = hand_module("machine", "main")
sensors = hand_module("machine", "machine_sensors")
mount_list = hand_module("machine", "machine_mounts")
network = hand_module("machine", "machine_network")
Reply = dict[str, Any]
"""A reply; what it holds is what the tests assert."""

MANIFEST = check((HANDS / "machine/HAND.toml").read_text(), file="HAND.toml")


def ask(method: str, **arguments: object) -> Reply:
    """One call to a Hand that has just started."""

    async def scene() -> Reply:
        hand = main.Machine.__new__(main.Machine)
        await hand.start()
        found: Reply = await getattr(hand, method)(SimpleNamespace(resource=""), **arguments)
        return found

    return asyncio.run(scene())


def test_every_sensor_is_there_or_missing_with_a_reason() -> None:
    found = ask("stats")
    assert set(found) == set(MANIFEST.provides["machine.stats"].returns)
    missing = {one["sensor"]: one["why"] for one in found["missing"]}
    for name in ("cpu", *sensors.SENSORS):
        assert (found[name] is None) == (name in missing)
        assert missing.get(name, "a reason")
    assert {"cpu", "memory", "load", "disks", "uptime"}.isdisjoint(missing)


def test_the_reply_travels_and_fits_its_declaration() -> None:
    found = ask("stats")
    returns = MANIFEST.provides["machine.stats"].returns
    check_params(returns, {name: value for name, value in found.items() if value is not None})


def test_memory_and_the_root_disk_are_those_of_this_machine() -> None:
    found = ask("stats")
    memory = dict(found["memory"])
    assert memory["total_bytes"] == psutil.virtual_memory().total
    assert 0 < memory["percent"] < 100
    root = next(one for one in found["disks"] if one["mount"] == "/")
    assert root["total_bytes"] == shutil.disk_usage("/").total


def test_a_busy_process_is_seen_as_busy() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE
    ) as busy:
        try:
            assert busy.stdout is not None
            busy.stdout.readline()
            found = ask("processes", match="python*", most=1000)
            row = next(one for one in found["processes"] if one["pid"] == busy.pid)
            assert row["cpu_percent"] > 5
            assert found["total"]["count"] == len(found["processes"])
        finally:
            busy.kill()


def test_processes_are_named_without_their_arguments() -> None:
    with subprocess.Popen(["sleep", "98765"]) as sleeper:
        try:
            found = ask("processes", match="sleep", most=1000)
            assert sleeper.pid in [one["pid"] for one in found["processes"]]
            assert "98765" not in json.dumps([found["processes"]]).replace(str(sleeper.pid), "")
        finally:
            sleeper.kill()


def test_no_such_name_is_an_empty_list() -> None:
    found = ask("processes", match="no-such-process-anywhere")
    assert (found["processes"], found["more"]) == ([], False)
    assert found["total"] == {"count": 0, "cpu_percent": 0, "memory_bytes": 0, "threads": 0, "ended": 0}


@pytest.mark.parametrize("most", [-1, 1001])
def test_a_wrong_number_of_rows_is_refused(most: int) -> None:
    with pytest.raises(Failure, match="0 to 1000"):
        ask("processes", most=most)


def test_a_pattern_has_a_longest_size_and_none_is_kept() -> None:
    kept = fnmatch._compile_pattern.cache_info().currsize  # type: ignore[attr-defined]  # typeshed has it not
    assert ask("processes", match="?" * 255 + "[")["processes"] == []
    assert fnmatch._compile_pattern.cache_info().currsize == kept  # type: ignore[attr-defined]  # likewise
    with pytest.raises(Failure) as failed:
        ask("processes", match="*a" * 500_000)
    assert failed.value.code == "arguments"


@pytest.mark.parametrize(
    ("broken", "name"),
    [
        ("virtual_memory", "memory"), ("swap_memory", "swap"), ("boot_time", "uptime"), ("cpu_times", "cpu"),
        ("disk_io_counters", "disk_io"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied", "/proc/x"), ValueError("odd"), KeyError("y")]
)
def test_one_broken_sensor_never_hides_the_others(
    broken: str, name: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """psutil's functions are replaced one at a time: no test machine has each of these faults."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(psutil, broken, fail)  # see above
    found = ask("stats")
    assert found[name] is None
    assert name in {one["sensor"] for one in found["missing"]}
    others = {"memory", "uptime", "load"} - {name}
    assert all(found[other] is not None for other in others)


def test_calls_at_the_same_time_do_not_spoil_each_others_readings() -> None:
    async def scene() -> list[Reply]:
        hand = main.Machine.__new__(main.Machine)
        await hand.start()
        found: list[Reply] = await asyncio.gather(*(hand.stats(SimpleNamespace(resource="")) for _ in range(4)))
        return found

    for found in asyncio.run(scene()):
        assert dict(found["cpu"])["seconds"] >= 0.05


INSIDE = """
import asyncio, json, os, sys
sys.path[:0] = sys.argv[1:]
from types import SimpleNamespace
from typing import Any
from main import Machine

async def scene():
    hand = Machine.__new__(Machine)
    await hand.start()
    call = SimpleNamespace(resource="")
    return [os.getpid(), await hand.stats(call), await hand.processes(call, most=1000)]

print(json.dumps(asyncio.run(scene())))
"""


def test_it_measures_the_machine_from_inside_a_pid_namespace(tmp_path: Path) -> None:
    """As a run is: process 1 of its own namespace, with the /proc of the machine."""
    unshare = ["unshare", "--pid", "--fork", "--kill-child", *(["--user"] if os.geteuid() else [])]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system gives no PID namespace to this user")
    paths = [str(HANDS / "machine"), str(HANDS.parent)]
    ran = subprocess.run(
        [*unshare, sys.executable, "-c", INSIDE, *paths], capture_output=True, check=True, text=True, cwd=tmp_path
    )
    pid, stats, processes = json.loads(ran.stdout)
    assert pid == 1
    assert {"cpu", "memory", "disks", "network", "uptime"}.isdisjoint(one["sensor"] for one in stats["missing"])
    assert os.getpid() in [one["pid"] for one in processes["processes"]]
    assert processes["missing"] == []


def test_an_owner_whom_the_users_namespace_of_the_run_does_not_map_is_unknown(tmp_path: Path) -> None:
    """The system shows all of them as 65534, which is somebody's number. A run of an ordinary user has such a namespace."""
    if subprocess.run(["unshare", "--user", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system gives no user namespace to this user")
    paths = [str(HANDS / "machine"), str(HANDS.parent)]
    for mapped, expected in (([], {None}), (["--map-user=1234"], {None, 1234})):
        ran = subprocess.run(
            ["unshare", "--user", *mapped, sys.executable, "-c", INSIDE, *paths],
            capture_output=True, check=True, text=True, cwd=tmp_path,
        )  # fmt: skip
        _, _, processes = json.loads(ran.stdout)
        assert {one["uid"] for one in processes["processes"]} <= expected


ENDED = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(15, %r, 0, 0, 0)
child = os.fork()
if child == 0:
    os._exit(0)
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
"""


def named(name: bytes) -> "subprocess.Popen[str]":
    """A process that has this name, and a child of the same name that has ended and is looked after by nobody."""
    script = ENDED % name + "print('ready', flush=True)\nsys.stdin.read()\n"
    pipe = subprocess.PIPE
    begun = subprocess.Popen([sys.executable, "-c", script], stdin=pipe, stdout=pipe, text=True)
    assert begun.stdout is not None
    assert begun.stdout.readline() == "ready\n"
    return begun


def test_a_process_whose_name_is_no_text_hides_no_other() -> None:
    with named(b"odd\xff\xfename") as process:
        found = ask("processes", match="odd*")
        encode_body(found)
        assert [one["name"] for one in found["processes"]] == [r"odd\xff\xfename"] * 2
        encode_body(ask("processes"))
        process.kill()


def mounted(folder: Path, *, at: str = "", number: int | None = None, options: str = "rw") -> str:
    """A line of mountinfo for a folder that is on a mount of this machine. at: how the line spells the folder."""
    return f"{seen_number(folder) if number is None else number} 1 8:1 / {at or folder} ro - ext4 /dev/odd {options}\n"


def seen_number(folder: Path) -> int:
    descriptor = os.open(folder, os.O_PATH)
    try:
        told = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii")
    finally:
        os.close(descriptor)
    return int(told.partition("mnt_id:")[2].split()[0])


@pytest.fixture
def mountinfo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The list of mounts that the Hand reads: a file of ours."""
    file = tmp_path / "mountinfo"
    monkeypatch.setattr(mount_list, "MOUNTS", str(file))
    return file


@pytest.mark.parametrize(("name", "shown"), [("\udcfc ber", r"\xfc ber"), ("of\rtwo", "of\rtwo")])
def test_a_mount_with_an_odd_name_hides_no_other(name: str, shown: str, mountinfo: Path, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    line = mounted(folder, at=str(folder).replace(" ", r"\040"))
    mountinfo.write_bytes(line.encode(errors="surrogateescape") + Path("/proc/self/mountinfo").read_bytes())
    found = ask("stats")
    encode_body(found)
    assert {"/", f"{tmp_path}/{shown}"} <= {one["mount"] for one in found["disks"]}


@pytest.mark.parametrize(("options", "readonly"), [("rw,discard", False), ("ro,errors=remount-ro", True)])
def test_a_disk_is_read_only_if_its_filesystem_is_not_because_its_mount_is(
    options: str, readonly: bool, mountinfo: Path, tmp_path: Path
) -> None:
    """In a run every mount is read-only."""
    mountinfo.write_text(mounted(tmp_path, options=options))
    (disk,) = ask("stats")["disks"]
    assert disk["readonly"] is readonly


def test_a_disk_that_a_run_does_not_see_is_missing_not_measured_as_what_covers_it(
    mountinfo: Path, tmp_path: Path
) -> None:
    mountinfo.write_text(mounted(tmp_path, number=1) + mounted(tmp_path / "none", number=1))
    found = ask("stats")
    assert found["disks"] == []
    why = {one["sensor"]: one["why"] for one in found["missing"]}[f"disks {tmp_path}"]
    assert why == f"{tmp_path}: covered by another mount, so that its numbers cannot be read"


def test_a_disk_is_measured_where_a_run_sees_it(mountinfo: Path, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "file").touch()
    lines = [mounted(tmp_path, number=1), mounted(tmp_path / "file"), mounted(tmp_path / "below")]
    mountinfo.write_text("".join(lines))
    found = ask("stats")
    assert [one["mount"] for one in found["disks"]] == [str(tmp_path / "below")]
    assert not [one for one in found["missing"] if one["sensor"].startswith("disks")]


def test_the_interfaces_and_what_is_not_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bonding_masters").touch()
    for name, flags, state in (("eth0", "0x1003", "up"), ("eth1", "0x1003", "down"), ("lo", "0x9", "unknown")):
        (tmp_path / name / "statistics").mkdir(parents=True)
        (tmp_path / name / "flags").write_text(f"{flags}\n")
        (tmp_path / name / "operstate").write_text(f"{state}\n")
        for number, counter in enumerate(
            ("rx_bytes", "tx_bytes", "rx_errors", "tx_errors", "rx_dropped", "tx_dropped")
        ):
            (tmp_path / name / "statistics" / counter).write_text(f"{10**number}\n")
    monkeypatch.setattr(network, "INTERFACES", str(tmp_path))
    rows = ask("stats")["network"]
    assert [(row["name"], row["up"]) for row in rows] == [("eth0", True), ("eth1", False), ("lo", True)]
    assert rows[0] == {
        "name": "eth0", "up": True, "received_bytes": 1, "sent_bytes": 10, "errors": 1100, "drops": 110_000
    }  # fmt: skip


@pytest.mark.parametrize(("broken", "name"), [("MOUNTS", "disks"), ("KINDS", "disks"), ("INTERFACES", "network")])
def test_a_list_that_cannot_be_read_is_missing(
    broken: str, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(network if broken == "INTERFACES" else mount_list, broken, str(tmp_path / "none"))
    found = ask("stats")
    assert found[name] is None
    assert f"{tmp_path}/none: No such file or directory" in [one["why"] for one in found["missing"]]
    assert found["memory"] is not None


def test_a_process_that_has_ended_and_whose_parent_does_not_care_is_told_apart() -> None:
    with named(b"maniple-undead") as process:
        total = ask("processes", match="maniple-undead")["total"]
        assert (total["count"], total["ended"]) == (2, 1)
        process.kill()
