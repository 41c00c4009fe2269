"""The steps of a job, driven (pure): rows go in at the front and come out as far as they are done; time is counted."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter_ns
from typing import TypeVar

from pipeline_rows import Batch, Column, Ledger
from pipeline_steps import Stepping

_T = TypeVar("_T")


@dataclass(slots=True)
class Link:
    """One step in the chain and what it did. name: such as "2 derive"; nanoseconds: spent in it alone."""

    name: str
    step: Stepping
    rows_in: int = 0
    rows_out: int = 0
    nanoseconds: int = 0

    def timed(self, work: Callable[[], _T]) -> _T:
        """Does the work and counts its time."""
        begun = perf_counter_ns()
        try:
            return work()
        finally:
            self.nanoseconds += perf_counter_ns() - begun


@dataclass(slots=True)
class Chain:
    """columns: of the rows that come out."""

    columns: tuple[Column, ...]
    links: list[Link] = field(default_factory=list)

    def feed(self, batch: Batch, ledger: Ledger) -> Iterator[Batch]:
        """Rows of the source; gives rows for the target."""
        return self._through(batch, 0, ledger)

    def finish(self, ledger: Ledger) -> Iterator[Batch]:
        """The source has no more rows; gives those that waited."""
        for at, link in enumerate(self.links):
            waited = link.timed(partial(link.step.finish, ledger))
            for batch in self._each(link, waited):
                yield from self._through(batch, at + 1, ledger)

    def _through(self, batch: Batch, at: int, ledger: Ledger) -> Iterator[Batch]:
        if not batch.size:
            return
        if at == len(self.links):
            yield batch
            return
        link = self.links[at]
        link.rows_in += batch.size
        done = iter(link.timed(partial(link.step.feed, batch, ledger)))
        for given in self._each(link, done):
            yield from self._through(given, at + 1, ledger)

    def _each(self, link: Link, batches: Iterator[Batch]) -> Iterator[Batch]:
        while (batch := link.timed(partial(next, batches, None))) is not None:
            link.rows_out += batch.size
            yield batch
