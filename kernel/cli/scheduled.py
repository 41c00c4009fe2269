"""Checks a Hand's [schedule] against what its runs take, and against the clock (pure)."""

from collections.abc import Mapping
from typing import Final

from manifests.errors import Problem
from manifests.findings import Findings
from manifests.pipeline.signature import UNKNOWN, Signature, of_entry
from manifests.schema import Manifest
from manifests.seal import MANIFEST_FILE

AGENT: Final = Signature(params={"task": "string", "session": "list?"})
"""What a Hand with [agent] takes (runtime/agent/hand.py)."""


def input_problems(folder: str, manifest: Manifest, files: Mapping[str, bytes]) -> list[Problem]:
    """Inputs of [schedule] that a run would refuse, or lack. A pipeline's are checked with its file."""
    if manifest.schedule is None or f"{manifest.hand.name}.run" in manifest.provides:  # then `run` answers calls
        return []
    entry = manifest.hand.entry
    takes = AGENT if manifest.agent else of_entry(entry, files) if entry else UNKNOWN
    if takes.params is None:
        return []
    from manifests.scheduled_inputs import check_given

    found = Findings()
    check_given(found, manifest.schedule.inputs, takes.params, takes_more=takes.more)
    return _placed(found, folder, files)


def over(folder: str, manifest: Manifest, files: Mapping[str, bytes], now: int) -> list[Problem]:
    """That [schedule] names one time, and it is past. now: milliseconds since the epoch."""
    if manifest.schedule is None or not manifest.schedule.at:
        return []
    from manifests.firings import Plan

    found = Findings()
    if Plan(manifest.schedule, since=now, seed="").next(now) is None:
        found.at_value(("schedule", "at"), "that time is over: installed now, it starts nothing", "write a later one")
    return _placed(found, folder, files)


def _placed(found: Findings, folder: str, files: Mapping[str, bytes]) -> list[Problem]:
    return [*found.placed(files[MANIFEST_FILE].decode(), f"{folder.rstrip('/')}/{MANIFEST_FILE}")]
