"""A program as a Hand: it is called, calls, streams, stops and dies as any other Hand, and is walled in as any other."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from kernel.cli.client import Client
from kernel.cli.exits import NotDone
from tests.attacks.puppet import LACKS
from tests.living import ECHO, ROOT, Kernel, Source, install, make_home, write_hand
from tests.system.actors import actor, ask, cast, done, refused, rows

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


def _hand(name: str, program: str, *, more: str = "", kind: str = "service") -> Source:
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


def _shell(name: str, answer: str, before: str = "") -> Source:
    """One in sh, which answers every call by this."""
    return _hand(name, f"{ALWAYS}{before}\nanswer() {{\n{answer}\n}}\n{LOOP}")


SAY: Final = """told "{\\"type\\":\\"done\\",\\"id\\":$id,\\"value\\":\\"$({})\\"}" """


def _says(name: str, command: str) -> Source:
    """One that answers with what a command prints, in one line."""
    return _shell(name, SAY.replace("{}", f"{{ {command}; }} 2>&1 | tr '\\n\"\\\\' '|  ' | sed 's/|$//'", 1))


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    work = tmp_path_factory.mktemp("command")
    (work / "data").mkdir()
    (work / "data" / "cats.txt").write_text("the cat sat\non the mat\n")
    with Kernel(make_home(work / "home")) as kernel, kernel.client() as client:
        install(kernel, ROOT / "hands" / "files")
        install(kernel, ECHO)
        client.call("kernel.root-add", "data", {"path": str(work / "data")})
        yield kernel


@pytest.fixture(scope="module")
def client(kernel: Kernel) -> Iterator[Client]:
    with kernel.client() as client:
        yield client


def _output(kernel: Kernel, name: str) -> str:
    return (kernel.home / "output" / f"{name}.log").read_text()


def _value(client: Client, method: str, /, **arguments: object) -> Any:
    return client.call(method, "", arguments).value


def _wait_for(told: Any, within: float = 10.0) -> None:
    end = time.monotonic() + within
    while not told():
        assert time.monotonic() < end
        time.sleep(0.02)


# the finished example -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(NODE is None, reason="there is no node here: the example in docs/examples/node was not run")
def test_the_example_in_nodejs_counts_streams_logs_and_calls_in_its_callers_name(
    kernel: Kernel, client: Client
) -> None:
    install(kernel, ROOT / "docs" / "examples" / "node")
    counted: Any = client.call("word-count.text", "", {"text": "The cat and the cat", "most": 1}).value
    assert counted == {"words": 3, "frequent": [{"word": "cat", "times": 2}]}
    cast(kernel, [actor("reader", rows("word-count.file", "files.read")), actor("nosy", rows("word-count.file"))])
    look = {"call": "word-count.file", "on": "data/cats.txt"}
    (told,) = ask(client, "reader.do", [look])
    assert done(told)["value"] == {"words": 4, "lines": 2}
    assert b"".join(told["chunks"]) == b"2 the cat sat\n2 on the mat\n"
    assert "files" in told["labels"]
    (told,) = ask(client, "nosy.do", [look])
    assert (told["end"], told["code"]) == ("failed", "capability")
    assert '"event":"counted","file":"data/cats.txt","words":4' in _output(kernel, "word-count")
    client.call("kernel.set", "word-count", {"values": {"stop_words": ["cat"]}})
    _wait_for(lambda: _value(client, "word-count.text", text="the cat")["words"] == 1)


# what it finds --------------------------------------------------------------------------------------------------------


def test_a_program_in_sh_answers_and_prints_to_its_log(kernel: Kernel, client: Client) -> None:
    install(kernel, _shell("plain", "echo printed; echo complained >&2\n" + SAY.replace("{}", "echo answered")))
    assert client.call("plain.do").value == "answered"
    assert "printed\ncomplained\n" in _output(kernel, "plain")


def test_its_environment_is_small_and_its_folder_holds_what_was_sealed(kernel: Kernel, client: Client) -> None:
    folder = kernel.home.parent / "found"
    write_hand(folder, _says("found", "env | sort; pwd; find . -type f | sort; cat lib/word"))
    (folder / "lib").mkdir()
    (folder / "lib" / "word").write_text("sealed")
    install(kernel, folder)
    told = str(client.call("found.do").value).split("|")
    names = {line.partition("=")[0]: line.partition("=")[2] for line in told if "=" in line}
    assert names.keys() - {"PWD", "OLDPWD", "_", "SHLVL"} == {"PATH", "HOME", "TMPDIR", "LANG", "GIT_CONFIG_NOSYSTEM"}
    assert names["HOME"] == names["TMPDIR"]
    assert Path(names["HOME"]).parent == kernel.home / "scratch"
    assert told[-6:] == [names["PWD"], "./HAND.seal", "./HAND.toml", "./lib/word", "./main.py", "sealed"]


def test_nobody_can_change_what_was_sealed_and_nothing_that_it_wrote_is_executed(
    kernel: Kernel, client: Client
) -> None:
    install(kernel, _says(
        "writer", "echo x > new; echo x >> main.py; rm main.py; chmod 0 main.py; mv main.py other;"
        "cp /bin/true $HOME/mine && chmod 755 $HOME/mine && $HOME/mine; /bin/true && echo the systems is",
    ))  # fmt: skip
    told = [line.rpartition(": ")[2] for line in str(client.call("writer.do").value).split("|")]
    assert set(told[:5]) <= {"Read-only file system", "Permission denied"}
    assert told[5:] == ["Permission denied", "the systems is"]


def test_it_reads_no_home_and_no_secret_and_has_no_network(kernel: Kernel, client: Client) -> None:
    attempts = [f"cat {path}" for path in ("/etc/shadow", "/etc/passwd", kernel.home / "keys" / "operator.key")]
    attempts += [f"ls {kernel.home}", "ls /proc/self/", "ls /root", "cat /proc/1/environ", f"ls {kernel.home}/scratch"]
    install(kernel, _says("thief", "; ".join(attempts)))
    told = [line.rpartition(": ")[2] for line in str(client.call("thief.do").value).split("|")]
    assert len(told) == len(attempts)
    assert set(told) <= {"Permission denied", "No such file or directory"}


@pytest.mark.skipif(not os.access(PYTHON, os.X_OK), reason="the system has no python3 of its own")
def test_it_has_four_descriptors_and_no_socket_of_its_own(kernel: Kernel, client: Client) -> None:
    program = f"""#!{PYTHON}
import fcntl, json, os, socket
opened = []
for number in range(1024):
    try:
        fcntl.fcntl(number, fcntl.F_GETFD)
        opened.append(number)
    except OSError:
        pass
link = socket.socket(fileno=3)
for_lines = link.makefile("rw", buffering=1)
json.loads(for_lines.readline())
print(json.dumps({{"type": "ready"}}), file=for_lines)
call = json.loads(for_lines.readline())
try:
    socket.socket()
    reached = "a socket"
except OSError as error:
    reached = error.strerror
print(json.dumps({{"type": "done", "id": call["id"], "value": [opened, reached]}}), file=for_lines)
for_lines.readline()
"""
    install(kernel, _hand("counter", program))
    assert client.call("counter.do").value == [[0, 1, 2, 3], "Operation not permitted"]


# the protocol ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("garbage", "line 2 of what the program said is no message: JSON is malformed"),
        ('{"type":"hello"}', "line 2 of what the program said is no message: Invalid value 'hello'"),
        ('{"type":"ready"}', "it said `ready` already"),
        ('{"type":"done","id":999999999}', "it answers call 999999999, which there is not"),
        ('{"type":"call","id":0,"method":"echo.say"}', "call 0 is not a new number above 0"),
    ],
)
def test_a_line_that_has_no_place_ends_that_run_and_the_log_names_it(
    kernel: Kernel, client: Client, line: str, why: str
) -> None:
    install(kernel, _shell("wrong", f"told '{line}'"))
    try:
        with pytest.raises(NotDone, match=r"line [23] .* \(ended\)"):
            client.call("wrong.do")
        _wait_for(lambda: why in _output(kernel, "wrong").replace('\\"', '"'))
        assert client.call("echo.say", "", {"text": "still here"}).value == {"text": "still here"}
    finally:
        client.call("kernel.remove", "wrong")
        (kernel.home / "output" / "wrong.log").unlink(missing_ok=True)


def test_a_line_without_an_end_is_bounded(kernel: Kernel, client: Client) -> None:
    install(kernel, _shell("endless", "head -c 20000000 /dev/zero | tr '\\0' x >&3"))
    with pytest.raises(NotDone, match=r"line 2 .* \(ended\)"):
        client.call("endless.do")


def test_a_refused_call_is_told_with_the_grant_that_it_lacks(kernel: Kernel, client: Client) -> None:
    ask_echo = (
        'told "{\\"type\\":\\"call\\",\\"id\\":7,\\"parent\\":$id,\\"method\\":\\"echo.say\\"}"\nread -r end <&3\n'
    )
    install(kernel, _shell("asker", ask_echo + SAY.replace("{}", "echo $end | tr -d '\"\\\\'")))
    told = str(client.call("asker.do").value)
    assert "type:failed,id:7,end:refused,code:capability" in told.replace('"', "")
    assert "echo.say" in told


def test_a_program_that_is_too_fast_is_held_back_and_nothing_is_lost(kernel: Kernel, client: Client) -> None:
    flood = """
piece=$(head -c 4000 /dev/zero | base64 -w0)
n=0; while [ $n -lt 200 ]; do told "{\\"type\\":\\"chunk\\",\\"id\\":$id,\\"piece\\":\\"$piece\\"}"; n=$((n+1)); done
told "{\\"type\\":\\"done\\",\\"id\\":$id}"
"""
    install(kernel, _shell("flood", flood))
    cast(kernel, [actor("patient", rows("flood.do"))])
    (told,) = ask(client, "patient.do", [{"call": "flood.do"}])
    done(told)
    assert sum(map(len, told["chunks"])) == 200 * 4000


# its end --------------------------------------------------------------------------------------------------------------


def test_a_program_that_dies_fails_its_calls_with_how_and_is_started_again(kernel: Kernel, client: Client) -> None:
    install(kernel, _shell("mortal", f"case $line in *die*) exit 3 ;; esac\n{SAY.replace('{}', 'echo lives')}"))
    with pytest.raises(NotDone, match="the program ended: exit code 3"):
        client.call("mortal.do", "", {"text": "die"})
    assert client.call("mortal.do").value == "lives"


def test_a_command_that_is_not_there_is_told(kernel: Kernel, client: Client) -> None:
    source = _shell("absent", "")
    install(kernel, source._replace(toml=source.toml.replace("./main.py", "no-such-program").replace("100", "1")))
    with pytest.raises(NotDone):
        client.call("absent.do")
    _wait_for(lambda: "there is no program no-such-program in /usr/local/bin" in _output(kernel, "absent"))


def test_stop_is_told_and_then_insisted_upon_and_nothing_is_left(kernel: Kernel, client: Client) -> None:
    stubborn = "trap '' TERM INT; setsid sleep 1000 & (trap '' TERM; sleep 1001) &\n"
    source = _shell("stubborn", SAY.replace("{}", "echo up"), stubborn)
    install(kernel, source._replace(main=source.main.replace("exit 0", ":")))
    assert client.call("stubborn.do").value == "up"
    (run,) = [one for one in _value(client, "kernel.ps")["runs"] if one["hand"] == "stubborn"]
    begun = time.monotonic()
    client.call("kernel.stop", "stubborn")
    assert time.monotonic() - begun < 6
    assert not Path(f"/proc/{run['pid']}").exists()
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        assert not re.search(rb"sleep\x00100[01]", _read(process))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def test_an_obedient_program_stops_at_once(kernel: Kernel, client: Client) -> None:
    install(kernel, _says("obedient", "echo up"))
    assert client.call("obedient.do").value == "up"
    begun = time.monotonic()
    client.call("kernel.stop", "obedient")
    assert time.monotonic() - begun < 1


def test_its_caller_leaving_is_told_by_cancel(kernel: Kernel, client: Client) -> None:
    source = _shell("slow", "true")
    main = source.main.replace(
        '*\'"type":"stop"\'*)', '*\'"type":"cancel"\'*) echo cancelled $id ;;\n*\'"type":"stop"\'*)'
    )
    install(kernel, source._replace(main=main))
    with pytest.raises(NotDone, match="deadline"):
        client.call("slow.do", seconds=0.5)
    _wait_for(lambda: "cancelled" in _output(kernel, "slow"))


# tasks ----------------------------------------------------------------------------------------------------------------


def test_a_task_gets_its_work_as_the_method_run(kernel: Kernel, client: Client) -> None:
    source = _shell("worker", 'told \'{"type":"progress","done":1,"total":2}\'\n' + SAY.replace("{}", "echo worked"))
    toml = source.toml.replace('kind = "service"', 'kind = "task"').partition("[restart]")[0]
    install(kernel, source._replace(toml=toml))
    told: Any = client.call("kernel.start", "worker", {"inputs": {"x": 1}, "wait": True}).value
    assert (told["outcome"], told["value"]) == ("done", "worked")
    assert client.call("worker.do").value == "worked"


# what it is believed --------------------------------------------------------------------------------------------------


def test_its_methods_act_beyond_this_machine_unless_the_operator_says_otherwise(kernel: Kernel, client: Client) -> None:
    def effect() -> object:
        return _value(client, "kernel.describe", method="pinned.do")["methods"][0]["effect"]

    source = _says("pinned", "echo done")
    install(kernel, source)
    assert effect() == "external"
    cautious = actor("cautious", rows("pinned.do"))
    cast(kernel, [cautious._replace(toml=cautious.toml.replace('autonomy = "full"', 'autonomy = "readonly"'))])
    refused(ask(client, "cautious.do", [{"call": "pinned.do"}])[0], "readonly")
    client.call("kernel.remove", "pinned")
    install(kernel, source, as_declared=True)
    assert effect() == "read"
    assert done(ask(client, "cautious.do", [{"call": "pinned.do"}])[0])["value"] == "done"


def test_without_a_mount_namespace_it_does_not_start_and_says_why(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    (home / "weakened").touch()
    with Kernel(home, "tests.attacks.weakened") as kernel, kernel.client() as client:
        source = _says("walled", "echo up")
        toml = source.toml.replace("times = 100", "times = 1")
        install(kernel, source._replace(toml=toml.replace("A program.", f"A program{LACKS}mount-namespace")))
        with pytest.raises(NotDone, match="files need a mount-namespace to be shown in"):
            client.call("walled.do")
