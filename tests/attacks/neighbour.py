"""The Hands that attacks must not affect: a service with secrets, and a task that any Hand may spawn.

An attack may learn only what the neighbour's methods return; tests also inspect its process.
"""

from typing import Final

from tests.living import Source

SECRET: Final = "what only the neighbour knows"

NEIGHBOUR: Final = Source(
    """
[hand]
name = "neighbour"
version = "1.0.0"
description = "Answers, and has secrets."
entry = "main:Neighbour"
kind = "service"
autonomy = "full"
idle = "1h"

[provides."neighbour.say"]
summary = "Say it back"
resource = "none"
effect = "read"
params = { text = "string" }

[provides."neighbour.signals"]
summary = "How many signals came"
resource = "none"
effect = "read"

[provides."neighbour.hold"]
summary = "Answer when told to"
resource = "none"
effect = "read"
params = { milliseconds = "int" }

[provides."neighbour.read"]
summary = "Read what lies under a name"
resource = "path"
effect = "read"

[limits]
in_flight = 64
wall = "10m"
""",
    f'''
import asyncio
import signal

from runtime import Call, Hand


class Neighbour(Hand):
    async def start(self):
        self.count = 0
        signal.signal(signal.SIGURG, self.hear)
        for folder in (self.scratch, self.state):
            (folder / "secret").write_text("{SECRET}")

    def hear(self, *_):
        self.count += 1

    async def say(self, call: Call, text: str):
        return {{"text": text}}

    async def signals(self, call: Call):
        return self.count

    async def hold(self, call: Call, milliseconds: int):
        await asyncio.sleep(milliseconds / 1000)
        return "held"

    async def read(self, call: Call):
        return {{"read": call.resource}}
''',
)

BYSTANDER: Final = Source(
    """
[hand]
name = "bystander"
version = "1.0.0"
description = "Waits a little."
entry = "main:Bystander"
kind = "task"
autonomy = "full"
""",
    """
import asyncio

from runtime import Hand


class Bystander(Hand):
    async def run(self):
        await asyncio.sleep(3)
""",
)
