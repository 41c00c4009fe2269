"""Work that a Hand hands to threads waits for one where all that its limit on processes allows are busy."""

from collections.abc import Iterator

import pytest

from tests.living import Kernel, Source, install, make_home

_CODE = """
import asyncio
import threading
import time

from runtime import Hand


class Weaver(Hand):
    async def run(self, threads: int) -> int:
        return await self._woven(threads)

    async def weave(self, call, threads: int) -> int:
        return await self._woven(threads)

    async def _woven(self, threads: int) -> int:
        seen = set()

        def work() -> int:
            seen.add(threading.get_ident())
            while len(seen) < threads:  # as many are at work at once
                time.sleep(0.01)
            time.sleep(0.1)
            return threading.get_ident()

        return len(set(await asyncio.gather(*(asyncio.to_thread(work) for _ in range(24)))))
"""


def _weaver(kind: str, processes: int) -> Source:
    version = 1 if kind == "task" else 2
    head = '[provides."weaver.weave"]\nsummary = "Weave"\nresource = "none"\neffect = "read"\n'
    provides = f'\n{head}params = {{ threads = "int" }}\n'
    return Source(
        f"""
[hand]
name = "weaver"
version = "{version}.0.{processes}"
description = "Works with threads."
entry = "main:Weaver"
kind = "{kind}"
autonomy = "full"

[limits]
processes = {processes}
{provides if kind == "service" else ""}""",
        _CODE,
    )


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("threads") / "home")) as kernel:
        yield kernel


@pytest.mark.parametrize(("processes", "threads"), [(4, 1), (8, 5), (64, 24)])
def test_a_task_has_as_many_threads_as_its_limit_leaves(kernel: Kernel, processes: int, threads: int) -> None:
    install(kernel, _weaver("task", processes))
    with kernel.client() as client:
        told = client.call("kernel.start", "weaver", {"inputs": {"threads": threads}, "wait": True}, seconds=30).value
    assert isinstance(told, dict)
    assert told["value"] == threads, told


@pytest.mark.parametrize(("processes", "threads"), [(4, 1), (8, 5), (64, 24)])
def test_a_service_has_as_many_threads_as_its_limit_leaves(kernel: Kernel, processes: int, threads: int) -> None:
    install(kernel, _weaver("service", processes))
    with kernel.client() as client:
        assert client.call("weaver.weave", "", {"threads": threads}, seconds=30).value == threads
