"""What `maniple doctor` tells of other machines. Older kernels cannot be had here: what version Landlock has is said."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kernel.cli import machine, up
from kernel.cli.findings import Finding
from kernel.process import cgroup, landlock, seccomp
from manifests.confinement.layers import LAYERS
from tests.living import ROOT, make_home
from tests.small_disk import NOT_MOUNTED
from tests.spread import spread


@pytest.mark.parametrize(("version", "mend"), [(0, "Linux 5.13"), (1, "Linux 6.12"), (5, "Linux 6.12")])
def test_less_than_all_of_landlock_is_mended_by_a_linux_that_has_it(
    version: int, mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = _of_landlock(version, monkeypatch)
    assert (found.state, mend in found.mend) == ("weak" if version else "missing", True), found
    assert ("TCP" in found.found) == (0 < version < 4)


@pytest.mark.parametrize("user", [0, 1000])
def test_an_ordinary_user_is_told_that_without_landlock_any_hand_is_the_operator(
    user: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    told = "operator's key" in _of_landlock(0, monkeypatch).why
    assert told == (user != 0)  # as root each run has a user id of its own, which may not read it either


@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare, a part of util-linux, is not there")
def test_root_of_a_namespace_without_the_ids_of_runs_is_told_that_no_hand_starts_there() -> None:
    """As in a container that is not really root's: there the first start ended in `Invalid argument`, and all was ok."""
    ran = subprocess.run(
        ["unshare", "-Ur", sys.executable, "-m", "kernel.cli", "doctor", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if not ran.stdout:
        pytest.skip(f"this machine makes no user namespace: {ran.stderr}")
    told = {one["what"]: one for one in json.loads(ran.stdout)["findings"]}
    assert (ran.returncode, told["ids of runs"]["state"]) == (1, "missing")
    assert "ordinary user" in told["ids of runs"]["mend"]
    assert "lacks ids of runs" in ran.stderr


@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare, a part of util-linux, is not there")
def test_an_ordinary_user_of_a_container_is_not_sent_to_its_root_who_has_not_the_ids_of_runs() -> None:
    there = ["unshare", "-U", "--map-user=1000", "--map-group=1000", sys.executable, "-m", "kernel.cli"]
    ran = subprocess.run(
        [*there, "doctor", "--json"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    if not ran.stdout:
        pytest.skip(f"this machine makes no such user namespace: {ran.stderr}")
    told = {one["what"]: one for one in json.loads(ran.stdout)["findings"]}
    assert told["user"]["mend"].startswith("run Maniple as root outside this container")


@pytest.mark.wide
@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare, a part of util-linux, is not there")
def test_a_kernel_that_comes_up_where_no_hand_can_run_says_so(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    maniple = [sys.executable, "-m", "kernel.cli", "--home", str(home)]
    ran = subprocess.run(
        ["unshare", "-Ur", *maniple, "up"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    if not ran.stdout:
        pytest.skip(f"this machine makes no user namespace: {ran.stderr}")
    down = subprocess.run([*maniple, "down"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert (ran.returncode, ran.stdout.partition(",")[0], down.returncode) == (0, "The kernel runs", 0)
    assert "No Hand can run here: this machine lacks ids of runs." in ran.stderr
    assert f"`maniple --home {home} doctor`" in ran.stderr


@pytest.mark.parametrize(
    ("place", "what", "code", "mend"),
    [
        ("container", "PID namespaces", 1, "start the container with --security-opt seccomp=unconfined"),
        ("container", "user namespaces", 1, "no setting of this machine forbids them"),
        ("no-mounts", "mount namespaces", 1, "run Maniple as an ordinary user here, or start the container with"),
        ("no-loopback", "loopback of runs", 0, "--cap-add NET_ADMIN"),
        ("no-pidfds", "pidfds", 1, "run Maniple outside the sandbox that forbids pidfd_open or pidfd_send_signal"),
        ("apparmor", "oom_score_adj", 1, "mount /proc so that it can be written"),  # it can write nothing there
        ("old-runtime", "openat2", 0, "run Linux 5.6 or newer"),  # Hands run, and `files` opens paths part by part
    ],
)
@pytest.mark.skipif(os.geteuid() != 0, reason="tests/system/test_restricted_machines.py tries it as an ordinary user")
def test_root_of_a_machine_that_forbids_more_is_told_what_is_forbidden_and_what_allows_it(
    place: str, what: str, code: int, mend: str
) -> None:
    """It is tried as runs do it: unshare alone succeeds where nothing may be mounted, and no run began."""
    there = [sys.executable, "-m", "tests.stricter", place, sys.executable, "-m", "kernel.cli", "doctor", "--json"]
    ran = subprocess.run(there, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    if ran.returncode == NOT_MOUNTED:
        pytest.skip("this machine lays on no filter")
    told = {one["what"]: one for one in json.loads(ran.stdout)["findings"]}
    assert (ran.returncode, told[what]["state"]) == (code, "missing"), ran
    assert mend in told[what]["mend"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root takes ids for runs")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv, a part of util-linux, is not there")
@pytest.mark.parametrize("lacking", spread([one.lower() for one in machine._CAPABILITIES], 1))
def test_a_root_without_a_capability_that_each_run_needs_is_told_so(lacking: str) -> None:
    """doctor found nothing missing, and no Hand started."""
    there = ["setpriv", f"--bounding-set=-{lacking}", sys.executable, "-m", "kernel.cli", "doctor", "--json"]
    ran = subprocess.run(there, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    told = {one["what"]: one for one in json.loads(ran.stdout)["findings"]}
    assert (ran.returncode, told["ids of runs"]["state"]) == (1, "missing"), ran
    assert lacking.upper() in told["ids of runs"]["mend"]


def test_one_started_where_ends_of_children_are_ignored_waits_for_its_own() -> None:
    """Some supervisors leave SIGCHLD so: `maniple down` waited for ever, and runs did not start."""
    ran = subprocess.run(
        [sys.executable, "-m", "kernel.cli", "doctor"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
    )
    assert "clock: " in ran.stdout, ran


@pytest.mark.parametrize(
    ("settings", "mend"),
    [
        ({"kernel.apparmor_restrict_unprivileged_userns": "1", "user.max_user_namespaces": "95000"}, "apparmor"),
        ({"kernel.unprivileged_userns_clone": "0", "user.max_user_namespaces": "95000"}, "clone=1`"),
        ({"user.max_user_namespaces": "0"}, "`sysctl -w user.max_user_namespaces=15000`"),
        ({"user.max_user_namespaces": "95000"}, "no setting of this machine forbids them"),
    ],
    ids=["Ubuntu", "Debian", "none at all", "something else"],
)
def test_the_setting_that_forbids_user_namespaces_is_named_and_no_other(
    settings: dict[str, str], mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """sysctl fails at a name that a system has not."""
    monkeypatch.setattr(machine, "_setting", lambda name: settings.get(name, ""))
    (told,) = [one.mend for one in machine.inspect("/") if one.what == "user namespaces"]
    assert mend in told
    assert told.count("=") - told.count("unconfined") == (0 if "no setting" in mend else 1), told


def test_a_linux_without_filters_of_system_calls_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "available", lambda: False)
    (told,) = [one for one in machine._confinement("/") if one.what == "seccomp"]
    assert (told.state, "CONFIG_SECCOMP_FILTER" in told.mend) == ("missing", True)


@pytest.mark.parametrize(
    ("options", "mend"),
    [
        ("quiet cgroup_disable=pids,memory", "boot Linux without `cgroup_disable=memory`"),
        ("quiet cgroup_disable=pids memory", "run Maniple as root where control groups are mounted"),
    ],
)
def test_linux_that_was_booted_without_memory_groups_is_to_be_booted_with_them(
    options: str, mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a Raspberry Pi: no user, root or not, can make one there."""
    monkeypatch.setattr(cgroup, "own", lambda: "")
    monkeypatch.setattr(machine, "_boot_options", lambda: options)
    (told,) = [one for one in machine._confinement("/") if one.what == "cgroups"]
    assert (told.state, told.found) == ("missing", "none that limits memory")
    assert told.mend.startswith(mend)


@pytest.mark.parametrize(
    ("what", "kind"), [("PID namespaces", "pid"), ("mount namespaces", "mnt"), ("ipc namespaces", "ipc")]
)
def test_a_setting_that_allows_no_namespace_of_a_kind_is_named(
    what: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container or a sandbox is not at fault then."""
    name = f"user.max_{kind}_namespaces"
    monkeypatch.setattr(machine, "_setting", lambda asked: "0" if asked == name else "15000")
    mends = {one.what: one.mend for part in (machine._processes, machine._confinement) for one in part("/")}
    assert f"`sysctl -w {name}=15000`" in mends[what]
    assert [what for what, mend in mends.items() if name in mend] == [what]


def test_a_disk_that_is_nearly_full_keeps_no_hand_from_running_and_is_told_as_what_it_is() -> None:
    disk = Finding(what="disk space", state="missing", found="9 MiB free at /home", needed=True, why="")
    ids = Finding(what="ids of runs", state="missing", found="", needed=True, why="")
    assert up.warning([disk]).startswith("The disk is nearly full, 9 MiB free at /home: ")
    assert up.warning([ids, disk]).startswith("No Hand can run here: this machine lacks ids of runs. ")
    assert up.warning([]) == ""


def test_of_a_system_that_is_no_linux_nothing_is_asked_and_no_layer_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its numbers of system calls are others: 444 may end the process there."""
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(machine, "_libc", None)
    monkeypatch.setattr(landlock, "version", None)
    found = machine.inspect("/")
    assert [(one.what, one.state, one.needed) for one in found][:1] == [("Linux", "missing", True)]
    assert [one.what for one in found if one.state == "missing"] == ["Linux", *(layer.name for layer in LAYERS)]
    assert [one.what for one in found if one.state != "missing"] == ["Python"]
    assert machine.lacking(found) == "Linux"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("doctor",), 1, "this machine lacks Linux: fix that first"),
        (("init",), 1, "Maniple runs on Linux only, and this is Darwin: `maniple --home {home} doctor` tells more"),
        (("ps",), 1, "Maniple runs on Linux only, and this is Darwin: `maniple --home {home} doctor` tells more"),
        (("check", "hands/time"), 0, ""),
        (("--help",), 0, ""),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_on_a_mac_each_command_does_its_work_or_says_that_it_cannot(
    tmp_path: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    """As far as a Mac can be had here: without what Python has on Linux alone."""
    home = tmp_path / "home"
    command = [sys.executable, "-m", "tests.cli.elsewhere", "--home", str(home), *words]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, told.format(home=home) in ran.stderr, "fault" in ran.stderr) == (code, True, False), ran
    assert not list(tmp_path.iterdir()), "nothing is begun, and no kernel left behind"
    if words == ("doctor",):
        assert "missing  landlock: Maniple has no such layer on Darwin" in ran.stdout


def _of_landlock(version: int, monkeypatch: pytest.MonkeyPatch) -> Finding:
    monkeypatch.setattr(landlock, "version", lambda: version)
    return next(one for one in machine.inspect("/") if one.what == "Landlock")
