"""The memory of a run's processes together, where no control group bounds it; and what they do in a pause."""

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from kernel import watch
from kernel.process_tree import COUNTED
from manifests.lives import NOT_STILL, memory_exceeded
from tests.manifests.texts import manifest

MOST = 64 * 1024 * 1024


@pytest.mark.parametrize(
    ("applied", "size", "is_ended", "asked"),
    [
        (("cgroup",), COUNTED + 1, False, 0),
        ((), MOST, False, 0),
        ((), MOST + 1, False, MOST),  # what is shared may count more than once: that is found out
        ((), COUNTED + 1, True, None),
    ],
)
def test_without_a_control_group_more_memory_than_declared_is_measured_or_ends_the_run(
    applied: tuple[str, ...], size: int, is_ended: bool, asked: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is attached to is a stand-in, as root's runs have a group wherever one can be made."""
    ended, measured, timers = list[str](), list[tuple[Any, int]](), list[Any]()
    hand = manifest()
    hand = replace(hand, limits=replace(hand.limits, memory=MOST))
    run: Any = SimpleNamespace(
        id="r-1", number=1, pid=0, paused=False, is_ending=False, applied=applied, other_cpu=0.0, earlier_cpu=0,
        hand=SimpleNamespace(package=SimpleNamespace(manifest=hand)), first_cpu=lambda: 0.1, cpu_seconds=lambda: 0.1,
    )  # fmt: skip
    kernel: Any = SimpleNamespace(
        runs={"r-1": run},
        loop=SimpleNamespace(after=lambda _, act: timers.append(act), now=lambda: 0.0),
        launcher=SimpleNamespace(measure=measured.extend, apply_pause=lambda _: None),
        supervisor=SimpleNamespace(end_as_unfit=lambda _, why: ended.append(why)),
    )
    monkeypatch.setattr(watch, "resident_of_all", lambda *_: size)
    monkeypatch.setattr(watch, "cpu_of_descendants", lambda _: 0.0)
    watching = watch.Watch(kernel)
    watching._check(run, 0, -1.0)
    assert ended == ([memory_exceeded(hand)] if is_ended else [])
    watching._measure()
    assert [most for _, most in measured] == ([] if is_ended else [asked])


def test_a_paused_run_is_stopped_anew_at_each_check_and_ended_once_it_has_used_processor_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it used before the first check in this pause does not count, nor what it has begun in the system."""
    ended, stopped, used = list[str](), list[Any](), [7.0, 7.0, 7.0 + watch.STIRRING, 7.1 + watch.STIRRING]
    run: Any = SimpleNamespace(
        id="r-1", number=1, pid=0, paused=True, is_ending=False, still_at=-1.0, first_cpu=lambda: 0.0
    )  # fmt: skip
    kernel: Any = SimpleNamespace(
        runs={"r-1": run}, loop=SimpleNamespace(after=lambda *_: None, now=lambda: 0.0),
        launcher=SimpleNamespace(apply_pause=stopped.append),
        supervisor=SimpleNamespace(end_as_unfit=lambda _, why: ended.append(why)),
    )  # fmt: skip
    monkeypatch.setattr(watch, "cpu_of_descendants", lambda _: used.pop(0))
    watching = watch.Watch(kernel)
    while used:
        assert not ended
        watching._check(run, 0, 0.0)
    assert (ended, stopped) == ([NOT_STILL], [run] * 4)
