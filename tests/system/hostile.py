"""Two sealed Hands that mean no good: a task that does to its link what it is told, a service that answers wrongly."""

from tests.living import Source

PUPPET = Source(
    """
[hand]
name = "puppet"
version = "1.0.0"
description = "Does to its link what its script says."
entry = "main:Puppet"
kind = "task"
autonomy = "full"

[capabilities]
"echo.say" = ["*"]
"odd.*" = ["*"]
"kernel.spawn" = ["puppet"]
"kernel.subscribe" = ["puppet.*"]
"kernel.publish" = ["puppet.*"]

[events]
publishes = ["noise"]
subscribes = ["puppet.noise"]

[limits]
memory = "1GiB"
calls_per_minute = 300
in_flight = 16
wall = "2m"
""",
    '''
import ctypes, gc, time, zmq
from pathlib import Path
from runtime import Hand
from wire import codec, headers


class Puppet(Hand):
    async def run(self, steps: list) -> dict[str, object]:
        """Steps: ["send", frames…], ["many", times, frames…], ["take", messages], ["key"], ["leak"],
        ["wait", file in its scratch], ["endless", frames of 1 MiB]; what was taken."""
        socket, got = self.kernel._calls._link._socket, []
        for step, *rest in steps:
            if step == "send":
                self.send(socket, rest)
            elif step == "many":
                for _ in range(rest[0]):
                    self.send(socket, rest[1:])
            elif step == "take":
                for _ in range(rest[0]):
                    got.append(self.take(socket))
            elif step == "key":
                got.append(self.key())
            elif step == "until":
                while not (message := self.take(socket))[0].startswith(rest[0]):
                    got.append(message)
                got.append(message)
            elif step == "done":  # its own work, with any bytes
                work = [one for one in gc.get_objects() if type(one).__name__ == "Serving"][0]._open
                socket.send(codec.encode(headers.Done(number=next(iter(work)))), zmq.SNDMORE)
                socket.send(rest[0], 0)
            elif step == "leak":
                Path("key").write_bytes(b"".join(self.key()))
                Path("key").rename("leaked")
            elif step == "endless":
                self.send_endlessly(socket, rest[0])
            elif step == "wait":
                while not Path(rest[0]).exists():
                    time.sleep(0.002)
        return {"got": got}

    def send_endlessly(self, socket, frames):
        """One message, whose frames share one piece of memory: pyzmq would need a context more, which no run can make."""
        (path,) = Path(zmq.__file__).parent.parent.glob("pyzmq.libs/libzmq*")
        library, message = ctypes.CDLL(str(path)), ctypes.create_string_buffer(64)
        self.frame = bytes(1024 * 1024)  # kept: it is sent after this has returned
        for _ in range(frames):
            library.zmq_msg_init_data(message, self.frame, ctypes.c_size_t(len(self.frame)), None, None)
            library.zmq_msg_send(message, ctypes.c_void_p(socket.underlying), zmq.SNDMORE)
        socket.send(b"", 0)

    def key(self):
        """The pair that its link proves it by, found in its own memory."""
        (start,) = [one for one in gc.get_objects() if type(one).__name__ == "Start"]
        return [start.public, start.secret]

    def send(self, socket, frames):
        frames = [one if isinstance(one, bytes) else one[0].ljust(one[2], one[1]) for one in frames]
        for frame in frames[:-1]:
            socket.send(frame, zmq.SNDMORE)
        socket.send(frames[-1], 0)

    def take(self, socket):
        frames = [socket.recv(0)]
        while socket.get(zmq.RCVMORE):
            frames.append(socket.recv(0))
        return frames
''',
)

ODD = Source(
    """
[hand]
name = "odd"
version = "1.0.0"
description = "Answers in every way but the right one."
entry = "main:Odd"
kind = "service"
autonomy = "full"

[limits]
in_flight = 4
wall = "10m"

[restart]
when = "failure"
times = 1000
within = "1h"
"""
    + "".join(
        f"""
[provides."odd.{name}"]
summary = "{name}"
resource = "none"
effect = "{effect}"
params = {{ {params} }}
"""
        for name, effect, params in (
            ("good", "read", ""),
            ("never", "read", ""),
            ("deaf", "read", ""),
            ("twice", "read", ""),
            ("frames", "external", 'frames = "list", linger = "bool"'),
            ("stream", "read", 'chunks = "int", size = "int"'),
            ("greedy", "read", ""),
            ("swallow", "read", ""),
            ("costly", "read", 'tokens = "int"'),
            ("labelled", "read", 'first = "int", count = "int"'),
            ("die", "read", ""),
            ("die-once", "read", ""),
            ("die-external", "external", ""),
            ("die-streaming", "read", ""),
            ("die-after", "read", ""),
            ("bye", "read", ""),
            ("nest", "read", 'milliseconds = "int"'),
            ("orphan", "read", ""),
            ("time-left", "read", ""),
        )
    ),
    '''
import asyncio, os, zmq
from runtime import Call, Hand
from wire import codec, headers


class Odd(Hand):
    @property
    def link(self):
        return self.kernel._calls._link

    async def good(self, call):
        return {}

    async def never(self, call):
        await asyncio.Event().wait()

    async def deaf(self, call):
        """Answers Done after it was cancelled."""
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return {"late": True}

    async def twice(self, call):
        for _ in range(3):
            self.link.send(headers.Done(number=call.number), codec.encode_body("first"))
        return "second"

    async def frames(self, call, frames, linger):
        """Sends whatever is asked; then answers, or never does."""
        for frame in frames[:-1]:
            self.link._socket.send(frame, zmq.SNDMORE)
        self.link._socket.send(frames[-1], 0)
        if linger:
            await asyncio.Event().wait()
        return {}

    async def stream(self, call, chunks, size):
        for _ in range(chunks):
            await call.send(bytes(size))
        return {"chunks": chunks}

    async def greedy(self, call):
        """Sends on without credit."""
        for _ in range(100):
            self.link.send(headers.Chunk(number=call.number), codec.encode_body(b"x"))
        await asyncio.Event().wait()

    async def swallow(self, call):
        """Reads an upload to its end."""
        size = 0
        async for chunk in call.upload:
            size += len(chunk)
        return {"size": size}

    async def costly(self, call, tokens):
        call.cost(tokens=tokens, micro_dollars=tokens)
        return {}

    async def labelled(self, call, first, count):
        call.add_labels(*(f"label-{first + number}" for number in range(count)))
        return {}

    async def die(self, call):
        os._exit(9)

    async def die_once(self, call):
        mark = self.state / "died"
        if not mark.exists():
            mark.touch()
            os._exit(3)
        mark.unlink()
        return {"again": True}

    async def die_external(self, call):
        os._exit(3)

    async def die_streaming(self, call):
        await call.send(b"a piece")
        await call.send(b"another")
        await asyncio.sleep(0.05)
        os._exit(3)

    async def die_after(self, call):
        self.link.send(headers.Done(number=call.number), codec.encode_body("done"))
        self.link.close()
        os._exit(3)

    async def nest(self, call, milliseconds):
        """Makes a call that would take so long, with a deadline of its own that is later."""
        reply = await self.kernel.call("kernel.sleep", "", timeout=600, milliseconds=milliseconds)
        return {"slept": reply.value}

    async def orphan(self, call):
        """Makes a call that it never takes back."""
        header = headers.Call(number=90_001, method="kernel.sleep", parent=call.number, deadline=600_000)
        self.link.send(header, codec.encode_body({"milliseconds": 600_000}))
        await asyncio.Event().wait()

    async def time_left(self, call):
        return {"milliseconds": call.deadline}

    async def bye(self, call):
        """Says Bye, and Hello again on the same connection, and lives on."""
        self.link.send(headers.Bye())
        self.link.send(headers.Hello(version=1))
        self.link.send(headers.Call(number=10001, method="kernel.note"), codec.encode_body({"text": "back from Bye"}))
        await asyncio.Event().wait()
''',
)
