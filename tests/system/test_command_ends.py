"""How programs as Hands begin and end: they stop, die, are missing, and may not start, as any other Hand."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from kernel.cli.client import Client
from kernel.cli.exits import NotDone
from tests.attacks.puppet import LACKS
from tests.living import Kernel, install, make_home
from tests.spread import spread
from tests.system.actors import actor, ask, cast, done, refused, rows
from tests.system.programs import SAY, in_sh, is_down, output_of, says, value_of, wait_for, with_cats


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with with_cats(tmp_path_factory.mktemp("command")) as kernel:
        yield kernel


def test_its_bridge_may_be_an_interpreter_of_its_own(kernel: Kernel, client: Client) -> None:
    source = says("isolated", "echo up")
    install(kernel, source._replace(toml=source.toml.replace("kind =", 'isolation = "exec"\nkind =')))
    assert client.call("isolated.do").value == "up"


# its end --------------------------------------------------------------------------------------------------------------


def test_a_program_that_dies_fails_its_calls_with_how_and_is_started_again(kernel: Kernel, client: Client) -> None:
    install(kernel, in_sh("mortal", f"case $line in *die*) exit 3 ;; esac\n{SAY.replace('{}', 'echo lives')}"))
    with pytest.raises(NotDone, match="the program ended: exit code 3"):
        client.call("mortal.do", "", {"text": "die"})
    wait_for(lambda: is_down(client, "mortal"))  # a call on its way to one that dies fails with it
    assert client.call("mortal.do").value == "lives"


PIECES: Final = """
piece=$(head -c 4000 /dev/zero | base64 -w0)
n=0; while [ $n -lt 150 ]; do told "{\\"type\\":\\"chunk\\",\\"id\\":$id,\\"piece\\":\\"$piece\\"}"; n=$((n+1)); done
"""
"""More than a caller has room for, and than lies between program and bridge."""


def _heard(client: Client, method: str, pause: float, text: str = "") -> tuple[int, str]:
    """How many bytes of a reply came to a caller that takes so long for each piece, and how it ended."""
    came = 0

    def slowly(piece: bytes) -> None:
        nonlocal came
        came += len(piece)
        time.sleep(pause)

    try:
        end = str(client.call(method, "", {"text": text}, chunk=slowly, seconds=40).value)
    except NotDone as error:
        end = str(error)
    return came, end


@pytest.mark.parametrize("pause", spread([0, 0.03], 1))
def test_what_a_program_has_said_before_it_exits_reaches_a_slow_caller_whole(
    kernel: Kernel, client: Client, pause: float
) -> None:
    name = f"brief-{bool(pause)}".lower()
    install(kernel, in_sh(name, f"{PIECES}{SAY.replace('{}', 'echo whole')}\nexit 0"))
    assert _heard(client, f"{name}.do", pause) == (150 * 4000, "whole")
    wait_for(lambda: is_down(client, name))
    assert "raised" not in output_of(kernel, name)


def test_what_it_has_said_reaches_slow_callers_though_it_exits_without_the_end_of_a_call(
    kernel: Kernel, client: Client
) -> None:
    both = f"""case $line in *broken*) half=$id ;; *) all=$id ;; esac
    [ -n "$half" ] && [ -n "$all" ] || return 0
    id=$half; {PIECES}
    id=$all; {PIECES}{SAY.replace("{}", "echo whole")}
    exit 0"""
    install(kernel, in_sh("half", both))

    def slow(text: str) -> tuple[int, str]:
        with kernel.client() as caller:
            return _heard(caller, "half.do", 0.002, text)  # a busy machine makes it slower still

    with ThreadPoolExecutor() as threads:
        half, whole = threads.map(slow, ("broken", "all"))
    assert whole == (150 * 4000, "whole")
    assert half == (150 * 4000, "the program ended: exit code 0: `maniple logs half` shows more")


def test_a_caller_with_no_room_left_is_told_that_the_program_died(kernel: Kernel, client: Client) -> None:
    install(kernel, in_sh("brittle", f"{PIECES}exit 3"))
    came, end = _heard(client, "brittle.do", 0.03)
    assert came < 150 * 4000
    assert end == "the program ended: exit code 3: `maniple logs brittle` shows more"


def test_a_caller_that_reads_no_more_holds_a_service_whose_program_is_gone_for_seconds(
    kernel: Kernel, client: Client
) -> None:
    install(
        kernel,
        in_sh("gone", f"case $line in *brief*) {PIECES}echo exits; exit 0 ;; esac\n{SAY.replace('{}', 'echo up')}"),
    )
    read_on = threading.Event()

    def take() -> None:
        with kernel.client() as other, pytest.raises(NotDone, match="the program ended: exit code 0"):
            other.call("gone.do", "", {"text": "brief"}, chunk=wait, seconds=40)

    def wait(_: bytes) -> None:
        read_on.wait(30)

    held = threading.Thread(target=take)
    held.start()
    try:
        wait_for((kernel.home / "output" / "gone.log").exists)
        wait_for(lambda: _answers(client, "gone.do"), 15)
    finally:
        read_on.set()
        held.join()


def _answers(client: Client, method: str) -> bool:
    try:
        return client.call(method).value == "up"
    except NotDone:
        return False


def test_a_command_that_is_not_there_is_told(kernel: Kernel, client: Client) -> None:
    source = in_sh("absent", "")
    install(kernel, source._replace(toml=source.toml.replace("./main.py", "no-such-program").replace("100", "1")))
    with pytest.raises(NotDone):
        client.call("absent.do")
    wait_for(lambda: "there is no program no-such-program in /usr/local/bin" in output_of(kernel, "absent"))


def test_stop_is_told_and_then_insisted_upon_and_nothing_is_left(kernel: Kernel, client: Client) -> None:
    mark = f"1000.{os.getpid()}"  # no other process on the machine sleeps just so long
    heard = f"(trap 'echo it heard TERM' TERM; sleep {mark} & wait) &"
    stubborn = f"{heard} trap '' TERM INT; setsid sleep {mark} & (trap '' TERM; sleep {mark}) &\n"
    source = in_sh("stubborn", SAY.replace("{}", "echo up"), stubborn)
    install(kernel, source._replace(main=source.main.replace("exit 0", ":")))
    assert client.call("stubborn.do").value == "up"
    wait_for(lambda: _sleeping(mark) == 3)
    (run,) = [one for one in value_of(client, "kernel.ps")["runs"] if one["hand"] == "stubborn"]
    begun = time.monotonic()
    client.call("kernel.stop", "stubborn")
    assert time.monotonic() - begun < 9
    assert not Path(f"/proc/{run['pid']}").exists()
    assert not _sleeping(mark)
    assert "it heard TERM" in output_of(kernel, "stubborn")


def _sleeping(mark: str) -> int:
    return sum(_read(process) == b"sleep\0%s\0" % mark.encode() for process in Path("/proc").glob("[0-9]*/cmdline"))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def test_an_obedient_program_stops_at_once(kernel: Kernel, client: Client) -> None:
    """One that does not is sent TERM after 1.5 s. The quickest of a few stops counts: others use this machine as well."""
    install(kernel, says("obedient", "echo up"))

    def stops_at_once() -> bool:
        assert client.call("obedient.do").value == "up"
        begun = time.monotonic()
        client.call("kernel.stop", "obedient")
        return time.monotonic() - begun < 1

    assert any(stops_at_once() for _ in range(5))


def test_its_caller_leaving_is_told_by_cancel(kernel: Kernel, client: Client) -> None:
    source = in_sh("slow", "true")
    main = source.main.replace(
        '*\'"type":"stop"\'*)', '*\'"type":"cancel"\'*) echo cancelled $id ;;\n*\'"type":"stop"\'*)'
    )
    install(kernel, source._replace(main=main))
    with pytest.raises(NotDone, match="deadline"):
        client.call("slow.do", seconds=0.5)
    wait_for(lambda: "cancelled" in output_of(kernel, "slow"))


# tasks ----------------------------------------------------------------------------------------------------------------


def test_a_task_gets_its_work_as_the_method_run(kernel: Kernel, client: Client) -> None:
    source = in_sh("worker", 'told \'{"type":"progress","done":1,"total":2}\'\n' + SAY.replace("{}", "echo worked"))
    toml = source.toml.replace('kind = "service"', 'kind = "task"').partition("[restart]")[0]
    install(kernel, source._replace(toml=toml))
    told: Any = client.call("kernel.start", "worker", {"inputs": {"x": 1}, "wait": True}).value
    assert (told["outcome"], told["value"]) == ("done", "worked")
    assert client.call("worker.do").value == "worked"


# what it is believed --------------------------------------------------------------------------------------------------


def test_its_methods_act_beyond_this_machine_unless_the_operator_says_otherwise(kernel: Kernel, client: Client) -> None:
    def effect() -> object:
        return value_of(client, "kernel.describe", method="pinned.do")["methods"][0]["effect"]

    source = says("pinned", "echo done")
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
    (home / "weakened").write_text("")
    with Kernel(home, "tests.attacks.weakened") as kernel, kernel.client() as client:
        source = says("walled", "echo up")
        toml = source.toml.replace("A program.", f"A program{LACKS}mount-namespace").replace("times = 100", "times = 1")
        install(kernel, source._replace(toml=toml))
        with pytest.raises(NotDone, match="files need a mount-namespace to be shown in"):
            client.call("walled.do")
