"""The graph's calls by themselves: what a walk tells is marked with all that it came of, and bounded before it is read."""

import asyncio
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hands.doubles import FakeCall, hand_module, seated

OWN = "own/h-4kz8w1m3q0v7x2ab"


class Graph:
    """A started Hand and its loop; a call of memory.graph.*, of whose labels `marks` are those of the last reply."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.hand: Any = seated(hand_module("memory", "main").Memory, "memory", folder, {})
        self.loop.run_until_complete(self.hand.start())
        self.marks: set[str] = set()

    def call(self, method: str, *labels: str, **given: object) -> Any:
        made = FakeCall(OWN, f"memory.graph.{method}", labels=labels)
        answer = self.loop.run_until_complete(self.hand.on_call(made, given))
        self.marks = made.added
        return answer


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    made = Graph(tmp_path)
    yield made
    made.loop.run_until_complete(made.hand.stop())
    made.loop.close()


def test_what_a_pattern_finds_is_marked_with_who_said_so_on_the_way(graph: Graph) -> None:
    for type_, name in (("person", "Ada"), ("person", "Bob"), ("company", "Acme")):
        graph.call("put", *({"mail"} if name == "Bob" else ()), type=type_, name=name)
    graph.call("relate", "web", source="Ada", kind="works at", target="Acme")
    graph.call("relate", source="Ada", kind="knows", target="Bob")
    graph.call("relate", "chat", source="Bob", kind="owns", target="Acme")
    (row,) = graph.call("match", pattern=[{"name": "Ada"}, {"kind": "works at"}])["rows"]
    assert ([one["name"] for one in row], graph.marks) == (["Ada", "Acme"], {"web"})
    found = graph.call("match", pattern=[{"name": "Ada"}, {"type": "company", "depth": 2}])
    assert (len(found["rows"]), graph.marks) == (1, {"web"})
    graph.call("match", pattern=[{"name": "Ada"}, {"kind": "knows"}, {"kind": "owns"}])
    assert graph.marks == {"mail", "chat"}


def test_of_large_entities_no_more_are_held_than_one_reply_has(graph: Graph) -> None:
    bulk = {"properties": {"bulk": "x" * 60_000}}
    graph.call("put", type="person", name="hub")
    for number in range(60):
        graph.call("put", type="person", name=f"leaf {number}", **bulk)
        graph.call("relate", source="hub", kind="knows", target=f"leaf {number}", **bulk)
    for method, given in (
        ("list", {}),
        ("neighbours", {"entity": "hub"}),
        ("match", {"pattern": [{"name": "hub"}, {}]}),
        ("paths", {"source": "leaf 1", "target": "leaf 2"}),
    ):
        tracemalloc.start()
        found = graph.call(method, **given)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 6_000_000, method
        assert len(found.get("relations", [])) < 60
