"""The HAND.toml of a pipeline: the Hand that it becomes when it is added (pure).

It holds `kernel.spawn` on the Hands of its steps, and nothing else; what their runs do in its name is lent, so that it
cannot do that itself.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from manifests.pipeline.schema import Pipeline
from manifests.schema import Capability
from manifests.values import format_duration

CALLS_PER_MINUTE: Final = 60_000
CPU: Final = "30m"
MEMORY: Final = "512MiB"
"""A part of it is for what the steps gave: runtime/pipeline/kept.py."""


def file_of(name: str) -> str:
    """The name of a pipeline's file."""
    return f"{name}.pipeline.toml"


def manifest_of(pipeline: Pipeline, lends: Iterable[Capability]) -> Mapping[str, object]:
    """The tables of its HAND.toml. Each run of a step has at most two calls open at once, and notes come besides."""
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
