"""Two small jobs of a pipeline, each a run of its own: samples into a CSV, and a page from a CSV."""

import csv
import io

from runtime import Failure, Hand

METRICS = ("cpu_percent", "memory_percent", "load_per_core")


class Clerk(Hand):
    async def run(self, job: str, path: str, source: str = "") -> object:
        match job:
            case "sample":
                return await self._sample(path)
            case "report":
                return await self._report(source, path)
        raise Failure("arguments", "job is sample or report")

    async def _sample(self, path: str) -> object:
        rows = []
        for number, metric in enumerate(METRICS, 1):
            reply = await self.kernel.call("monitoring.history", "machine", metric=metric, since="1m", points=30)
            points = reply.value["points"] if isinstance(reply.value, dict) else []
            rows += [(metric, point["time"], point["mean"]) for point in _tables(points)]
            await self.progress(number, len(METRICS), metric)
            await self.sleep(1.0)
        text = io.StringIO()
        csv.writer(text).writerows([("metric", "time", "mean"), *rows])
        await self._write(path, text.getvalue())
        return {"path": path, "rows": len(rows)}

    async def _report(self, source: str, path: str) -> object:
        async with self.kernel.stream("files.read", source) as stream:
            text = b"".join([piece async for piece in stream]).decode()
        rows = list(csv.DictReader(text.splitlines()))
        lines = [f"| {row['metric']} | {float(row['least']):.1f} | {float(row['most']):.1f} |" for row in rows]
        page = "\n".join(["| over a minute | least | most |", "|---|---:|---:|", *lines])
        await self._write(path, page + "\n")
        return {"path": path, "text": page}

    async def _write(self, path: str, text: str) -> None:
        async with self.kernel.stream("files.write", path, upload=True) as stream:
            await stream.send(text.encode())
            await stream.finish()
            async for _ in stream:
                pass


def _tables(value: object) -> list[dict[str, object]]:
    """The tables of a list that another Hand sent."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
