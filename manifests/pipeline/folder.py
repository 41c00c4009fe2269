"""The HAND.toml of the Hand that a pipeline becomes (pure).

It requests only `kernel.spawn` on the Hands of its steps. What their runs do in its name is in [lends], so that it cannot
do that itself.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from manifests.pipeline.schema import Pipeline
from manifests.schema import Capability
from manifests.values import format_duration

CALLS_PER_MINUTE: Final = 60_000
CPU: Final = "30m"
MEMORY: Final = "512MiB"
"""A part of it is for the steps' outputs: runtime/pipeline/kept.py."""


def file_of(name: str) -> str:
    """Return the name of a pipeline's file."""
    return f"{name}.pipeline.toml"


def manifest_of(pipeline: Pipeline, lends: Iterable[Capability]) -> Mapping[str, object]:
    """Return the tables of its HAND.toml. A step's run has at most two calls open at once; 16 more are for notes."""
    schedule = {"schedule": pipeline.schedule} if pipeline.schedule else {}
    return {
        **schedule,
        "hand": {
            "name": pipeline.name,
            "version": pipeline.version,
            "description": pipeline.description,
            "pipeline": file_of(pipeline.name),
            "kind": "task",
            "autonomy": "full",
        },
        "capabilities": {"kernel.spawn": list(pipeline.hands())},
        "lends": {one.method: list(one.allow) for one in lends},
        "limits": {
            "wall": format_duration(pipeline.wall_ms),
            "memory": MEMORY,
            "cpu": CPU,
            "calls_per_minute": CALLS_PER_MINUTE,
            "in_flight": 2 * pipeline.parallel + 16,
        },
    }
