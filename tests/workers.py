"""A pytest plugin that runs several files of tests at a time (acts): `-n 5` forks five workers from one collection.

All tests are collected once. Then each worker takes one whole file after another, in their order, from a queue that all
share: a pipe that holds the files' numbers. So what a file's tests share is made once, and its tests keep their order.
Workers send their reports as lines of JSON, each through a pipe of its own, and pytest shows them as if it had run the tests.

When a worker ends early, the rest of its file is reported as failed. With -x, workers stop after their running test.
"""

import json
import mmap
import os
import random
import selectors
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import groupby
from pathlib import Path
from typing import IO, Final, NoReturn

import pytest
from _pytest.capture import CaptureManager
from _pytest.reports import TestReport
from _pytest.runner import SetupState
from _pytest.tmpdir import TempPathFactory

from tests.turns import Turns

THIS_FILE: Final = Path(__file__)
TURNS: Final = Turns(THIS_FILE, THIS_FILE.parent)

_NUMBER_BYTES: Final = 4
_PARENTS_PLUGINS: Final = ("terminalreporter", "lfplugin", "nfplugin", "stepwiseplugin")
"""What pytest itself does with the reports of all workers, and a worker must not do with its own."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Define -n, by the way that plugins have for a lower-case letter."""
    group = parser.getgroup("workers")
    group._addoption(
        "-n", dest="workers", type=int, default=0, help="run as many files of tests at a time; 0: no workers"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run all tests in workers, unless there are to be none: then pytest's own loop does."""
    option = session.config.option
    failed = session.testsfailed and not option.continue_on_collection_errors
    if option.workers < 1 or option.collectonly or option.usepdb or failed:
        return None
    _Workers(session, option.workers).run()
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)
    return True


class _Workers:
    """The workers of a session, seen from the process that forked them."""

    def __init__(self, session: pytest.Session, count: int) -> None:
        self._session, self._config = session, session.config
        self._files = [list(items) for _, items in groupby(session.items, lambda item: item.path)]
        self._unfinished = {item.nodeid: item for item in session.items}
        self._count = min(count, len(self._files))
        self._stop = mmap.mmap(-1, 1)  # shared with the workers; its byte is 1 once they shall stop

    def run(self) -> None:
        """Fork the workers, pass on what they report until all have ended, and report what they have not run."""
        queue, writer = os.pipe()
        os.write(writer, b"".join(number.to_bytes(_NUMBER_BYTES) for number in range(len(self._files))))
        os.close(writer)
        _stop_capture(self._config)
        _temporary_folders(self._config).getbasetemp()  # each worker has a folder in it
        workers: dict[int, int] = {}
        for number in range(self._count):
            source, pid = self._start(number, queue, workers)
            workers[source] = pid
        os.close(queue)
        try:
            self._pass_on(workers)
        finally:
            self._stop[0] = 1
            ends = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers.values()]
        if self._unfinished and not self._session.shouldfail and not self._session.shouldstop:
            why = f"its worker has ended before it: the workers' exit codes are {ends}"
            for item in list(self._unfinished.values()):
                report = TestReport(item.nodeid, item.location, {}, "failed", why, "call")
                self._config.hook.pytest_runtest_logreport(report=report)

    def _start(self, number: int, queue: int, earlier: Iterable[int]) -> tuple[int, int]:
        """Start a worker; returns the pipe that brings its reports, and its process id. earlier: such pipes of others."""
        report, reporter = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        if pid := os.fork():
            os.close(reporter)
            return report, pid
        code = 1
        try:
            for descriptor in (report, *earlier):
                os.close(descriptor)
            _Worker(self._session, number, os.fdopen(reporter, "wb"), self._stop).run(self._take(queue))
            code = 0
        except KeyboardInterrupt:
            pass
        except BaseException:  # noqa: BLE001 - the process ends below, as any other that an error ends
            traceback.print_exc()
        finally:
            _exit(code)

    def _take(self, queue: int) -> Iterator[list[pytest.Item]]:
        while number := os.read(queue, _NUMBER_BYTES):
            yield self._files[int.from_bytes(number)]

    def _pass_on(self, sources: Iterable[int]) -> None:
        """Pass on all reports until these pipes have ended, and close them."""
        started = dict.fromkeys(sources, b"")
        with selectors.DefaultSelector() as selector:
            for source in started:
                selector.register(source, selectors.EVENT_READ)
            while started:
                for key, _ in selector.select():
                    part = os.read(key.fd, 65536)
                    if not part:
                        selector.unregister(key.fd)
                        os.close(key.fd)
                        del started[key.fd]
                        continue
                    *lines, started[key.fd] = (started[key.fd] + part).split(b"\n")
                    for line in lines:
                        self._report(json.loads(line))

    def _report(self, data: dict[str, object]) -> None:
        hook = self._config.hook
        if isinstance(place := data["longrepr"], list):  # of a skipped test; pytest wants the tuple that it was
            data["longrepr"] = tuple(place)
        report = hook.pytest_report_from_serializable(config=self._config, data=data)
        hook.pytest_runtest_logreport(report=report)
        if report.when == "teardown":
            self._unfinished.pop(report.nodeid)
            hook.pytest_runtest_logfinish(nodeid=report.nodeid, location=report.location)
        if self._session.shouldfail or self._session.shouldstop:
            self._stop[0] = 1


class _Worker:
    """A worker, in its own process. A plugin, too: it sends each report of its process to the parent."""

    def __init__(self, session: pytest.Session, number: int, reporter: IO[bytes], stop: mmap.mmap) -> None:
        self._session, self._config, self._reporter, self._stop = session, session.config, reporter, stop
        plugins = self._config.pluginmanager
        for name in _PARENTS_PLUGINS:
            if plugins.has_plugin(name):
                plugins.unregister(name=name)
        plugins.register(self)
        random.seed()
        _start_capture(self._config)
        folders = _temporary_folders(self._config)
        folders._given_basetemp, folders._basetemp = folders.getbasetemp() / f"worker{number}", None

    def run(self, files: Iterator[list[pytest.Item]]) -> None:
        """Run the tests of these files, and undo at last what is still set up."""
        item = self._next(files, [])
        try:
            while item is not None and not self._stop[0]:
                following = self._next(files, self._rest)
                with self._turn(item, following):
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                item = following
        finally:
            state: SetupState = self._session._setupstate
            state.teardown_exact(None)

    def _next(self, files: Iterator[list[pytest.Item]], rest: list[pytest.Item]) -> pytest.Item | None:
        found = rest or next(files, [])
        self._rest = found[1:]
        return found[0] if found else None

    def _turn(self, item: pytest.Item, following: pytest.Item | None) -> AbstractContextManager[None]:
        """Wait for the test's turn; its timeout does not count that wait."""
        return TURNS.next(alone=_wants_to_be_alone(item), then_alone=_wants_to_be_alone(following))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: TestReport) -> None:
        """Send a report to the parent."""
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._reporter.write(json.dumps(data).encode() + b"\n")
        self._reporter.flush()


def _wants_to_be_alone(item: pytest.Item | None) -> bool:
    return item is not None and item.get_closest_marker("alone") is not None


def _capture_manager(config: pytest.Config) -> CaptureManager:
    found = config.pluginmanager.getplugin("capturemanager")
    assert isinstance(found, CaptureManager)
    return found


def _stop_capture(config: pytest.Config) -> None:
    """Let each worker capture into files of its own; they would write over each other's in one."""
    _capture_manager(config).stop_global_capturing()


def _start_capture(config: pytest.Config) -> None:
    _capture_manager(config).start_global_capturing()
    _capture_manager(config).suspend_global_capture()


def _temporary_folders(config: pytest.Config) -> TempPathFactory:
    found = config._tmp_path_factory  # type: ignore[attr-defined]
    assert isinstance(found, TempPathFactory)
    return found


def _exit(code: int) -> NoReturn:
    """End the worker without the rest of the parent's program."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
