"""What a reply is made of: marked with all that it came of, and bounded before it is read, not afterwards."""

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memory import compacting, fragments, session_lines, sessions
from memory import graph as graphs
from memory.fragments import New
from memory.graph import Ref
from memory.sessions import Said
from memory.store import Store
from tests.hands.doubles import FakeCall
from tests.hands.memory.test_hand import CHAT, OWN, Desk


class Graph(Desk):
    """Calls of memory.graph.*. marks: the labels of the last reply."""

    marks: set[str]

    def graph(self, method: str, *labels: str, **given: object) -> Any:
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
        graph.graph("put", *({"mail"} if name == "Bob" else ()), type=type_, name=name)
    graph.graph("relate", "web", source="Ada", kind="works at", target="Acme")
    graph.graph("relate", source="Ada", kind="knows", target="Bob")
    graph.graph("relate", "chat", source="Bob", kind="owns", target="Acme")
    (row,) = graph.graph("match", pattern=[{"name": "Ada"}, {"kind": "works at"}])["rows"]
    assert ([one["name"] for one in row], graph.marks) == (["Ada", "Acme"], {"web"})
    found = graph.graph("match", pattern=[{"name": "Ada"}, {"type": "company", "depth": 2}])
    assert (len(found["rows"]), graph.marks) == (1, {"web"})
    graph.graph("match", pattern=[{"name": "Ada"}, {"kind": "knows"}, {"kind": "owns"}])
    assert graph.marks == {"mail", "chat"}


def test_of_large_entities_no_more_are_held_than_one_reply_has(graph: Graph) -> None:
    bulk = {"properties": {"bulk": "x" * 60_000}}
    graph.graph("put", type="person", name="hub")
    for number in range(60):
        graph.graph("put", type="person", name=f"leaf {number}", **bulk)
        graph.graph("relate", source="hub", kind="knows", target=f"leaf {number}", **bulk)
    for method, given in (
        ("list", {}),
        ("neighbours", {"entity": "hub"}),
        ("match", {"pattern": [{"name": "hub"}, {}]}),
        ("paths", {"source": "leaf 1", "target": "leaf 2"}),
    ):
        found: list[dict[str, list[object]]] = []
        peak = peak_of(lambda: found.append(graph.graph(method, **given)))
        assert peak < 6_000_000, method
        assert len(found[0].get("relations", [])) < 60


def peak_of(work: Callable[[], object]) -> int:
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


MANY = """
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3000)
INSERT INTO evidence SELECT 1, n || ' ' || hex(zeroblob(500)), 0.001, '["l' || (n % 9) || '"]', n FROM n;
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3000)
INSERT INTO origins SELECT id, n || ' ' || hex(zeroblob(500)), '', -1, n, 0 FROM n, fragments;
"""


def test_of_many_voices_many_origins_and_many_summaries_no_more_are_held_than_are_told() -> None:
    store = Store(Path(":memory:"), now=lambda: 1)
    with store.write():
        for name in ("Ada", "Bob"):
            graphs.put(store, "", "person", name)
        graphs.relate(store, "", Ref(name="Ada"), "knows", Ref(name="Bob"), said="0", confidence=0.001)
        fragments.add(store, "", New(text="Ada knows Bob."))
        store.connection.execute(MANY)
        sessions.append(store, "chat", [Said(role="user", text="Hello")])
        for _ in range(100):
            compacting.compact(store, "chat", 1, 1, "x" * 100_000)

    def told() -> None:
        found = graphs.numbered(store, "", 1)
        assert (len(found.evidence), len(found.labels), found.confidence) == (16, 9, round(1 - 0.999**3_001, 6))
        assert [one.source.split()[0] for one in fragments.get(store, "", 1).origins[-2:]] == ["2999", "3000"]
        assert len(fragments.get(store, "", 1).origins) == 16
        branches, last = session_lines.outline(store, "chat")
        assert (len(branches), last) == (1, 100)
        lines, after, _ = session_lines.summary_lines(store, "chat", 0, last)
        assert (lines.count(b"\n"), after) == (3, 3)

    assert peak_of(told) < 2_000_000
    store.close()


def test_a_compact_reading_has_the_newest_and_says_what_it_left_out(graph: Graph) -> None:
    large = {"bulk": "x" * 700_000}
    for number in range(1, 4):
        said = {"role": "user", "text": f"{number}", "extra": {} if number == 2 else large}
        graph.call("session.append", CHAT, messages=[said])
    graph.call("session.compact", CHAT, first=2, last=2, text="two")
    found = graph.call("session.read", CHAT, compact=True)
    assert ([one["text"] for one in found["messages"]], found["more"]) == (["3"], True)
    graph.call("session.append", CHAT, messages=[{"role": "user", "text": "y" * 600_000}])
    graph.call("session.compact", CHAT, first=1, last=3, text="z" * 250_000)
    found = graph.call("session.read", CHAT, compact=True)
    assert ([one["text"][:1] for one in found["messages"]], found["more"]) == (["y"], True)
