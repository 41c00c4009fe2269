"""The Hand `data-pipeline`: one run does one job, from source to target; it touches files only by files.* calls (acts).

Inputs are spec=PATH of a spec file, or source=PATH target=PATH table=…, or both: inputs override the file. README.md lists
the keys. This module joins the parts and turns their errors into the run's end.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Final

from pipeline_check import SPEC_MAX, check_inputs, check_text
from pipeline_errors import JobFailed, SpecInvalid
from pipeline_files import Files
from pipeline_job import Bench, Job
from pipeline_look import ROWS_MAX, preview, problems_of
from pipeline_replies import problem_facts
from pipeline_scratch import SCRATCH_FAULT
from pipeline_spec import Spec
from runtime import Call, CallRefused, Failure, Hand

PREVIEW_ROWS: Final = 20
TELL_SECONDS: Final = 1.0
"""Least time between two progress reports."""


class DataPipeline(Hand):
    """Task: does one job. Provides data-pipeline.check and data-pipeline.preview."""

    async def start(self) -> None:
        """Lets SQLite put its temporary files into the scratch folder; nothing else is writable."""
        os.environ["SQLITE_TMPDIR"] = str(self.scratch)
        self._reported = 0.0

    async def run(self, **inputs: object) -> object:
        """Does the job that the inputs describe. Returns its result and publishes `loaded`."""
        with _as_failures(), self._folder() as folder:
            path = inputs.pop("spec", None)
            if path is None:
                spec = check_inputs(inputs, rejects=self._rejects())
            else:
                spec = await self._spec(str(path), inputs)
            with self._bench(spec, folder) as bench:
                result = await Job(bench).run()
        target = result["target"]
        assert isinstance(target, dict)
        event = {name: result[name] for name in ("name", "rows_read", "rows_written", "rows_rejected")}
        body = {**event, "target": target["path"], "table": target["table"], "sha256": target["sha256"]}
        try:
            await self.publish("loaded", body)
        except CallRefused as refused:  # its parent may not publish it; the job is done all the same
            self.log.warning("the event was not published", why=str(refused))
        self.log.info("loaded", **event, target=target["path"])
        return result

    async def check(self, call: Call) -> dict[str, object]:
        """data-pipeline.check: all problems of a spec file. Writes nothing."""
        with _as_failures(), self._folder() as folder:
            try:
                spec = await self._spec(call.resource, {})
            except SpecInvalid as invalid:
                problems = problem_facts(invalid.problems)
                return {"ok": False, "problems": problems, "columns": [], "schema": [], "notes": []}
            with self._bench(spec, folder) as bench:
                return await problems_of(bench)

    async def preview(self, call: Call, rows: int = PREVIEW_ROWS) -> dict[str, object]:
        """data-pipeline.preview: the first rows that the job would load. Writes nothing."""
        if not 1 <= rows <= ROWS_MAX:
            raise Failure("arguments", f"rows must be between 1 and {ROWS_MAX}.")
        with _as_failures(), self._folder() as folder:
            spec = await self._spec(call.resource, {})
            with self._bench(spec, folder) as bench:
                return await preview(bench, rows)

    async def _spec(self, path: str, inputs: Mapping[str, object]) -> Spec:
        raw = await Files(self.kernel).read(path, SPEC_MAX)
        return check_text(raw, inputs, rejects=self._rejects())

    def _bench(self, spec: Spec, folder: Path) -> Bench:
        now = self.now().isoformat(timespec="seconds").replace("+00:00", "Z")
        return Bench(spec, Files(self.kernel), folder, now=now, report=self._report)

    def _rejects(self) -> str:
        return str(self.settings["reject_at_most"])

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """Makes an empty folder for the duration of the block."""
        folder = Path(self.scratch) / "job"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def _report(self, done: int, total: int, text: str) -> None:
        now = monotonic()
        if now - self._reported >= TELL_SECONDS:
            self._reported = now
            await self.progress(done, total, text)


@contextmanager
def _as_failures() -> Iterator[None]:
    """Turns the job's errors into the run's Failed."""
    try:
        yield
    except SpecInvalid as invalid:
        raise Failure("spec", str(invalid), problems=problem_facts(invalid.problems)) from None
    except JobFailed as failed:
        raise Failure(failed.code, failed.text, **failed.detail) from None
    except SCRATCH_FAULT as error:
        raise Failure("files", f"the scratch folder's database: {error}.") from error
    except OSError as error:
        raise Failure("files", f"the scratch folder: {error.strerror or error}.") from error
