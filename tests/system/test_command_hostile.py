"""A program that talks to its bridge as no program should, and a caller or provider that tries to break one through it."""

import os
import threading
import time
from collections.abc import Iterator
from typing import Final

import psutil
import pytest

from kernel.cli.client import Client
from kernel.cli.exits import NotDone
from tests.living import ECHO, Kernel, Source, install, make_home
from tests.nested import LEVELS, nested
from tests.system.fates import runs, until
from tests.system.programs import a_hand, is_down, output_of, value_of, wait_for

PYTHON: Final = "/usr/bin/python3"
pytestmark = pytest.mark.skipif(not os.access(PYTHON, os.X_OK), reason="the system has no python3 of its own")

HOSTILE: Final = f"""
#!{PYTHON}
import json, os, signal, socket, sys, time
link = socket.socket(fileno=3)
heard = link.makefile("r", encoding="utf-8")
def tell(**message):
    raw(json.dumps(message).encode() + b"\\n")
def raw(some):
    link.sendall(some)
def hear(*types):
    while True:
        message = json.loads(heard.readline())
        if message["type"] == "stop":
            sys.exit(0)
        if message["type"] in types:
            return message
def done(value):
    tell(type="done", id=call["id"], value=value)
hear("hello")
tell(type="ready")
while True:
    call = hear("call")
    exec(call["arguments"]["text"])
"""
LENDER: Final = Source(
    """
[hand]
name = "lender"
version = "1.0.0"
description = "Answers with what JSON cannot tell."
entry = "main:Lender"
kind = "service"
autonomy = "full"

[provides."lender.give"]
summary = "Give it"
resource = "none"
effect = "read"
params = { what = "string" }
""",
    f"""
import msgspec

from runtime import Call, Hand


class Lender(Hand):
    async def give(self, call: Call, what: str) -> object:
        deep: object = None
        for _ in range({LEVELS}):
            deep = [deep]
        return {{"deep": deep, "extension": msgspec.msgpack.Ext(5, b"x"), "number": 2**64 - 1}}[what]
""",
)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("hostile") / "home")) as kernel:
        install(kernel, ECHO)
        install(kernel, LENDER)
        asks = '\n[capabilities]\n"lender.give" = ["*"]\n"kernel.sleep" = ["*"]\n"echo.say" = ["*"]\n'
        hostile = a_hand("hostile", HOSTILE, more=asks)
        toml = hostile.toml.replace('text = "string?"', 'text = "string", more = "any?"')
        install(kernel, hostile._replace(toml=toml))
        yield kernel


@pytest.fixture
def client(kernel: Kernel) -> Iterator[Client]:
    with kernel.client() as client:
        _is_up_again(client)
        yield client
        assert client.call("echo.say", "", {"text": "still here"}).value == {"text": "still here"}


def _do(client: Client, code: str, seconds: float = 20, **more: object) -> object:
    return client.call("hostile.do", "", {"text": code, **more}, seconds=seconds).value


def _is_up_again(client: Client) -> None:
    """It answers; started now, if it has died and would have to wait."""

    def answers() -> bool:
        try:
            client.call("kernel.start", "hostile")
            return _do(client, "done(1)", 2) == 1
        except NotDone:
            return False

    wait_for(answers, 20)


def _pid(client: Client) -> int:
    (run,) = [one for one in value_of(client, "kernel.ps")["runs"] if one["hand"] == "hostile"]
    return int(run["pid"])


@pytest.mark.parametrize("name", ["self", "method_name", "event", "exc_info", "level", "positional_args", "_record"])
def test_a_record_may_have_fields_of_any_name(client: Client, name: str) -> None:
    before = _do(client, "done(0)"), _pid(client)
    _do(client, f"tell(type='log', event='said', fields={{{name!r}: 1}}); done(0)")
    assert (_do(client, "done(0)"), _pid(client)) == before


@pytest.mark.parametrize("what", ["deep", "extension"])
def test_a_reply_that_no_line_can_tell_fails_that_call_alone(client: Client, what: str) -> None:
    _do(client, "done(0)")
    before = _pid(client)
    ask = f"tell(type='call', id=1, method='lender.give', arguments={{'what': {what!r}}}, parent=call['id'])"
    assert _do(client, f"{ask}; heard_ = hear('done', 'failed'); done([heard_['type'], heard_.get('code')])") == [
        "failed", "malformed"
    ]  # fmt: skip
    assert _pid(client) == before


def test_arguments_that_no_line_can_tell_fail_that_call_alone(client: Client) -> None:
    _do(client, "done(0)")
    before = _pid(client)
    with pytest.raises(NotDone) as refused:
        _do(client, "done(0)", more=nested())
    assert refused.value.reason == "arguments"
    assert (_do(client, "done(1)"), _pid(client)) == (1, before)


@pytest.mark.parametrize("code", ["os.close(3)", "link.shutdown(2)", "link.shutdown(1)"])
def test_a_program_that_closes_its_descriptor_ends_its_run(kernel: Kernel, client: Client, code: str) -> None:
    begun = time.monotonic()
    with pytest.raises(NotDone, match=r"\(ended\)"):
        _do(client, f"{code}; time.sleep(60)", 15)
    assert time.monotonic() - begun < 10
    wait_for(lambda: is_down(client, "hostile"))
    assert "descriptor 3" in output_of(kernel, "hostile")


def test_a_program_that_ends_while_a_child_keeps_its_descriptor_ends_its_run(client: Client) -> None:
    with pytest.raises(NotDone, match="the program ended: exit code 3"):
        _do(client, "os._exit(3) if os.fork() else time.sleep(60)", 15)
    wait_for(lambda: is_down(client, "hostile"))


@pytest.mark.parametrize("number", ["KILL", "STOP", "SEGV", "INT", "CHLD", "USR1", "XCPU", "ALRM", "HUP"])
def test_no_signal_of_the_programs_harms_its_bridge(client: Client, number: str) -> None:
    _do(client, "done(0)")
    before = _pid(client)
    assert _do(client, f"os.kill(1, signal.SIG{number}); time.sleep(0.1); done(1)") == 1
    assert _pid(client) == before


def test_a_program_that_stops_its_run_by_term_is_stopped_in_order(client: Client) -> None:
    with pytest.raises(NotDone):
        _do(client, "os.kill(1, signal.SIGTERM); hear('nothing')", 15)
    wait_for(lambda: is_down(client, "hostile"))
    _is_up_again(client)


@pytest.mark.parametrize(
    "code",
    [
        "done(2**64 - 1)", "done(2**70)", "tell(type='done', id=call['id'], value=1, labels=['x' * 500])",
        "tell(type='done', id=call['id'], value=1, cost={'tokens': -1, 'micro_dollars': 0})",
        "tell(type='done', id=call['id'], value=1, cost={'tokens': 2**70, 'micro_dollars': 0})",
        "tell(type='failed', id=call['id'], code='x' * 5000, text='y' * 50000)",
        "tell(type='failed', id=call['id'], code='', text='', detail={'x' * 2000000: 1})",
        "done('x' * 2000000)", "tell(type='chunk', id=call['id'], piece='A' * 4000000); done(1)",
        "tell(type='progress', done=-5, total=2**70, text='x' * 5000, id=4); hear('done', 'failed'); done(1)",
        "tell(type='publish', name='../x', id=4); hear('done', 'failed'); done(1)",
        "tell(type='subscribe', event='\\x00', id=4); hear('done', 'failed'); done(1)",
        "tell(type='call', id=2**70, method='echo.say', timeout=-1, parent=call['id']); hear('failed'); done(1)",
        "tell(type='call', id=1, method='echo.say', timeout=1e300, parent=call['id']); hear('failed'); done(1)",
        "tell(type='call', id=1, method='echo.say', parent=2**70); hear('failed'); done(1)",
        "tell(type='call', id=1, method='echo.say', parent=-1); hear('failed'); done(1)",
        "tell(type='call', id=1, method='', resource='\\x00', parent=call['id']); hear('failed'); done(1)",
        "tell(type='call', id=1, method='echo.say', most={'tokens': -1, 'micro_dollars': -1}); hear('failed'); done(1)",
        "tell(type='cancel', id=77); tell(type='upload', id=77); tell(type='done', id=-1); done(1)",
        "raw(b'[' * 5000000 + b'\\n'); hear('nothing')", "raw(b'\\xff\\xfe\\n'); hear('nothing')",
        "raw(b'\\x00' * 100 + b'\\n'); hear('nothing')", "raw(b'\\n'); hear('nothing')",
        "[raw(b'{\"type\":\"log\",\"event\":\"x\"}\\n') for _ in range(5000)]; done(1)",
    ],
)  # fmt: skip
def test_whatever_it_says_its_call_has_an_end_and_the_next_is_answered(client: Client, code: str) -> None:
    begun, why = time.monotonic(), ""
    try:
        _do(client, code)
    except NotDone as error:
        why = str(error)
    assert "deadline" not in why
    assert time.monotonic() - begun < 8
    _is_up_again(client)


def test_nothing_gathers_for_a_program_that_does_not_read(kernel: Kernel, client: Client) -> None:
    bridge = _pid(client)
    with kernel.client() as other:
        held = threading.Thread(target=_fails, args=(other, "time.sleep(20)", 15.0))
        held.start()
        try:
            until(lambda: [row for row in runs(kernel, "hostile") if row["open"]], "it sleeps, and reads nothing more")
            before = _resident(bridge)
            for _ in range(40):
                _fails(client, "done(1)", 0.1, more="x" * 900_000)
            assert _resident(bridge) < before + (12 << 20)
        finally:
            client.call("kernel.stop", "hostile")
            held.join()
    _is_up_again(client)


@pytest.mark.wide
def test_nor_for_one_that_takes_back_what_it_asks_for_and_does_not_read(kernel: Kernel, client: Client) -> None:
    code = """
link.settimeout(2)
try:
    for number in range(1, 10**6):
        tell(type="call", id=number, method="kernel.sleep", arguments={"milliseconds": 60000}, parent=call["id"])
        tell(type="cancel", id=number)
except TimeoutError:
    print("it is held back", flush=True)
    time.sleep(60)
"""
    with kernel.client() as other:
        calling = threading.Thread(target=_fails, args=(other, code, 100.0))
        calling.start()
        try:
            wait_for(lambda: "it is held back" in output_of(kernel, "hostile"), 90)
        finally:
            client.call("kernel.stop", "hostile")
            calling.join()
    _is_up_again(client)


def _fails(client: Client, code: str, seconds: float, **more: object) -> None:
    with pytest.raises(NotDone):
        _do(client, code, seconds, **more)


def _resident(pid: int) -> int:
    """Bytes; 0 when it is gone."""
    try:
        return psutil.Process(pid).memory_info().rss
    except psutil.NoSuchProcess:
        return 0
