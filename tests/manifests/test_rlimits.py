"""The limits of a process: a task run's processor time is one for all of its processes, a service's is none."""

from msgspec.structs import replace

from manifests.rlimits import UNLIMITED, rlimits_of
from manifests.schema import Limits
from tests.manifests.texts import manifest


def test_what_a_runs_earlier_processes_have_used_is_used() -> None:
    service = replace(manifest(), limits=Limits(memory=5, cpu_ms=30_000, processes=4, open_files=32, file_size=7))
    task = replace(service, hand=replace(service.hand, kind="task"))
    assert [rlimits_of(task, used).cpu for used in (0, 10_000_000, 29_500_000, 90_000_000)] == [30, 20, 1, 1]
    found = rlimits_of(service, 10_000_000)
    assert (found.cpu, found.memory, found.processes, found.open_files, found.file_size) == (UNLIMITED, 5, 4, 32, 7)
