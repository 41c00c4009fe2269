"""A program as a Hand: it is called, calls, streams, stops and dies as any other Hand, and is walled in as any other."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from kernel.cli.client import Client
from kernel.cli.exits import NotDone
from tests.living import ROOT, Kernel, install, write_hand
from tests.system.actors import actor, ask, cast, done, rows
from tests.system.programs import (
    NODE,
    PYTHON,
    SAY,
    SQUARED,
    SQUARES,
    a_hand,
    in_sh,
    is_down,
    output_of,
    says,
    value_of,
    wait_for,
    with_cats,
)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with with_cats(tmp_path_factory.mktemp("command")) as kernel:
        yield kernel


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
    assert '"event":"counted","file":"data/cats.txt","words":4' in output_of(kernel, "word-count")
    client.call("kernel.set", "word-count", {"values": {"stop_words": ["cat"]}})
    wait_for(lambda: value_of(client, "word-count.text", text="the cat")["words"] == 1)


def test_a_program_is_held_to_what_it_declares_that_it_returns(kernel: Kernel, client: Client) -> None:
    liar = says("liar", "echo a text")
    install(kernel, liar._replace(toml=liar.toml.replace("[limits]", 'returns = { words = "int" }\n\n[limits]')))
    with pytest.raises(NotDone, match="it is a text, not a table") as failed:
        value_of(client, "liar.do")
    assert failed.value.reason == "returns"
    assert "an answer is not what `returns` in HAND.toml declares" in output_of(kernel, "liar")


# what it finds --------------------------------------------------------------------------------------------------------


def test_a_program_in_sh_answers_and_prints_to_its_log(kernel: Kernel, client: Client) -> None:
    install(kernel, in_sh("plain", "echo printed; echo complained >&2\n" + SAY.replace("{}", "echo answered")))
    assert client.call("plain.do").value == "answered"
    assert "printed\ncomplained\n" in output_of(kernel, "plain")


def test_its_environment_is_small_and_its_folder_holds_what_was_sealed(kernel: Kernel, client: Client) -> None:
    folder = kernel.home.parent / "found"
    write_hand(folder, says("found", "env | sort; pwd; find . -type f | sort; cat lib/word"))
    (folder / "lib").mkdir()
    (folder / "lib" / "word").write_text("sealed")
    install(kernel, folder)
    told = str(client.call("found.do").value).split("|")
    names = {line.partition("=")[0]: line.partition("=")[2] for line in told if "=" in line}
    assert names.keys() - {"PWD", "OLDPWD", "_", "SHLVL"} == {"PATH", "HOME", "TMPDIR", "LANG", "GIT_CONFIG_NOSYSTEM"}
    assert names["HOME"] == names["TMPDIR"]
    assert Path(names["HOME"]).parent == kernel.home / "scratch"
    assert told[-6:] == [names["PWD"], "./HAND.seal", "./HAND.toml", "./lib/word", "./main.py", "sealed"]


@pytest.mark.skipif(not os.access(PYTHON, os.X_OK), reason="the system has no python3 of its own")
def test_its_processes_share_locks_and_memory(kernel: Kernel, client: Client) -> None:
    folder = kernel.home.parent / "squares"
    write_hand(folder, says("squares", f"{PYTHON} squares.py"))
    (folder / "squares.py").write_text(SQUARES)
    install(kernel, folder)
    assert client.call("squares.do").value == SQUARED


def test_nobody_can_change_what_was_sealed_and_nothing_that_it_wrote_is_executed(
    kernel: Kernel, client: Client
) -> None:
    install(kernel, says(
        "writer", "echo x > new; echo x >> main.py; rm main.py; chmod 0 main.py; mv main.py other;"
        "cp /bin/true $HOME/mine && chmod 755 $HOME/mine && $HOME/mine; /bin/true && echo the systems is",
    ))  # fmt: skip
    told = [line.rpartition(": ")[2] for line in str(client.call("writer.do").value).split("|")]
    assert set(told[:5]) <= {"Read-only file system", "Permission denied"}
    assert told[5:] == ["Permission denied", "the systems is"]
    (run,) = [one for one in value_of(client, "kernel.ps")["runs"] if one["hand"] == "writer"]
    mounts = [line.split() for line in Path(f"/proc/{run['pid']}/mountinfo").read_text().splitlines()]
    (flags,) = {row[5] for row in mounts if row[4] in ("/mnt", "/srv", "/media", "/opt") and "tmpfs" in row}
    assert {"ro", "nosuid", "nodev"} <= set(flags.split(","))


def test_it_reads_no_home_and_no_secret_and_has_no_network(kernel: Kernel, client: Client) -> None:
    attempts = [f"cat {path}" for path in ("/etc/shadow", "/etc/passwd", kernel.home / "keys" / "operator.key")]
    attempts += [f"ls {kernel.home}", "ls /proc/self/", "ls /root", "cat /proc/1/environ", f"ls {kernel.home}/scratch"]
    install(kernel, says("thief", "; ".join(attempts)))
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
    install(kernel, a_hand("counter", program))
    assert client.call("counter.do").value == [[0, 1, 2, 3], "Operation not permitted"]


# the protocol ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("garbage", "line 2 of what the program wrote is not a message: JSON is malformed"),
        ('{"type":"hello"}', "line 2 of what the program wrote is not a message: Invalid value 'hello'"),
        ('{"type":"ready"}', "it said `ready` already"),
        ('{"type":"done","id":999999999}', "it answers call 999999999, which there is not"),
        ('{"type":"call","id":0,"method":"echo.say"}', "call 0 is not a new number above 0"),
        ('{"type":"call","id":1,"method":"echo.say"}\n{"type":"upload","id":1}', "call 1 has no upload, or no more"),
    ],
)
def test_a_line_that_has_no_place_ends_that_run_and_the_log_names_it(
    kernel: Kernel, client: Client, line: str, why: str
) -> None:
    install(kernel, in_sh("wrong", f"told '{line}'"))
    try:
        # a call that was on its way to the run when that broke is not known to have done nothing
        with pytest.raises(NotDone, match=r"line [23] .* \(ended\)|exit code 1: .* \(outcome unknown\)"):
            client.call("wrong.do")
        wait_for(lambda: why in output_of(kernel, "wrong").replace('\\"', '"'))
        assert client.call("echo.say", "", {"text": "still here"}).value == {"text": "still here"}
    finally:
        client.call("kernel.remove", "wrong")
        (kernel.home / "output" / "wrong.log").unlink(missing_ok=True)


def test_a_line_without_an_end_is_bounded(kernel: Kernel, client: Client) -> None:
    install(kernel, in_sh("endless", "head -c 20000000 /dev/zero | tr '\\0' x >&3"))
    with pytest.raises(NotDone, match=r"line 2 .* \(ended\)"):
        client.call("endless.do")


def test_a_refused_call_is_told_with_the_grant_that_it_lacks(kernel: Kernel, client: Client) -> None:
    ask_echo = (
        'told "{\\"type\\":\\"call\\",\\"id\\":7,\\"parent\\":$id,\\"method\\":\\"echo.say\\"}"\nread -r end <&3\n'
    )
    install(kernel, in_sh("asker", ask_echo + SAY.replace("{}", "echo $end | tr -d '\"\\\\'")))
    told = str(client.call("asker.do").value)
    assert "type:failed,id:7,end:refused,code:capability" in told.replace('"', "")
    assert "echo.say" in told


def test_a_program_that_is_too_fast_is_held_back_and_nothing_is_lost(kernel: Kernel, client: Client) -> None:
    flood = """
piece=$(head -c 4000 /dev/zero | base64 -w0)
n=0; while [ $n -lt 200 ]; do told "{\\"type\\":\\"chunk\\",\\"id\\":$id,\\"piece\\":\\"$piece\\"}"; n=$((n+1)); done
told "{\\"type\\":\\"done\\",\\"id\\":$id}"
"""
    install(kernel, in_sh("flood", flood))
    cast(kernel, [actor("patient", rows("flood.do"))])
    (told,) = ask(client, "patient.do", [{"call": "flood.do"}])
    done(told)
    assert sum(map(len, told["chunks"])) == 200 * 4000


PARROT: Final = f"""
#!{PYTHON}
import base64, json, os, socket, sys
link = socket.socket(fileno=3)
LARGE = bytes(range(256)) * 12_000
talk = link.makefile("rw", encoding="utf-8")
def tell(**message):
    talk.write(json.dumps(message) + "\\n")
    talk.flush()
def hear(*types):
    while True:
        message = json.loads(talk.readline())
        if message["type"] == "stop":
            sys.exit(0)
        if message["type"] in types:
            return message
def upload():
    got = b""
    while not (piece := hear("upload"))["last"]:
        got += base64.b64decode(piece["piece"])
    return {{"$bytes": base64.b64encode(got).decode()}}
def write():
    tell(type="call", id=5, parent=call["id"], method="files.write", resource="data/new.txt", upload=True)
    for text in ("one ", "two"):
        tell(type="upload", id=5, piece=base64.b64encode(text.encode()).decode())
    tell(type="upload", id=5, last=True)
    return hear("done", "failed")["type"]
def write_large():
    tell(type="call", id=8, parent=call["id"], method="files.write", resource="data/large", upload=True)
    tell(type="upload", id=8, piece=base64.b64encode(LARGE).decode(), last=True)
    return hear("done", "failed")["type"]
def say_large():
    tell(type="chunk", id=call["id"], piece=base64.b64encode(LARGE).decode())
    return "said"
def cancel():
    tell(type="call", id=6, method="kernel.sleep", arguments={{"milliseconds": 60000}}, parent=call["id"])
    tell(type="cancel", id=6)
    heard = hear("failed")
    return [heard["id"], heard["end"]]
def wrong():
    tell(type="call", id=7, method="x" * 500)
    return hear("failed")["code"]
def event():
    tell(type="subscribe", event="parrot.said", id=1)
    hear("done")
    tell(type="publish", name="said", body={{"n": [1, {{"$bytes": "aGk="}}]}}, id=2, parent=call["id"])
    heard = hear("event")
    return [heard["publisher"], heard["name"], heard["body"]]
def unpublished():
    tell(type="publish", name="other", id=3)
    return hear("failed")["end"]
def fail():
    tell(type="failed", id=call["id"], code="sorry", text="It cannot be.", detail={{"why": {{"$bytes": "aGk="}}}})
def many():
    for number in range(3000):
        tell(type="call", id=100 + number, method="kernel.sleep", arguments={{"milliseconds": 60000}})
hear("hello")
tell(type="ready")
while True:
    call = hear("call")
    value = globals()[call["arguments"]["text"]]()
    if value is not None:
        tell(type="done", id=call["id"], value=value, labels=["parroted"])
"""


@pytest.fixture(scope="module")
def parrot(kernel: Kernel) -> None:
    if not os.access(PYTHON, os.X_OK):
        pytest.skip("the system has no python3 of its own")
    asks = (
        '\n[events]\npublishes = ["said"]\nsubscribes = ["parrot.said"]\n[capabilities]\n"files.write" = ["data/**"]\n'
    )
    install(kernel, a_hand("parrot", PARROT, more=asks + '"kernel.sleep" = ["*"]\n'))


@pytest.mark.usefixtures("parrot")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("write", "done"),
        ("cancel", [6, "cancelled"]),
        ("wrong", "arguments"),
        ("event", ["parrot", "said", {"n": [1, b"hi"]}]),
        ("unpublished", "refused"),
    ],
)
def test_what_a_program_asks_for_is_done_and_told(kernel: Kernel, client: Client, text: str, value: object) -> None:
    reply = client.call("parrot.do", "", {"text": text})
    assert reply.value == value
    assert "parroted" in reply.labels
    if text == "write":
        assert (kernel.home.parent / "data" / "new.txt").read_text() == "one two"


@pytest.mark.usefixtures("parrot")
def test_a_piece_that_is_longer_than_a_body_arrives_whole(kernel: Kernel, client: Client) -> None:
    large = bytes(range(256)) * 12_000
    assert client.call("parrot.do", "", {"text": "write_large"}, seconds=20).value == "done"
    assert (kernel.home.parent / "data" / "large").read_bytes() == large
    came = bytearray()
    assert client.call("parrot.do", "", {"text": "say_large"}, seconds=20, chunk=came.extend).value == "said"
    assert came == large


@pytest.mark.usefixtures("parrot")
def test_a_failure_is_told_with_its_detail(client: Client) -> None:
    with pytest.raises(NotDone, match=r"It cannot be. \(sorry\)"):
        client.call("parrot.do", "", {"text": "fail"})


@pytest.mark.usefixtures("parrot")
def test_an_upload_reaches_the_program_whole(client: Client, tmp_path: Path) -> None:
    sent = bytes(range(256)) * 1000
    (tmp_path / "sent").write_bytes(sent)
    with (tmp_path / "sent").open("rb") as source:
        assert client.call("parrot.do", "", {"text": "upload"}, upload=source).value == sent


@pytest.mark.usefixtures("parrot")
def test_requests_without_end_end_that_run(kernel: Kernel, client: Client) -> None:
    with pytest.raises(NotDone, match="more than 2048 of its requests are open"):
        client.call("parrot.do", "", {"text": "many"})
    wait_for(lambda: is_down(client, "parrot"))
    assert client.call("parrot.do", "", {"text": "write"}).value == "done"
