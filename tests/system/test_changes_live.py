"""What the operator changes, or stops, while services work: nothing that is open is lost, nothing that is gone comes back."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.cli.exits import NotDone
from tests.living import ECHO, ROOT, Kernel, Source, install, make_home
from tests.system.actors import Step, actor, begin
from tests.system.fates import bare, call, ended, entries, entry, pid_of, runs, state_of, table, until
from tests.system.test_resuming import DREAMER
from wire import codec, headers, limits

HOLD: list[Step] = [{"hold": True}]
TUNED = Source(
    actor("tuned", more='[settings.pitch]\ntype = "int"\ndefault = 1\n[settings.word]\ntype = "string"\nsecret = true\n'
          '[settings.name]\ntype = "string"\nsecret = true').toml
    .replace("main:Actor", "main:Tuned"),
    """
import asyncio, pathlib
from runtime import Hand


class Tuned(Hand):
    async def on_call(self, call, arguments):
        return dict(self.settings)
""",
)  # fmt: skip

WIDE = "\U00010400"
BOASTER = Source(
    DREAMER.toml.replace("dreamer", "boaster").replace("Dreamer", "Boaster"),
    f"""
from runtime import Hand


class Boaster(Hand):
    async def run(self):
        await self.progress(1, 2, "{WIDE}" * {limits.WHY_MAX})
        await self.sleep(60.0)
""",
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("live") / "home")) as kernel:
        yield kernel


@pytest.fixture
def kernel(running: Kernel) -> Iterator[Kernel]:
    """With no Hand; those of a test go with it."""
    yield running
    bare(running)


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Kernel]:
    """One that kills after a second what hears no stop."""
    with Kernel(make_home(tmp_path / "home"), "tests.system.hasty") as kernel:
        yield kernel


def _held(kernel: Kernel, method: str) -> tuple[threading.Thread, list[str]]:
    """A call that its actor holds open, and how it ends when it does."""
    how: list[str] = []

    def ask() -> None:
        with kernel.client() as client:
            how.append(ended(client, method, "", {"steps": HOLD}, seconds=60))

    before = len([one for one in entries(kernel.home, "call") if one.method == method])
    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: len([one for one in entries(kernel.home, "call") if one.method == method]) > before, "it is recorded")
    until(lambda: [row for row in runs(kernel, method.split(".")[0]) if row["open"]], "it is at its provider")
    return asking, how


# roots ---------------------------------------------------------------------------------------------------------------


def test_a_root_that_is_added_waits_for_the_calls_that_are_open(kernel: Kernel, tmp_path: Path) -> None:
    install(kernel, actor("rooted", more="[confinement]\nroots = true"))
    call(kernel, "rooted.do", "", {"steps": []})
    first = pid_of(kernel, "rooted")
    asking, how = _held(kernel, "rooted.write")
    (tmp_path / "new").mkdir()
    call(kernel, "kernel.root-add", "new", {"path": str(tmp_path / "new")})
    assert call(kernel, "rooted.do", "", {"steps": [{"release": True}]})
    asking.join()
    assert how == ["done"]
    entry(kernel.home, "run.end", why="the roots have changed")
    call(kernel, "rooted.do", "", {"steps": []})
    assert pid_of(kernel, "rooted") != first


def test_a_root_that_is_taken_back_is_gone_at_once(kernel: Kernel, tmp_path: Path) -> None:
    install(kernel, actor("rooted", more="[confinement]\nroots = true"))
    call(kernel, "kernel.root-add", "old", {"path": _folder(tmp_path / "old")})
    asking, how = _held(kernel, "rooted.write")
    call(kernel, "kernel.root-remove", "old")
    asking.join()
    assert how == ["cancelled"]  # by its own process, which was told to end


def _folder(path: Path) -> str:
    path.mkdir()
    return str(path)


# stops ---------------------------------------------------------------------------------------------------------------


def _deafen(kernel: Kernel) -> None:
    """Let the service hear nothing any more, so that it is killed after its grace with all that is open at it."""
    until(lambda: [row for row in runs(kernel, "sink") if row["open"]], "the call is at it")
    os.kill(pid_of(kernel, "sink"), signal.SIGSTOP)


@pytest.mark.wide
def test_a_service_that_its_operator_stops_stays_down_whatever_was_open_at_it(hasty: Kernel) -> None:
    install(hasty, actor("sink"))
    asking, how = _held(hasty, "sink.do")
    _deafen(hasty)
    call(hasty, "kernel.stop", "sink")
    asking.join()
    assert how == ["ended"]
    assert state_of(hasty, "sink") == "stopped"
    assert len(entries(hasty.home, "run.start")) == 1


@pytest.mark.wide
def test_restarts_that_are_ordered_make_no_call_poisonous(hasty: Kernel) -> None:
    install(hasty, actor("sink"))
    asking, how = _held(hasty, "sink.do")
    for times in range(2):  # it only reads: each process that is killed gives it to the next
        _deafen(hasty)
        call(hasty, "kernel.restart", "sink")
        assert len(entries(hasty.home, "run.start")) == times + 2
    call(hasty, "sink.do", "", {"steps": [{"release": True}]})
    asking.join()
    assert how == ["done"]


def test_a_removed_hand_leaves_nothing_in_the_kernel_and_its_name_begins_anew(kernel: Kernel) -> None:
    for _ in range(3):
        install(kernel, ECHO)
        call(kernel, "kernel.start", "echo")
        call(kernel, "kernel.remove", "echo")
    until(lambda: not runs(kernel), "all are down")
    install(kernel, ECHO)
    assert state_of(kernel, "echo") == "stopped"
    assert call(kernel, "echo.say", "", {"text": "hi"}) == {"text": "hi"}


# settings ------------------------------------------------------------------------------------------------------------


@pytest.mark.wide
def test_a_setting_that_is_changed_while_a_run_comes_up_reaches_it(kernel: Kernel) -> None:
    install(kernel, TUNED)
    with kernel.client() as asker:
        for pitch in range(2, 12):
            begin(asker, "tuned.do", [])  # its run begins to come up
            until(lambda: runs(kernel, "tuned"), "it is made")
            call(kernel, "kernel.set", "tuned", {"values": {"pitch": pitch, "word": f"secret {pitch}"}})
            told = table(call(kernel, "tuned.do"))
            assert (told["pitch"], told["word"]) == (pitch, f"secret {pitch}")
            call(kernel, "kernel.stop", "tuned")


def test_a_change_of_a_secret_beside_the_removal_of_its_hand_is_answered(kernel: Kernel) -> None:
    """The Hand is gone when the entry of the change is on disk, and its run is still about to end."""
    install(kernel, TUNED)
    call(kernel, "tuned.do")
    with kernel.client() as asker:
        for number, (method, arguments) in {101: ("set", {"values": {"word": "hush"}}), 103: ("remove", {})}.items():
            asker._send(headers.Call(number=number, method=f"kernel.{method}", resource="tuned"), arguments)
        heard = [asker._receive(3.0) for _ in range(2)]
    assert sorted(told[0].number for told in heard if told and isinstance(told[0], headers.Done)) == [101, 103]
    assert "Traceback" not in (kernel.home / "run" / "kernel.log").read_text()


@pytest.mark.wide
def test_secrets_set_at_once_are_all_kept(kernel: Kernel) -> None:
    install(kernel, TUNED)
    asking = [
        threading.Thread(target=call, args=(kernel, "kernel.set", "tuned", {"values": values}))
        for values in ({"word": "hush"}, {"name": "ada"})
    ]
    for one in asking:
        one.start()
    for one in asking:
        one.join()
    assert call(kernel, "tuned.do") == {"pitch": 1, "word": "hush", "name": "ada"}
    kernel.kill()
    kernel.up()
    assert call(kernel, "tuned.do") == {"pitch": 1, "word": "hush", "name": "ada"}


@pytest.mark.wide
def test_what_was_set_and_is_declared_no_more_keeps_an_upgraded_hand_from_nothing(kernel: Kernel) -> None:
    before = TUNED._replace(toml=TUNED.toml.replace("tuned", "retuned"))  # whose older ones are refused from now on
    install(kernel, before)
    call(kernel, "kernel.set", "retuned", {"values": {"pitch": 2, "word": "hush", "name": "ada"}})
    words = '[settings.word]\ntype = "string"\nsecret = true\n'
    later = before.toml.replace("1.0.0", "1.1.0").replace('[settings.pitch]\ntype = "int"\ndefault = 1\n', "")
    install(kernel, before._replace(toml=later.replace(words, "")))
    assert call(kernel, "retuned.do") == {"name": "ada"}
    call(kernel, "kernel.set", "retuned", {"values": {"name": "eve"}})
    assert call(kernel, "retuned.do") == {"name": "eve"}
    kernel.kill()
    kernel.up()
    assert call(kernel, "retuned.do") == {"name": "eve"}


@pytest.mark.wide
def test_an_upgrade_of_which_the_log_cannot_take_all_changes_nothing(kernel: Kernel) -> None:
    """Its files are taken back by whoever installs: what was installed before must still be."""
    before = len(entries(kernel.home, "hand.install"))
    install(kernel, ECHO)
    install(kernel, ROOT / "hands" / "files")
    many = ", ".join(f'"reports/{number:03}-{"x" * 100}/**"' for number in range(400))
    more = ECHO.toml.replace("1.0.0", "1.1.0") + f'\n[capabilities]\n"files.*" = [{many}]\n'
    with pytest.raises(NotDone, match="the log takes 258048 bytes for a grant, and this has"):
        install(kernel, ECHO._replace(toml=more))
    assert len(entries(kernel.home, "hand.install")) == before + 2
    assert call(kernel, "echo.say", "", {"text": "x"}) == {"text": "x"}
    kernel.down()
    kernel.up()
    assert call(kernel, "echo.say", "", {"text": "x"}) == {"text": "x"}


def test_how_far_a_run_says_it_is_leaves_room_for_a_thousand_others(kernel: Kernel) -> None:
    install(kernel, BOASTER)
    with kernel.client() as client:
        client.call("kernel.start", "boaster")
        (row,) = until(lambda: [one for one in runs(kernel, "boaster") if one["progress"]], "it has said so")
    assert len(codec.encode_body(row)) * 1_000 < limits.BODY_MAX
    assert entry(kernel.home, "note").why == WIDE * limits.WHY_MAX


def test_a_service_with_calls_that_wait_which_becomes_a_task_hand_is_not_kept_up(kernel: Kernel) -> None:
    service = actor("turner").toml.replace("in_flight = 64", "in_flight = 1")
    install(kernel, Source(service, actor("turner").main))
    with kernel.client() as one, kernel.client() as other:
        begin(one, "turner.do", [{"hold": True}])
        pid_of(kernel, "turner")
        begin(other, "turner.do", [])
        until(lambda: _open_at(kernel, "turner.do") == 2, "one waits for the other")
        task = service.replace('kind = "service"', 'kind = "task"').replace("1.0.0", "1.1.0")
        install(kernel, Source(task, actor("turner").main))
        until(lambda: _open_at(kernel, "turner.do") == 0, "both have their ends")
    assert not runs(kernel, "turner")
    assert state_of(kernel, "turner") == "idle"


def _open_at(kernel: Kernel, method: str) -> int:
    """How many calls of a method have no end."""
    begun, over = ({one.call for one in entries(kernel.home, kind) if one.method == method} for kind in ("call", "end"))
    return len(begun - over)
