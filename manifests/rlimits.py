"""A Hand's [limits] as resource limits of its process (pure); separate, since wire.launch does not know HAND.toml."""

from typing import Final

from manifests.schema import Manifest
from wire.launch import Rlimits

UNLIMITED: Final = -1


def rlimits_of(manifest: Manifest, used: int = 0) -> Rlimits:
    """Return the resource limits of a Hand's process. A service's `cpu` is per call and counted by the kernel, so not set.

    used: microseconds of processor time that the run's earlier processes have used.
    """
    limits, is_task = manifest.limits, manifest.hand.kind == "task"
    return Rlimits(
        memory=limits.memory,
        cpu=max(1, (limits.cpu_ms - used // 1000) // 1000) if is_task else UNLIMITED,
        processes=limits.processes,
        open_files=limits.open_files,
        file_size=limits.file_size,
    )
