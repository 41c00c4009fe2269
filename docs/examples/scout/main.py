"""Notes a price that has changed, after asking: a task Hand in Python, with the calls that most Hands begin with."""

import re

from runtime import CallFailed, Failure, Hand


class Scout(Hand):
    async def run(self, page: str, target: str) -> object:
        found = re.search(r"Price: (\d+)", await self._fetched(page))
        if found is None:
            raise Failure("no price", f"{page} tells no price")  # expected: its caller gets code and text
        price, before = found[1], await self._remembered()
        await self.kernel.call("memory.set", "own", key="price", value=price)
        if price == before:
            return {"price": price, "noted": False}
        question = f"The price is {price}{f', and was {before}' if before else ''}. Note it?"
        answer = await self.kernel.call("ask.person", question=question, choices=["yes", "no"])  # for days, if need be
        match answer.value:
            case {"answer": "yes"}:
                await self.kernel.call("files.write", target, text=f"{self.now():%Y-%m-%d} {price}\n")
                return {"price": price, "noted": True}
        return {"price": price, "noted": False}

    async def _fetched(self, page: str) -> str:
        """What comes in pieces is read from a stream, whose value are the status and the headers; a `call` of it fails."""
        async with self.kernel.stream("web.fetch", page) as stream:
            return b"".join([piece async for piece in stream]).decode()

    async def _remembered(self) -> object:
        try:
            reply = await self.kernel.call("memory.get", "own", key="price")
        except CallFailed as failed:
            if failed.code != "absent":
                raise
            return None
        match reply.value:
            case {"value": value}:
                return value
        return None
