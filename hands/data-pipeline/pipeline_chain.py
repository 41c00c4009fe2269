"""Drives the steps of a job (pure): takes rows in at the front and yields them as soon as they are done.

Steps report rows, not times: a task's clock moves only with its messages, so no step takes any; and real time would differ
at each replay of a run, whose end would then not match the recorded one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pipeline_rows import Batch, Column, Ledger
from pipeline_steps import Stepping


@dataclass(slots=True)
class Link:
    """A step in the chain, with its counts. name: such as "2 derive"."""

    name: str
    step: Stepping
    rows_in: int = 0
    rows_out: int = 0


@dataclass(slots=True)
class Chain:
    """The steps in order. columns: of the rows that come out."""

    columns: tuple[Column, ...]
    links: list[Link] = field(default_factory=list)

    def feed(self, batch: Batch, ledger: Ledger) -> Iterator[Batch]:
        """Takes rows of the source; yields rows for the target."""
        return self._through(batch, 0, ledger)

    def finish(self, ledger: Ledger) -> Iterator[Batch]:
        """Ends the input; yields the rows that steps held back."""
        for at, link in enumerate(self.links):
            for batch in self._each(link, link.step.finish(ledger)):
                yield from self._through(batch, at + 1, ledger)

    def _through(self, batch: Batch, at: int, ledger: Ledger) -> Iterator[Batch]:
        if not batch.size:
            return
        if at == len(self.links):
            yield batch
            return
        link = self.links[at]
        link.rows_in += batch.size
        for given in self._each(link, link.step.feed(batch, ledger)):
            yield from self._through(given, at + 1, ledger)

    def _each(self, link: Link, batches: Iterable[Batch]) -> Iterator[Batch]:
        for batch in batches:
            link.rows_out += batch.size
            yield batch
