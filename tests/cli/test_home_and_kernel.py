"""The home and the kernel as a whole: made, started, looked at, frozen, thawed, stopped."""

import os
import resource
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from kernel.cli import down, main
from kernel.cli.starting import LOG_MAX, PREFERENCE
from tests.cli.shell import MANIPLE, Shell, copied_home, is_gone, is_one_clear_line
from tests.cli.test_runs import until
from tests.living import ECHO, write_hand
from tests.rights import IS_WHOLE_ROOT
from tests.spread import spread
from wire import codec, headers


def test_init_makes_a_home_that_only_its_owner_can_enter_with_keys_of_its_own(made: Shell, tmp_path: Path) -> None:
    shell = Shell(tmp_path / "home")
    shell.good("init", "--no-hands")
    assert stat.S_IMODE(shell.home.stat().st_mode) == 0o700
    keys = sorted((shell.home / "keys").iterdir())
    assert {"log.key", "log.pub", "kernel.key", "kernel.pub", "operator.key", "seal.key"} <= {key.name for key in keys}
    assert all(stat.S_IMODE(key.stat().st_mode) == 0o600 for key in keys)
    assert not [name for name in os.listdir(shell.home.parent) if name.startswith(".")]
    assert shell.result("audit", "verify")["ok"] is True
    for name in ("log.key", "kernel.key", "operator.key", "seal.key"):
        assert (shell.home / "keys" / name).read_bytes() != (made.home / "keys" / name).read_bytes()


def test_init_refuses_what_is_there(still: Shell, tmp_path: Path) -> None:
    before = (still.home / "home.toml").read_bytes()
    ran = still.run("init")
    assert ran.code == 1
    assert "already" in ran.err
    assert (still.home / "home.toml").read_bytes() == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    assert Shell(tmp_path / "full").run("init").code == 1
    assert (tmp_path / "full" / "file").read_text() == "mine"


@pytest.mark.wide
def test_an_interrupted_init_is_typed_again(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "home")
    place = tmp_path / ".home.unfinished"
    first = shell.begin("init")
    until(lambda: (place / "run" / "bus").exists())
    first.kill()
    first.communicate()
    assert not shell.home.exists()
    shell.good("init", "--no-hands")
    assert not place.exists()
    shell.good("up")
    shell.good("down")


def test_up_status_and_down_and_a_kernel_log_that_has_grown_is_begun_anew_and_kept(still: Shell) -> None:
    log = still.home / "run" / "kernel.log"
    log.write_bytes(b"x" * (LOG_MAX + 1))
    pid = still.result("up")["pid"]
    told = still.result("status")
    assert (told["pid"], told["home"], told["frozen"]) == (pid, str(still.home), False)
    assert told["open_calls"] == 0, "the call that asks is not counted"
    assert str(pid) in still.good("status")
    assert os.getsid(int(str(pid))) == pid
    share = Path(f"/proc/{pid}/autogroup")
    if IS_WHOLE_ROOT and share.exists():
        assert share.read_text().endswith(f" nice {PREFERENCE}\n"), "it gives way to no session of a run's"
    assert still.result("down")["pid"] == pid
    assert is_gone(int(str(pid)))
    assert still.run("down").code == 3
    assert (log.with_name("kernel.log.1").stat().st_size, log.stat().st_size) == (LOG_MAX + 1, 0)


@pytest.mark.parametrize("end", spread([signal.SIGHUP, signal.SIGINT, signal.SIGTERM], 1))
def test_a_kernel_in_the_foreground_is_the_process_that_was_started_and_keeps_its_standard_error(
    end: signal.Signals, still: Shell
) -> None:
    kernel = still.begin("up", "--foreground")
    try:
        assert kernel.stderr is not None
        assert kernel.stderr.readline() == b"ready\n"
        assert still.result("status")["pid"] == kernel.pid
        assert os.readlink(f"/proc/{kernel.pid}/fd/2") == os.readlink(f"/proc/self/fd/{kernel.stderr.fileno()}")
        kernel.send_signal(end)
        assert kernel.wait(20) == 0
    finally:
        kernel.kill()
        kernel.communicate()
    assert "kernel.stop" in still.good("audit", "tail")


@pytest.mark.wide
def test_a_kernel_that_nohup_starts_outlives_its_terminal(still: Shell) -> None:
    words = ["nohup", *MANIPLE, "up", "--foreground"]
    with subprocess.Popen(words, env=still.environment(), stderr=subprocess.PIPE) as kernel:
        try:
            assert kernel.stderr is not None
            while kernel.stderr.readline() != b"ready\n":
                assert kernel.poll() is None
            kernel.send_signal(signal.SIGHUP)
            assert still.result("status")["pid"] == kernel.pid
            assert still.result("down")["pid"] == kernel.pid
            assert kernel.wait(20) == 0
        finally:
            kernel.kill()


@pytest.mark.wide
@pytest.mark.parametrize("closing", ["<&- >&- 2>&-", "<&-", "<&- >&-"])
def test_up_starts_a_kernel_whatever_standard_descriptors_are_closed(closing: str, still: Shell) -> None:
    line = f'exec "$@" {closing}'
    done = subprocess.run(["sh", "-c", line, "sh", *MANIPLE, "up"], env=still.environment(), check=False, timeout=60)
    pid = int(str(still.result("status")["pid"]))
    shown = [os.readlink(f"/proc/{pid}/fd/{standard}") for standard in (0, 1, 2)]
    still.good("down")
    log = str(still.home / "run" / "kernel.log")
    assert (done.returncode, shown) == (0, ["/dev/null", log, log])


def test_up_beside_a_kernel_that_already_runs_says_so_and_leaves_it(shell: Shell) -> None:
    pid = shell.result("status")["pid"]
    ran = shell.run("up")
    assert (ran.code, ran.out) == (0, f"The kernel already runs, process {pid}.\n"), ran
    assert shell.result("up") == {"pid": pid, "home": str(shell.home), "started": False}
    assert shell.result("status")["pid"] == pid


def test_a_second_kernel_in_the_foreground_is_refused(shell: Shell) -> None:
    pid = shell.result("status")["pid"]
    ran = shell.run("up", "--foreground")
    assert (ran.code, ran.out) == (1, "")
    assert is_one_clear_line(ran), ran
    assert f"a kernel already runs on {shell.home} (process {pid}): see it with `maniple status`" in ran.err


def test_up_beside_a_kernel_of_another_version_of_maniple_fails(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("kernel.digests.code_digests", lambda: {"kernel": "newer"})
    code, told = main.run(["--home", str(shell.home), "up"]), capsys.readouterr()
    assert (code, told.out) == (1, "")
    assert "has other code than this version of Maniple: `maniple " in told.err
    assert "down`, then `maniple " in told.err


def test_down_stops_a_kernel_of_another_version_that_does_not_understand_its_call(
    still: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def encode(header: headers.Header) -> bytes:
        later = [None] * isinstance(header, headers.Call)
        return codec.encode_body([*msgspec.msgpack.decode(codec.encode(header)), *later])

    still.good("up")
    monkeypatch.setattr("kernel.digests.code_digests", lambda: {"kernel": "newer"})
    monkeypatch.setattr("kernel.cli.client.codec", SimpleNamespace(**vars(codec) | {"encode": encode}))
    monkeypatch.setattr("kernel.cli.down.UNDERSTOOD_S", 0.1)
    code, told = main.run(["--home", str(still.home), "down"]), capsys.readouterr()
    assert (code, "Everything is stopped, the kernel" in told.out) == (0, True), told
    assert '"kernel.stop"' in still.good("audit", "tail", "--json")


def test_down_asks_a_kernel_to_stop_also_where_no_log_says_which_code_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that has just ended gets no signal: the call tells what became of it."""
    monkeypatch.setattr("kernel.cli.down.UNDERSTOOD_S", 0.0)
    with subprocess.Popen(["true"]) as ended:
        pass
    told = []
    for _ in range(2):
        other = down._OtherCode(str(tmp_path), ended.pid, lambda: None)
        other.look()
        told.append(other.is_told)
        monkeypatch.setattr("kernel.cli.logbook.folder_of", lambda home: tmp_path)
        monkeypatch.setattr("kernel.cli.starting.has_this_code", lambda log: False)
    assert told == [False, False]


@pytest.mark.wide
def test_of_many_kernels_started_at_once_one_runs_and_keeps_its_log(still: Shell) -> None:
    starts = [still.begin("up") for _ in range(3)]
    told = [start.communicate(timeout=60)[1].decode() for start in starts]
    pid = int(str(still.result("status")["pid"]))
    log = os.readlink(f"/proc/{pid}/fd/2")
    still.good("down")
    codes = sorted(start.returncode for start in starts)  # one that came late found a kernel that already ran
    assert codes in ([0, 1, 1], [0, 0, 1], [0, 0, 0]), told
    assert log == str(still.home / "run" / "kernel.log")


@pytest.mark.wide
def test_a_kernel_takes_all_the_descriptors_that_it_may_have(still: Shell) -> None:
    """With few a service's process is born and its kernel cannot take hold of it: its start never ends."""
    folder = still.good("new", "icy", "--service", "--into", still.home.parent).strip()
    few = ["sh", "-c", 'ulimit -Sn 26; exec "$@"', "sh", *MANIPLE, "up"]
    subprocess.run(few, env=still.environment(), check=True, timeout=60, capture_output=True)
    pid = int(str(still.result("status")["pid"]))
    assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2
    still.good("install", folder, "--yes")
    still.good("start", "icy")
    still.good("down")


def test_freeze_holds_through_restarts_until_thaw(still: Shell) -> None:
    folder = still.good("new", "icy", "--service", "--into", still.home.parent).strip()
    still.good("up")
    still.good("install", folder, "--yes")
    still.good("start", "icy")
    assert still.result("freeze") == {"frozen": True, "ended": 1, "recorded": True}
    assert still.run("call", "icy.greet").code == 4
    still.good("down")
    still.good("up")
    ran = still.run("call", "icy.greet")
    assert (ran.code, "maniple thaw" in ran.err) == (4, True)
    assert "frozen" in still.good("status")
    still.result("thaw")
    until(lambda: still.run("call", "icy.greet").code == 0)
    still.good("down")


def test_a_killed_kernel_is_no_kernel_at_once_a_wait_for_it_ends_and_up_recovers(still: Shell) -> None:
    pid = int(str(still.result("up")["pid"]))
    waiting = still.begin("call", "kernel.sleep", "milliseconds=60000", "--timeout", "60s")
    until(lambda: still.result("status")["open_calls"] == 1)
    os.kill(pid, signal.SIGKILL)
    _, err = waiting.communicate(timeout=10)
    assert (waiting.returncode, b"maniple up" in err) == (3, True)
    until(lambda: is_gone(pid))
    assert (still.home / "run" / "bus").exists(), "a stale socket is what is tested"
    assert still.run("ps").code == 3
    still.good("up")
    still.good("down")
    assert still.result("audit", "verify")["ok"] is True


def test_doctor_finds_what_this_machine_has(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "none")
    ran = shell.run("doctor", "--json")
    told = ran.table()
    findings = told["findings"]
    assert isinstance(findings, list)
    assert ran.code == (0 if told["ok"] else 1)
    assert {"Linux", "user namespaces", "PID namespaces", "Landlock", "seccomp", "cgroups", "disk space"} <= {
        finding["what"] for finding in findings
    }
    assert all(finding["why"] for finding in findings)
    whys = {finding["what"]: finding["why"] for finding in findings}
    assert whys["ipc namespaces"].startswith("what it stops: "), "not as if it were what a run may do without it"
    assert all(finding["mend"] for finding in findings if finding["state"] in ("missing", "weak"))


def test_doctor_calls_no_layer_ok_that_confines_no_run(shell: Shell) -> None:
    findings = shell.run("doctor", "--json").table()["findings"]
    assert isinstance(findings, list)
    said = {finding["what"]: finding["state"] for finding in findings}
    shell.good("start", "machine")
    runs = shell.run("ps", "--json").table()["runs"]
    assert isinstance(runs, list)
    (run,) = [run for run in runs if run["hand"] == "machine"]
    layers = {
        "Landlock": "landlock",
        "seccomp": "seccomp",
        "network namespaces": "network-namespace",
        "cgroups": "cgroup",
    }
    for what, layer in layers.items():
        assert (said[what] in ("ok", "weak")) == (layer in run["confinement"]), what
        assert (said[what] == "missing") == (layer in run["lacking"]), what


@pytest.mark.parametrize("where", ["before", "after", "variable"])
def test_the_home_is_named_in_three_ways(where: str, shell: Shell, tmp_path: Path) -> None:
    elsewhere = Shell(tmp_path / "none")
    home = str(shell.home)
    words = {"before": ("--home", home, "status"), "after": ("status", "--home", home), "variable": ("status",)}[where]
    ran = (shell if where == "variable" else elsewhere).run(*words, "--json")
    assert ran.table()["home"] == home


def test_without_any_name_the_home_is_in_the_users_folder(tmp_path: Path) -> None:
    ran = Shell(Path()).run("status", MANIPLE_HOME="", HOME=str(tmp_path))
    assert f"{tmp_path}/.maniple" in ran.err


def test_colours_are_for_terminals_that_want_them(shell: Shell) -> None:
    assert "\033" not in shell.good("hands")
    coloured = _on_a_terminal(shell, "hands")
    assert b"\033[" in coloured
    assert b"\033[" not in _on_a_terminal(shell, "hands", NO_COLOR="1")


def test_a_table_fits_the_terminal(untouched: Shell) -> None:
    shown = _on_a_terminal(untouched, "hands", NO_COLOR="1", COLUMNS="60").decode()
    assert max(len(line) for line in shown.splitlines()) <= 60
    assert "…" in shown
    assert max(len(line) for line in untouched.good("hands").splitlines()) > 60


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_a_table_never_cuts_what_one_types_or_counts(columns: str, shell: Shell) -> None:
    live = shell.result("ps")["runs"]
    assert isinstance(live, list)
    assert live
    shown = _on_a_terminal(shell, "ps", NO_COLOR="1", COLUMNS=columns).decode()
    for run in live:
        row = next(line for line in shown.splitlines() if line.startswith(run["run"]))
        assert f"{run['hand']} {run['version']}" in row
        assert "iB" in row
        assert "…" not in row.partition("iB")[0]
    assert ("FUEL" in shown.splitlines()[0]) == (columns == "200")  # it is spared first: nobody here has used any


EMPTY = [
    "approvals",
    "questions",
    "schedules list",
    "schedules history echo",
    "plans",
    "artifacts",
    "memory list --shared none",
    "memory stats",
    "memory verify",
    "memory reindex",
    "memory consolidate",
    "pipeline list",
    "mcp list",
    "skills list",
    "logs time",
    "runs echo",
    "usage",
]


@pytest.fixture(scope="module")
def untouched(furnished: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A home whose kernel runs, with the bundled Hands and `echo`, in which nobody has done anything."""
    shell = copied_home(furnished, tmp_path_factory.mktemp("untouched") / "home")
    shell.good("up")
    try:
        shell.good("install", write_hand(shell.home.parent / "echo", ECHO), "--yes")
        yield shell
    finally:
        shell.run("down")


@pytest.mark.parametrize("words", EMPTY)
def test_where_there_is_nothing_that_is_said_and_a_script_counts_no_line(words: str, untouched: Shell) -> None:
    ran = untouched.run(*words.split())
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.strip()
    assert untouched.run(*words.split(), "--json").err == ""


def _on_a_terminal(shell: Shell, *words: str, **variables: str) -> bytes:
    """What a command writes to a pseudo-terminal."""
    from tests.cli.shell import MANIPLE

    ours, theirs = os.openpty()
    environment = shell.environment(TERM="xterm", **variables)
    subprocess.run([*MANIPLE, *words], stdout=theirs, env=environment, check=True)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:
        pass  # the other end is closed: all was read
    os.close(ours)
    return shown
