"""Rules of HAND.toml's [schedule] that need more than one key to decide (pure)."""

from collections.abc import Mapping
from typing import Final

from manifests import quiet
from manifests.findings import Findings, spelled
from manifests.positions import Path
from manifests.triggers import uses_event

Section = Mapping[str, object]

WHEN: Final[dict[str, str]] = {
    "cron": '"0 9 * * mon-fri"', "every": '"15m"', "at": '"2026-12-01T09:00"', "on": '"data-pipeline.loaded"'
}  # fmt: skip
"""The keys that say when to start, each with an example; a [schedule] has exactly one."""

SHORTEST_MS: Final = 1_000
JITTER_MOST_MS: Final = 12 * 3_600_000

_ONLY: Final[dict[str, tuple[str, ...]]] = {
    "where": ("on",), "missed": ("cron", "every", "at"), "jitter": ("cron", "every", "at"),
    "timezone": ("cron", "at", "quiet"),
}  # fmt: skip
"""Keys that apply only beside one of these."""


def check_schedule(found: Findings, sections: Mapping[str, Section], raw: Mapping[str, object]) -> None:
    """Note a [schedule] of a service, one without or with several keys of WHEN, and keys that do not apply beside it."""
    given, asked = raw.get("schedule"), sections["schedule"]
    if not isinstance(given, dict):
        return
    if sections["hand"].get("kind") == "service":
        found.at_key(("schedule",), "[schedule] is for tasks, and this Hand is a service", "leave it out")
    when = [key for key in WHEN if key in given]
    if not when:
        examples = ", or ".join(f"{key} = {example}" for key, example in WHEN.items())
        found.at_key(("schedule",), "[schedule] does not say when", f"write {examples}")
        return
    for key in when[1:]:
        found.at_key(("schedule", key), f"schedule.{key} stands beside schedule.{when[0]}", "leave one of them out")
    there = {when[0], "quiet"} if given.get("quiet") else {when[0]}
    for key, beside in _ONLY.items():
        if key in given and there.isdisjoint(beside):
            path: Path = ("schedule", key)
            instead = "leave it out, or write quiet" if "quiet" in beside else "leave it out"
            found.at_key(path, f"{spelled(path)} means nothing beside schedule.{when[0]}", instead)
    _check_times(found, asked)
    _check_events(found, asked, sections["hand"].get("name"))


def _check_times(found: Findings, asked: Section) -> None:
    every, jitter = asked.get("every"), asked.get("jitter")
    if isinstance(every, int) and every < SHORTEST_MS:
        found.at_value(("schedule", "every"), "schedule.every is too short", 'write at least "1s"')
    elif isinstance(every, int) and isinstance(jitter, int) and jitter > every // 2:
        found.at_value(("schedule", "jitter"), "schedule.jitter is more than half of schedule.every", "write less")
    if isinstance(jitter, int) and jitter > JITTER_MOST_MS:
        found.at_value(("schedule", "jitter"), "schedule.jitter is too large", 'write at most "12h"')
    spans = asked.get("quiet")
    if isinstance(spans, tuple) and quiet.cover_whole_day(spans):
        found.at_value(("schedule", "quiet"), "schedule.quiet leaves no minute of the day", "write less")


def _check_events(found: Findings, asked: Section, name: object) -> None:
    event, inputs = asked.get("on"), asked.get("inputs")
    if isinstance(event, str) and isinstance(name, str) and event.startswith(f"{name}."):
        found.at_value(
            ("schedule", "on"), f'"{event}" is an event of this Hand, which would start itself', "name another"
        )
    if not event and isinstance(inputs, dict):
        for key in (key for key, value in inputs.items() if uses_event(value)):
            path: Path = ("schedule", "inputs", key)
            found.at_value(
                path, f"{spelled(path)} uses $event, and no event starts this Hand", "use $time, or write on"
            )
