"""shell.run: a full shell in its caller's scratch folder, and nothing of this machine's beyond the system's programs."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from kernel.cli.client import Client
from kernel.cli.exits import NotDone
from tests.living import ECHO, ROOT, Kernel, Source, install, make_home
from tests.system.programs import PYTHON, SQUARED, SQUARES
from wire import headers

WORKER: Final = Source(
    """
[hand]
name = "NAME"
version = "1.0.0"
description = "Has commands run, and tells what lies in its scratch folder then."
entry = "main:Worker"
kind = "service"
autonomy = "full"

[capabilities]
"shell.run" = ["*"]

[provides."NAME.do"]
summary = "Run this"
resource = "none"
effect = "external"
params = { command = "string", streamed = "bool?", timeout = "duration?" }
returns = { reply = "dict", files = "dict", chunks = "list" }
""",
    """
import asyncio

from runtime import Call, Hand


class Worker(Hand):
    async def do(self, call: Call, command: str, streamed: bool = False, timeout: float = 20.0) -> dict[str, object]:
        chunks: list[bytes] = []
        async with self.kernel.stream("shell.run", "", {"command": command, "stream": streamed, "timeout": timeout}) as s:
            async for chunk in s:
                chunks.append(chunk)
        threads = await asyncio.gather(*(asyncio.to_thread(int) for _ in range(2)))
        files = {one.name: one.read_text() for one in self.scratch.iterdir() if one.is_file()}
        for name in files:  # what the shell made is this Hand's own
            (self.scratch / name).write_text(files[name] + "!")
        return {"reply": s.reply.value, "files": files, "chunks": chunks}
""",
)


def worker(name: str) -> Source:
    """A service that has commands run, as NAME.do."""
    return Source(WORKER.toml.replace("NAME", name), WORKER.main)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    work = tmp_path_factory.mktemp("shell")
    with Kernel(make_home(work / "home")) as kernel:
        install(kernel, ROOT / "hands" / "shell")
        for source in (worker("ann"), worker("bob"), ECHO):
            install(kernel, source)
        yield kernel


def run_in(client: Client, command: str, **more: object) -> dict[str, Any]:
    """What the reply to a command line says that the operator has run."""
    told: Any = client.call("shell.run", "", {"command": command, **more}, seconds=60).value
    return dict(told)


def do_as(client: Client, who: str, command: str, **more: object) -> dict[str, Any]:
    """What a worker tells that has a command line run."""
    told: Any = client.call(f"{who}.do", "", {"command": command, **more}, seconds=60).value
    return dict(told)


def _left(pattern: bytes) -> list[str]:
    """The processes of this machine whose command line holds that."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if pattern in process.read_bytes():
                found.append(process.parent.name)
        except OSError:
            continue
    return found


# a full shell ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "out"),
    [
        ("printf 'b\\na\\n' | sort | tr a-z A-Z", "A\nB\n"),
        ("echo one > f; echo two >> f; cat < f; echo err >&2", "one\ntwo\n"),
        ("touch a.txt b.txt c.md; echo *.txt", "a.txt b.txt\n"),
        ("cd / && for i in 1 2; do echo $i; done; test -d usr && echo yes", "1\n2\nyes\n"),
        ("x=$(echo sub); echo ${x}stitute", "substitute\n"),
        ("cat <<END\nhere\nEND", "here\n"),
        ("mkfifo p; (echo through > p &) ; cat p", "through\n"),
        ("yes | head -n 2", "y\ny\n"),
        ("echo $HOME | grep -q scratch && test $HOME = $PWD && test $TMPDIR = $PWD && echo home", "home\n"),
        ("env | cut -d= -f1 | grep -vi _proxy | sort | tr '\\n' ' '", "GIT_CONFIG_NOSYSTEM HOME LANG PATH PWD TMPDIR "),
        ("cat", ""),
    ],
)  # fmt: skip
def test_everything_of_a_shell_works(client: Client, command: str, out: str) -> None:
    told = run_in(client, command)
    assert (told["stdout"], told["exit_status"]) == (out, 0), told
    assert told["timed_out"] is told["cut"] is False


def test_the_reply_tells_status_signal_and_usage_and_both_outputs_apart(client: Client) -> None:
    told = run_in(client, "echo out; echo err >&2; exit 7")
    assert (told["stdout"], told["stderr"], told["exit_status"]) == ("out\n", "err\n", 7)
    assert "signal" not in told
    assert run_in(client, "kill -TERM $$")["signal"] == "SIGTERM"
    assert run_in(client, "kill -40 $$")["signal"] == "signal 40"
    busy = run_in(client, "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; sleep 0.2")
    assert busy["cpu_us"] > 20_000
    assert busy["wall_us"] > 200_000
    assert run_in(client, "printf '\\377'")["stdout"] == "\ufffd"


@pytest.mark.skipif(not os.access(PYTHON, os.X_OK), reason="the system has no python3 of its own")
def test_peak_memory_is_told_and_bounded(client: Client) -> None:
    hog = f"{PYTHON} -c 'x = bytearray(100 << 20)'"
    assert run_in(client, hog)["memory"] > 100 << 20
    told = run_in(client, hog, memory=60 << 20)
    assert told["exit_status"] == 1
    assert "MemoryError" in told["stderr"]
    with pytest.raises(NotDone, match="memory is at most 1073741824 bytes"):
        run_in(client, "true", memory=2 << 30)


# what is left ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "background", ["sleep 4711 &", "setsid sleep 4711 &", "(setsid sleep 4711 &) &", "nohup sleep 4711 >f &"]
)
def test_what_outlives_the_command_is_killed_and_does_not_hold_the_reply(client: Client, background: str) -> None:
    told = run_in(client, f"{background} echo begun")
    assert told["stdout"] == "begun\n"
    assert told["wall_us"] < 3_000_000
    assert _left(b"sleep\0004711") == []


def test_at_the_deadline_the_whole_tree_is_killed(client: Client) -> None:
    told = run_in(client, "trap '' TERM INT; echo begun; setsid sleep 4712 & sleep 4713", timeout=0.5)
    assert (told["timed_out"], told["signal"], told["stdout"]) == (True, "SIGKILL", "begun\n")
    assert told["wall_us"] >= 500_000
    assert _left(b"sleep\000471") == []


def test_the_calls_own_deadline_comes_with_a_reply_too(client: Client) -> None:
    told: Any = client.call("shell.run", "", {"command": "sleep 4714", "timeout": 100.0}, seconds=1.5).value
    assert told["timed_out"] is True


def test_no_time_at_all_is_refused_before_anything_runs(client: Client) -> None:
    with pytest.raises(NotDone, match="timeout must be above 0 seconds"):
        run_in(client, "echo begun", timeout=0.0)


def test_a_call_that_is_taken_back_leaves_nothing(kernel: Kernel) -> None:
    with kernel.client() as leaving:
        leaving._number += 2
        leaving._send(headers.Call(number=leaving._number, method="shell.run"), {"command": "sleep 4715"})
        end = time.monotonic() + 10
        while not _left(b"sleep\0004715"):
            assert time.monotonic() < end
            time.sleep(0.02)
        leaving._send(headers.Cancel(number=leaving._number, why="enough"), None)
        while _left(b"sleep\0004715"):
            assert time.monotonic() < end
            time.sleep(0.02)


# bombs ----------------------------------------------------------------------------------------------------------------


def test_a_flood_of_output_is_cut_and_goes_on(client: Client) -> None:
    told = run_in(client, "head -c 50000000 /dev/zero | tr '\\0' x; echo end >&2; exit 3", most=1000)
    assert (len(told["stdout"]), told["stderr"], told["cut"], told["exit_status"]) == (1000, "end\n", True, 3)
    with pytest.raises(NotDone, match="most is at most 163840 bytes without stream"):
        run_in(client, "true", most=1 << 20)
    whole = run_in(
        client,
        "head -c 170000 /dev/zero | tr '\\0' '\\377'; head -c 170000 /dev/zero | tr '\\0' '\\377' >&2",
        most=163840,
    )
    assert len(whole["stdout"]) == len(whole["stderr"]) == 163840


def test_a_fork_bomb_ends_with_its_call_and_nobody_else_notices(kernel: Kernel, client: Client) -> None:
    bomb = threading.Thread(
        target=lambda: _bombed.append(run_in(_another, "b() { b | b & }; b; sleep 100", timeout=2.0))
    )
    _bombed: list[dict[str, Any]] = []
    with kernel.client() as _another:
        bomb.start()
        slowest = 0.0
        while bomb.is_alive():
            begun = time.monotonic()
            assert client.call("echo.say", "", {"text": "up"}).value == {"text": "up"}
            slowest = max(slowest, time.monotonic() - begun)
            time.sleep(0.05)
        bomb.join()
    assert slowest < 2
    assert _bombed[0]["wall_us"] < 10_000_000
    assert do_as(client, "ann", "echo ok")["reply"]["stdout"] == "ok\n"


# whose files ----------------------------------------------------------------------------------------------------------


def test_it_works_in_its_callers_scratch_and_what_it_makes_there_is_its_callers(client: Client) -> None:
    first = do_as(client, "ann", "echo mine > a.txt; ls -ln a.txt | cut -d' ' -f3; id -u")
    assert first["files"] == {"a.txt": "mine\n"}
    owner, uid = first["reply"]["stdout"].split()
    assert owner == uid
    again = do_as(client, "ann", "cat a.txt; rm a.txt")
    assert again["reply"]["stdout"] == "mine\n!"
    assert again["files"] == {}


def test_two_callers_at_once_see_nothing_of_each_other(kernel: Kernel) -> None:
    told: dict[str, dict[str, Any]] = {}

    def work(who: str) -> None:
        with kernel.client() as link:
            told[who] = do_as(
                link,
                who,
                f"echo {who} > {who}.txt; sleep 0.4; ls; cat ../*/*.txt; ls ..; ps ax | wc -l; kill -9 -1; echo on",
            )

    threads = [threading.Thread(target=work, args=(who,)) for who in ("ann", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for who in ("ann", "bob"):
        assert told[who]["files"] == {f"{who}.txt": f"{who}\n"}
        assert told[who]["reply"]["stdout"].startswith(f"{who}.txt\n")
        assert told[who]["reply"]["stdout"].count("ann" if who == "bob" else "bob") == 0


def test_what_the_operator_runs_has_a_scratch_of_its_own_that_is_gone_afterwards(
    kernel: Kernel, client: Client
) -> None:
    assert run_in(client, "echo x > left; ls")["stdout"] == "left\n"
    assert run_in(client, "ls -A")["stdout"] == ""
    end = time.monotonic() + 10
    while [one for one in os.listdir(kernel.home / "scratch") if (kernel.home / "scratch" / one / "left").exists()]:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_scratch_that_was_lent_is_gone_after_both_ends(kernel: Kernel) -> None:
    def begin() -> None:
        with kernel.client() as link:
            with pytest.raises(NotDone):
                do_as(link, "bob", "while :; do echo x > f$$; mkdir -p d; done", timeout=60.0)

    before = set(os.listdir(kernel.home / "scratch"))
    thread = threading.Thread(target=begin)
    thread.start()
    with kernel.client() as link:
        end = time.monotonic() + 10
        while not _left(b"while :; do echo x"):
            assert time.monotonic() < end
            time.sleep(0.02)
        (run,) = [one for one in link.call("kernel.ps").value["runs"] if one["hand"] == "bob"]  # type: ignore[index,call-overload,union-attr]
        os.kill(run["pid"], signal.SIGKILL)  # type: ignore[index,call-overload,arg-type]
        thread.join()
        while set(os.listdir(kernel.home / "scratch")) - before or _left(b"while :; do echo x"):
            assert time.monotonic() < end + 10
            time.sleep(0.02)


def test_output_is_streamed_as_it_comes_each_piece_marked(client: Client) -> None:
    told = do_as(client, "ann", "echo one; sleep 0.2; echo two >&2; sleep 0.2; echo three", streamed=True)
    assert told["chunks"] == [b"\1one\n", b"\2two\n", b"\1three\n"]
    assert "stdout" not in told["reply"]


@pytest.mark.skipif(not os.access(PYTHON, os.X_OK), reason="the system has no python3 of its own")
def test_a_command_line_has_three_descriptors_and_no_signal_is_ignored(client: Client) -> None:
    look = (
        "import fcntl, os, signal\n"
        "def has(n):\n try:\n  return fcntl.fcntl(n, fcntl.F_GETFD) >= 0\n except OSError: pass\n"
    )
    look += "print([n for n in range(256) if has(n)], signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)"
    told = run_in(client, f"cat > look.py <<'END'\n{look}\nEND\n{PYTHON} look.py; trap")
    assert told["stdout"] == "[0, 1, 2] True\n", told


@pytest.mark.parametrize(
    ("command", "why"),
    [("echo a\0b", "embedded null byte"), (f": {'x' * 200_000}", "it is longer than 131,071 bytes")],
    ids=["nul", "long"],
)
def test_a_command_that_no_program_can_be_given_is_refused(client: Client, command: str, why: str) -> None:
    with pytest.raises(NotDone, match=f"the command cannot be run: {why}") as refused:
        run_in(client, command)
    assert refused.value.reason == "arguments"


def test_it_has_no_work_of_its_own(client: Client) -> None:
    told: Any = client.call("kernel.start", "shell", {"inputs": {"command": "true"}, "wait": True}).value
    assert (told["outcome"], told["code"]) == ("failed", "arguments")
    assert "call one of its methods" in told["text"]


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here")
def test_a_tool_of_some_size_works(client: Client) -> None:
    told = run_in(
        client, "git init -q . && echo a > a && git add a && git -c user.name=a -c user.email=a commit -m first"
    )
    assert "1 file changed" in told["stdout"], told


def test_what_it_writes_into_a_lent_folder_counts_as_its_own(tmp_path: Path) -> None:
    hand = shutil.copytree(ROOT / "hands" / "shell", tmp_path / "shell", ignore=shutil.ignore_patterns("__pycache__"))
    toml = hand / "HAND.toml"
    toml.write_text(toml.read_text().replace("[limits]\n", '[limits]\ndisk = "16MiB"\n'))
    with Kernel(make_home(tmp_path / "home")) as kernel, kernel.client() as client:
        install(kernel, hand)
        install(kernel, worker("ann"))
        with pytest.raises(NotDone, match="its files and its tape took more than its 16MiB of disk"):
            do_as(client, "ann", "for i in 1 2 3 4; do head -c 8000000 /dev/zero > f$i; done; sleep 4; echo done")


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
def test_make_runs_its_commands(client: Client) -> None:
    told = run_in(client, "printf 'all:\\n\\techo built\\n' > Makefile; make -s -j2")
    assert (told["stdout"], told["stderr"]) == ("built\n", "")


@pytest.mark.skipif(
    not any(Path("/usr/lib/jvm").glob("java-*-openjdk-*/conf/security/java.security")), reason="there is no Java here"
)
def test_java_finds_its_configuration(client: Client) -> None:
    """Debian's Java links to /etc."""
    told = run_in(client, "cat /usr/lib/jvm/java-*-openjdk-*/conf/security/java.security")
    assert "\nsecurity.provider.1=" in told["stdout"], told["stderr"]


@pytest.mark.skipif(not Path("/usr/bin/py3versions").exists(), reason="this is no Debian with a python3")
def test_what_debians_pip_reads_can_be_read_and_scripts_in_usr_share_run(client: Client) -> None:
    """pip ended with a traceback, and /usr/bin/psql, which is a link to /usr/share, with `Permission denied`."""
    told = run_in(client, "cat /etc/debian_version && py3versions --default")
    assert (told["stdout"].count("\n"), told["stderr"]) == (2, "")


@pytest.mark.skipif(not os.access(PYTHON, os.X_OK), reason="the system has no python3 of its own")
def test_processes_of_a_program_share_locks_and_memory(client: Client) -> None:
    told = run_in(client, f"cat > squares.py <<'END'\n{SQUARES}\nEND\n{PYTHON} squares.py")
    assert (told["stdout"], told["stderr"]) == (SQUARED + "\n", "")


@pytest.mark.skipif(not os.access(PYTHON, os.X_OK), reason="the system has no python3 of its own")
def test_an_effective_id_is_the_runs_own_and_no_other(client: Client) -> None:
    tries = "import os; os.seteuid(os.getuid()); os.setegid(os.getgid()); print('own'); os.seteuid(os.getuid() - 1)"
    told = run_in(client, f'{PYTHON} -c "{tries}"')
    assert told["stdout"] == "own\n"
    assert "Error: [Errno " in told["stderr"]
