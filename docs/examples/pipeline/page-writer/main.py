"""Writes one page, or takes one away: a task Hand, of which the pipeline beside it makes several runs at once."""

import csv

from runtime import Failure, Hand


class PageWriter(Hand):
    async def run(self, source: str = "", kind: str = "", target: str = "", remove: str = "") -> object:
        if remove:
            await self.kernel.call("files.delete", remove)
            return {"removed": remove}
        months = [row for row in csv.DictReader((await self._read(source)).splitlines()) if row["weather"] == kind]
        if not months:
            raise Failure("no rows", f"there was no {kind}")
        lines = [f"# {kind}", "", *(f"{row['month']:>2}: {row['days']} days" for row in months)]
        await self._write(target, "\n".join(lines) + "\n")
        return {"path": target, "days": sum(int(row["days"]) for row in months)}

    async def _read(self, path: str) -> str:
        async with self.kernel.stream("files.read", path) as stream:
            return b"".join([piece async for piece in stream]).decode()

    async def _write(self, path: str, text: str) -> None:
        async with self.kernel.stream("files.write", path, upload=True, make_folders=True) as stream:
            await stream.send(text.encode())
            await stream.finish()
            async for _ in stream:
                pass
