"""The life of a run: joined, ready, at work, stopped, in the order that the kernel relies on."""

import os
import signal
from contextlib import suppress

import pytest
import zmq

from tests.runtime.peer import Peer, provided
from wire import codec, headers, limits

ECHO = """
    import asyncio
    from runtime import Call, Hand

    class Test(Hand):
        async def say(self, call: Call, text: str) -> dict[str, object]:
            return {"text": text}

        async def ask(self, call: Call) -> object:
            return (await self.kernel.call("other.method", "a/b", size=3)).value

        async def ask_two(self, call: Call) -> object:
            replies = await asyncio.gather(self.kernel.call("one.m"), self.kernel.call("two.m"))
            return [reply.value for reply in replies]

        async def ask_later(self, call: Call) -> None:
            self.in_background(self.later())

        async def later(self) -> None:
            await self.kernel.call("later.m")

        async def fall_later(self, call: Call) -> None:
            self.in_background(self.fall())

        async def fall(self) -> None:
            await self.kernel.call("later.m")
            1 / 0

        async def wait(self, call: Call) -> None:
            await asyncio.Event().wait()

        async def linger(self, call: Call) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await self.kernel.call("last.word")

        async def leave(self, call: Call) -> None:
            raise SystemExit("enough")

        async def spin(self, call: Call) -> None:
            while True:
                await asyncio.sleep(0)

        async def stop(self) -> None:
            print("stopped in order", flush=True)
"""
PROVIDES = (
    provided("test.say", text="string"),
    *map(
        provided,
        (
            "test.ask",
            "test.ask-two",
            "test.ask-later",
            "test.fall-later",
            "test.wait",
            "test.linger",
            "test.leave",
            "test.spin",
        ),
    ),
)


def test_a_hand_of_a_few_lines_answers_a_call(peer: Peer) -> None:
    peer.launch(ECHO, provides=PROVIDES).ready()
    assert peer.answer("test.say", text="hello") == {"text": "hello"}
    assert peer.stop() == 0
    assert "stopped in order" in peer.log.read_text()


def test_a_call_made_while_answering_names_it_as_its_parent(peer: Peer) -> None:
    peer.launch(ECHO, provides=PROVIDES).ready()
    number = peer.call("test.ask")
    call, arguments = peer.expect(headers.Call)
    assert (call.number, call.method, call.resource, call.parent) == (1, "other.method", "a/b", number)
    assert arguments == {"size": 3}
    peer.send(headers.Done(number=1), {"n": 4})
    assert peer.expect(headers.Done) == (headers.Done(number=number), {"n": 4})


def test_the_parent_goes_with_tasks_made_while_answering_and_not_with_background_work(peer: Peer) -> None:
    peer.launch(ECHO, provides=PROVIDES).ready()
    first, second = peer.call("test.ask-two"), peer.call("test.ask-two")
    parents = [peer.expect(headers.Call)[0].parent for _ in range(4)]
    assert parents == [first, first, second, second]
    peer.call("test.ask-later")
    seen = [peer.next()[0], peer.next()[0]]
    (later,) = (header for header in seen if isinstance(header, headers.Call))
    assert later.parent == 0


def test_calls_are_answered_beside_each_other(peer: Peer) -> None:
    peer.launch(ECHO, provides=PROVIDES).ready()
    waiting = peer.call("test.ask")
    peer.expect(headers.Call)
    assert peer.answer("test.say", text="meanwhile") == {"text": "meanwhile"}
    peer.send(headers.Done(number=1), "late")
    assert peer.expect(headers.Done) == (headers.Done(number=waiting), "late")


@pytest.mark.parametrize("how", ["Stop", "SIGTERM"])
def test_stopping_cancels_what_is_open_and_lets_the_hand_stop(peer: Peer, how: str) -> None:
    peer.launch(ECHO, provides=PROVIDES).ready()
    numbers = {peer.call("test.wait"), peer.call("test.wait")}
    peer.answer("test.say", text="both have begun")
    if how == "Stop":
        peer.send(headers.Stop(why="enough", grace=5_000))
    else:
        assert peer.process is not None
        os.kill(peer.process.pid, signal.SIGTERM)
    assert {peer.expect(headers.Cancelled)[0].number for _ in numbers} == numbers
    bye, _ = peer.expect(headers.Bye)
    assert bye.why == ("enough" if how == "Stop" else "SIGTERM")
    assert peer.exit_code() == 0
    assert "stopped in order" in peer.log.read_text()


def test_a_call_that_crosses_a_stop_is_left_to_the_next_run(peer: Peer) -> None:
    peer.launch(ECHO, provides=PROVIDES).ready()
    lingering = peer.call("test.linger")
    peer.send(headers.Stop(why="enough", grace=5_000))
    last, _ = peer.expect(headers.Call)
    peer.call("test.say", text="too late")
    peer.send(headers.Done(number=last.number))
    assert peer.expect(headers.Cancelled)[0].number == lingering
    with suppress(zmq.ZMQError):  # its link may be closed by now
        peer.call("test.say", text="later still")
    peer.expect(headers.Bye)
    assert peer.exit_code() == 0
    assert peer.records() == []


def test_a_hand_that_spins_still_hears_a_stop(peer: Peer) -> None:
    peer.launch(ECHO, provides=PROVIDES).ready()
    number = peer.call("test.spin")
    peer.send(headers.Stop(why="enough", grace=5_000))
    assert peer.expect(headers.Cancelled)[0].number == number
    peer.expect(headers.Bye)
    assert peer.exit_code() == 0


def test_a_stop_during_start_ends_the_start(peer: Peer) -> None:
    peer.launch("""
        from runtime import Hand

        class Test(Hand):
            async def start(self) -> None:
                await self.kernel.call("slow.method")

            async def stop(self) -> None:
                print("never begun, never stopped")
    """)
    peer.expect(headers.Call)
    peer.send(headers.Stop(why="enough", grace=5_000))
    assert peer.expect(headers.Cancel)[0].number == 1
    peer.expect(headers.Bye)
    assert peer.exit_code() == 0
    assert "never" not in peer.log.read_text()


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("async def start(self): raise ValueError('no target')", "ValueError: no target"),
        ("import not_there", "ModuleNotFoundError: No module named 'not_there'"),
        ("this is no python", "SyntaxError: "),
        ("def __init__(self): self.settings['gone']", "KeyError: 'gone'"),
        (
            "async def start(self): self.in_background(self.fall())\n    async def fall(self): 1 / 0",
            "ZeroDivisionError",
        ),
    ],
)
def test_a_hand_that_cannot_start_says_why_and_exits_with_1(peer: Peer, source: str, why: str) -> None:
    peer.launch("from runtime import Hand\nclass Test(Hand):\n    " + source)
    header, _ = peer.next()
    bye = peer.next()[0] if isinstance(header, headers.Ready) else header
    assert isinstance(bye, headers.Bye)
    assert bye.why.startswith(why)
    assert peer.exit_code() == 1
    (record,) = peer.records()
    assert why in str(record["exception"])


def test_an_exception_that_is_a_bug_of_the_whole_run_ends_it(peer: Peer) -> None:
    peer.launch(ECHO, provides=PROVIDES).ready()
    peer.call("test.leave")
    failed, _ = peer.expect(headers.Failed)
    assert (failed.code, failed.text) == ("raised", "SystemExit: enough")
    peer.expect(headers.Bye)
    assert peer.exit_code() == 1


def test_background_work_that_raises_ends_the_run_and_lets_the_hand_stop(peer: Peer) -> None:
    peer.launch(ECHO, provides=PROVIDES).ready()
    waiting = peer.call("test.wait")
    peer.answer("test.fall-later")
    later, _ = peer.expect(headers.Call)
    peer.send(headers.Done(number=later.number))
    failed, _ = peer.expect(headers.Failed)
    assert (failed.number, failed.code) == (waiting, "ended")
    assert peer.expect(headers.Bye)[0].why.startswith("ZeroDivisionError")
    assert peer.exit_code() == 1
    assert "stopped in order" in peer.log.read_text()
    assert len(peer.records()) == 1


TASK = """
    from runtime import Failure, Hand

    class Test(Hand):
        async def run(self, name: str, times: int = 1) -> object:
            if times > 9:
                raise Failure("too many", "at most 9", most=9)
            return name * (times // times)
"""


def test_a_task_does_its_one_work_and_stops(peer: Peer) -> None:
    peer.launch(TASK, kind="task").ready()
    assert peer.answer("run", name="x") == "x"
    assert peer.stop() == 0


def test_a_task_that_fails_on_purpose_tells_its_code_and_exits_with_0(peer: Peer) -> None:
    peer.launch(TASK, kind="task").ready()
    peer.call("run", name="x", times=10)
    failed, detail = peer.expect(headers.Failed)
    assert (failed.code, failed.text, detail) == ("too many", "at most 9", {"most": 9})
    assert peer.stop() == 0
    assert peer.records() == []


def test_a_task_that_raises_tells_one_line_logs_the_traceback_and_exits_with_1(peer: Peer) -> None:
    peer.launch(TASK, kind="task").ready()
    peer.call("run", name="x", times=0)
    failed, _ = peer.expect(headers.Failed)
    assert failed.code == "raised"
    assert failed.text.startswith("ZeroDivisionError: ")
    assert "\n" not in failed.text
    assert peer.stop() == 1
    (record,) = peer.records()
    assert 'File "test/main.py", line 8, in run\n    return name * (times // times)' in str(record["exception"])


@pytest.mark.parametrize("inputs", [{}, {"name": "x", "size": 3}])
def test_inputs_that_run_does_not_take_are_refused_before_it_begins(peer: Peer, inputs: dict[str, object]) -> None:
    peer.launch(TASK, kind="task").ready()
    peer.send(headers.Call(number=2, method="run"), inputs)
    failed, _ = peer.expect(headers.Failed)
    assert failed.code == "arguments"
    assert next(iter(inputs.keys() - {"name"}), "name") in failed.text


ENDINGS = {
    "no message": (b"junk", b"\xc0"),
    "a message of one frame": (codec.encode(headers.Stop(why="", grace=0)),),
    "a message of three frames": (codec.encode(headers.Stop(why="", grace=0)), b"\xc0", b"\xc0"),
    "a message for the other direction": (codec.encode(headers.Ready()), b"\xc0"),
    "a second Hello": (codec.encode(headers.Hello(version=1)), b"\xc0"),
    "a call under a run's number": (codec.encode(headers.Call(number=3, method="test.say")), b"\xc0"),
    "a call under no number": (codec.encode(headers.Call(number=0, method="test.say")), b"\xc0"),
    "an end of no call": (codec.encode(headers.Done(number=9)), b"\xc0"),
    "a chunk of no call": (codec.encode(headers.Chunk(number=9)), b"\xc4\x00"),
    "more than a message may hold": (codec.encode(headers.Stop(why="", grace=0)), b"x" * (limits.BODY_MAX + 65)),
}


@pytest.mark.parametrize("frames", ENDINGS.values(), ids=ENDINGS)
def test_one_hostile_message_ends_the_run_with_75_and_a_line(peer: Peer, frames: tuple[bytes, ...]) -> None:
    peer.launch(ECHO, provides=PROVIDES).ready()
    peer.send_raw(*frames)
    assert peer.exit_code() == 75
    (record,) = peer.records()
    assert record["event"] == "the link to the kernel was lost"
    assert record["why"]


def test_a_call_delivered_twice_ends_the_run(peer: Peer) -> None:
    peer.launch(ECHO, provides=PROVIDES).ready()
    number = peer.call("test.wait")
    peer.send(headers.Call(number=number, method="test.wait"))
    assert peer.exit_code() == 75


def test_a_body_that_is_no_body_is_its_senders_fault_and_ends_nothing(peer: Peer) -> None:
    peer.launch(ECHO, provides=PROVIDES).ready()
    peer.send_raw(codec.encode(headers.Call(number=100, method="test.say")), b"\xc1")
    assert peer.expect(headers.Failed)[0].code == "arguments"
    peer.send_raw(codec.encode(headers.Call(number=102, method="test.say")), b"\x93\x01\x02\x03")
    assert peer.expect(headers.Failed)[0].code == "arguments"
    assert peer.answer("test.say", text="still here") == {"text": "still here"}


def test_a_kernel_that_goes_away_ends_the_run_with_75(peer: Peer) -> None:
    peer.launch(ECHO, provides=PROVIDES).ready()
    peer.router.close()
    assert peer.exit_code() == 75
    (record,) = peer.records()
    assert record["event"] == "the link to the kernel was lost"


def test_a_hello_that_is_not_answered_by_one_ends_the_run_with_75(peer: Peer) -> None:
    peer.launch_only(ECHO, PROVIDES)
    peer.expect(headers.Hello)
    peer.send(headers.Stop(why="no", grace=0))
    assert peer.exit_code() == 75
    (record,) = peer.records()
    assert record["event"] == "the bus could not be joined"


def test_a_kernel_with_another_key_is_not_joined(peer: Peer) -> None:
    peer.public = b"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
    peer.launch_only(ECHO, PROVIDES)
    assert peer.exit_code() == 75
    (record,) = peer.records()
    assert record["event"] == "the bus could not be joined"


def test_the_next_message_is_taken_when_nothing_else_can_go_on(peer: Peer) -> None:
    peer.launch(
        """
        import asyncio
        from runtime import Hand

        class Test(Hand):
            async def go(self, call):
                seen = []
                async def one(method, steps):
                    await self.kernel.call(method)
                    for step in range(steps):
                        seen.append(f"{method} {step}")
                        await asyncio.sleep(0)
                await asyncio.gather(one("a.m", 5), one("b.m", 2))
                return seen
        """,
        provides=(provided("test.go"),),
    ).ready()
    peer.call("test.go")
    numbers = [peer.expect(headers.Call)[0].number for _ in range(2)]
    for number in numbers:
        peer.send(headers.Done(number=number))
    assert peer.expect(headers.Done)[1] == [*(f"a.m {n}" for n in range(5)), *(f"b.m {n}" for n in range(2))]
