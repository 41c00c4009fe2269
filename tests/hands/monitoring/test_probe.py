"""A look is an observation whatever its call ends in: up, down, or not to be checked, with why."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import CallCancelled, CallFailed, CallRefused
from tests.hands.doubles import hand_module
from tests.hands.monitoring.world import START, World, stats

probe = hand_module("monitoring", "monitor_probe")
reading = hand_module("monitoring", "monitor_reading")
settings = hand_module("monitoring", "monitor_settings")

PAGE = {"url": "https://example.org/"}


def look(world: World, row: Mapping[str, object]) -> SimpleNamespace:
    """One look at a target of these settings."""
    plan = settings.read_plan({"targets": {"t": row, "machine": {"off": True}}})
    assert plan.problems == ()
    found: SimpleNamespace = asyncio.run(probe.Prober(world, world.clock).look(plan.targets[0]))
    return found


def page(status: int = 200, body: tuple[bytes, ...] = (b"hello",), **more: object) -> tuple[object, object]:
    return body, {"status": status, "elapsed_us": 2500, "headers": {}, **more}


def test_the_machine_becomes_numbers_and_rates_need_two_looks() -> None:
    world = World()
    world.answers["machine.stats"] = lambda _, __: stats(uptime=(world.now - START) // 1000)
    target = settings.read_plan({}).targets[0]
    prober = probe.Prober(world, world.clock)
    first = asyncio.run(prober.look(target))
    world.now += 10_000
    second = asyncio.run(prober.look(target))
    assert first.metrics["cpu_percent"] == 7.0
    assert first.metrics["disk_percent:/"] == 48.0
    assert "received_per_second" not in first.metrics
    assert (second.metrics["received_per_second"], second.metrics["sent_per_second"]) == (5000.0, 2000.0)


def test_a_disk_that_cannot_be_written_is_not_watched_for_being_full() -> None:
    world = World()
    target = settings.read_plan({}).targets[0]
    found = asyncio.run(probe.Prober(world, world.clock).look(target))
    assert [name for name in found.metrics if name.startswith("disk_percent")] == ["disk_percent:/"]


def test_processes_are_counted_and_none_is_down() -> None:
    world = World()
    total = {"count": 2, "cpu_percent": 150.0, "memory_bytes": 5000}
    world.answers["machine.processes"] = lambda _, arguments: {"total": total} if arguments["match"] == "pg" else None
    found = look(world, {"process": "pg"})
    assert found.metrics == {
        "up": 1.0, "processes": 2.0, "process_cpu_percent": 150.0, "process_memory_bytes": 5000.0,
    }  # fmt: skip
    total["count"] = 0
    assert look(world, {"process": "pg"}).metrics["up"] == 0.0


def test_a_file_has_size_and_age_and_an_absent_one_does_not_exist() -> None:
    world = World()
    world.answers["files.stat"] = lambda _, __: {"kind": "file", "size": 9, "modified": "2024-10-04T02:59:00.500000Z"}
    found = look(world, {"file": "logs/a"})
    assert found.metrics == {"exists": 1.0, "size_bytes": 9.0, "age_seconds": 59.5}
    world.answers["files.stat"] = lambda _, __: CallFailed("not found", "nothing there")
    absent = look(world, {"file": "logs/a"})
    assert (absent.checked, absent.metrics) == (True, {"exists": 0.0})


@pytest.mark.parametrize(
    ("row", "status", "up", "why"),
    [
        ({}, 200, 1.0, ""),
        ({}, 404, 0.0, "status 404"),
        ({"expect": 404}, 404, 1.0, ""),
        ({"expect": 200}, 204, 0.0, "status 204 instead of 200"),
        ({"contains": "hello world"}, 200, 1.0, ""),
        ({"contains": "absent"}, 200, 0.0, "does not contain"),
    ],
)
def test_a_page_is_up_when_status_and_text_are_right(row: dict[str, object], status: int, up: float, why: str) -> None:
    world = World()
    world.answers["web.fetch"] = lambda _, __: page(status, (b"say hel", b"", b"lo wor", b"ld."))
    found = look(world, {**PAGE, **row})
    assert found.metrics["up"] == up
    assert why in found.why
    assert found.metrics["body_bytes"] == 16
    assert found.metrics["latency_ms"] == 2.5


def test_each_redirect_is_a_call_of_its_own_and_latency_adds_up() -> None:
    world = World()
    pages = {
        "https://example.org/": page(301, (), location="/a"),
        "https://example.org/a": page(302, (), location="//other.example.org/b#x"),
        "https://other.example.org/b": page(200),
    }
    world.answers["web.fetch"] = lambda url, _: pages[url]
    found = look(world, PAGE)
    assert [url for _, url in world.calls] == list(pages)
    assert (found.metrics["up"], found.metrics["latency_ms"]) == (1.0, 7.5)


def test_a_refused_hop_cannot_be_checked() -> None:
    world = World()
    refused = CallRefused("capability", "no grant", 'web.fetch = ["http://10.0.0.1/"]')
    world.answers["web.fetch"] = lambda url, _: refused if "10." in url else page(302, (), location="http://10.0.0.1/")
    found = look(world, PAGE)
    assert not found.checked
    assert "no grant" in found.why


@pytest.mark.parametrize(
    ("place", "why"),
    [("/", "circle"), ("/{}", "more than 5 hops"), ("ftp://x/", "not a URL"), ("http://[", "not a URL")],
)
def test_redirects_that_lead_nowhere_mean_down(place: str, why: str) -> None:
    world = World()
    world.answers["web.fetch"] = lambda _, __: page(302, (), location=place.format(len(world.calls)))
    found = look(world, PAGE)
    assert (found.checked, found.metrics) == (True, {"up": 0.0})
    assert why in found.why
    assert len(world.calls) <= 6


def test_a_redirect_may_be_what_is_expected() -> None:
    world = World()
    world.answers["web.fetch"] = lambda _, __: page(301, (), location="/a")
    assert look(world, {**PAGE, "expect": 301}).metrics["up"] == 1.0
    assert look(world, {**PAGE, "follow": 0}).metrics["status"] == 301.0


def test_a_page_without_end_is_left() -> None:
    world = World()
    taken: list[int] = []

    def endless() -> object:
        while True:
            taken.append(1)
            yield bytes(1 << 20)

    world.answers["web.fetch"] = lambda _, __: (endless(), {})
    found = look(world, PAGE)
    assert not found.checked
    assert "head = true" in found.why
    assert len(taken) == 5


def test_a_connection_has_a_latency() -> None:
    world = World()
    world.answers["web.connect"] = lambda _, __: ((b"220 hello",), {"connected_us": 1500})
    assert look(world, {"address": "mail.example.org:25"}).metrics == {"up": 1.0, "latency_ms": 1.5}


@pytest.mark.parametrize("row", [PAGE, {"address": "mail.example.org:25"}])
@pytest.mark.parametrize("code", ["unreachable", "timeout", "certificate", "deadline", "name not found", "broken off"])
def test_an_endpoint_that_does_not_answer_is_down(row: dict[str, object], code: str) -> None:
    world = World()
    for method in ("web.fetch", "web.connect"):
        world.answers[method] = lambda _, __: CallFailed(code, "because")
    found = look(world, row)
    assert (found.checked, found.metrics, found.why) == (True, {"up": 0.0}, f"{code}: because")


@pytest.mark.parametrize(
    "end",
    [
        CallRefused("capability", "no grant"), CallFailed("private address", "not public"), CallFailed("ended", "died"),
        CallCancelled("stopped"), CallFailed("busy", "full"), CallRefused("no provider", "not installed"),
        CallFailed("outcome unknown", "died"), CallFailed("cpu", "took too long"), CallFailed("raised", "a bug"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("row", [PAGE, {"address": "a.example.org:1"}, {"file": "a/b"}, {"process": "x"}])
def test_a_failure_on_the_way_is_not_the_targets_fault(end: Exception, row: dict[str, object]) -> None:
    world = World()
    for method in ("web.fetch", "web.connect", "files.stat", "machine.processes"):
        world.answers[method] = lambda _, __: end
    found = look(world, row)
    assert not found.checked
    assert found.metrics == {}
    assert found.why


@pytest.mark.parametrize("code", ["paused", "frozen"])
def test_while_paused_nothing_is_observed(code: str) -> None:
    world = World()
    world.answers["web.fetch"] = lambda _, __: CallRefused(code, "by the operator")
    assert look(world, PAGE) is None


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["cpu", "memory", "disks", "network", "percent", "mount", "total", "count", "size", "modified", "uptime",
             "seconds", "name", "received_bytes", "sent_bytes", "celsius", "temperatures", "headers", "location"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=15,
)  # fmt: skip


@given(odd)
def test_no_reply_breaks_the_reading(reply: object) -> None:
    reading.read_machine("t", START, reply, None)
    reading.read_processes("t", START, reply)
    reading.read_file("t", START, reply)
    if isinstance(reply, dict):
        assert isinstance(reading.location(reply), str)


@pytest.mark.parametrize(
    "reply", [{"headers": {"Location": "/a"}}, {"headers": [["X", "y"], ["location", "/a"]]}, {"location": "/a"}]
)
def test_a_location_is_found_where_providers_put_it(reply: dict[str, object]) -> None:
    assert reading.location(reply) == "/a"


def test_a_process_that_has_ended_is_not_running_though_it_is_still_listed() -> None:
    seen = reading.read_processes("t", START, {"total": {"count": 3, "ended": 3}})
    assert (seen.metrics["up"], seen.metrics["processes"], seen.why) == (0.0, 0.0, "no such process is running")
    assert reading.read_processes("t", START, {"total": {"count": 3, "ended": 1}}).metrics["processes"] == 2.0
