"""A Hand's [limits] as its process is told them (pure); separate since wire.launch is not HAND.toml's business."""

from typing import Final

from manifests.schema import Manifest
from wire.launch import Rlimits

UNLIMITED: Final = -1


def rlimits_of(manifest: Manifest, used: int = 0) -> Rlimits:
    """Processor time is a task run's as a whole; a service's holds per call, and the kernel counts it.

    used: microseconds of it that a run's earlier processes have used.
    """
    limits, is_task = manifest.limits, manifest.hand.kind == "task"
    return Rlimits(
        memory=limits.memory,
        cpu=max(1, (limits.cpu_ms - used // 1000) // 1000) if is_task else UNLIMITED,
        processes=limits.processes,
        open_files=limits.open_files,
        file_size=limits.file_size,
    )
