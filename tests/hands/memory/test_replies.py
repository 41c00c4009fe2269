"""What a reply is made of: marked with all that it came of, and bounded before it is read, not afterwards."""

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memory import compacting, filters, fragments, session_lines, sessions
from memory import graph as graphs
from memory.fragments import New
from memory.graph import Ref
from memory.sessions import Said
from memory.store import Store
from runtime import Failure
from tests.hands.doubles import FakeCall
from tests.hands.memory.conftest import CHAT, OWN, Desk
from wire import codec, limits


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
    made.stop()


def test_true_is_no_number_of_an_entity(graph: Graph) -> None:
    graph.graph("put", type="person", name="Ada")
    with pytest.raises(Failure, match="an entity is its number, its name, or a table"):
        graph.graph("neighbours", entity=True)


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
        found = graphs.find_relation(store, "", 1)
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


def test_the_largest_that_is_taken_in_is_told_again_and_what_is_larger_is_refused(graph: Graph) -> None:
    metadata = {"m": "y" * 65_500}
    assert graph.fails("store", text="x", metadata={"m": "😀" * 16_400}) == (
        "arguments: metadata is at most 65536 bytes of JSON"
    )
    number = graph.call("store", text="x" * 786_432, metadata=metadata)["fragment"]
    assert graph.fails("update", fragment=number, metadata={"m": "😀" * 65_500}).startswith("arguments: metadata")
    assert len(graph.call("fragment", fragment=number)["text"]) == 786_432


@pytest.mark.wide
def test_the_largest_text_is_told_with_all_that_it_may_have_gathered(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = {"text": "x" * 786_432, "kind": "😀" * 1_024, "metadata": {"m": "y" * 65_500}}

    def stored(each: int, times: int) -> None:
        for start in range(0, each * times, each):
            labels = [f"{number:04}" + "😀" * 60 for number in range(start, start + each)]
            made = FakeCall(OWN, "memory.store", labels=labels)
            origin = {"source": f"{start:04}" + "😀" * 1_020, "run": "😀" * 1_024}
            graph.loop.run_until_complete(graph.hand.on_call(made, {**large, **origin}))

    def told() -> list[str]:
        (row,) = graph.call("fragments")["fragments"]
        assert len(codec.encode_body(row)) <= limits.BODY_MAX
        return list(row["labels"])

    stored(28, 4)
    assert len(told()) == 28 * 4
    stored(64, 3)
    assert told() == ["*"]
    with monkeypatch.context() as patch:  # as earlier versions kept them
        graph.call("forget", fragment=1)
        patch.setattr(fragments, "encode_labels", filters.to_json)
        stored(64, 13)
    assert told() == ["*"]


KEY = b'{"key":{"key":"k","value":{"json":%s},"version":1,"created":1,"changed":1,"expires":null,"labels":["%s"]}}'
TEXT = (
    b'{"fragment":{"number":1,"text":"%s","kind":"note","time":1,"importance":0.5,"labels":["%s"],"metadata":{"m":"%s"},'
    b'"state":"live","successor":null,"seen":1,"uses":0,"used":1,"counted":0,"created":1,"changed":1,"origins":[]}}'
)
SESSION = (
    b'{"session":{"format":"maniple-session/1"}}\n'
    b'{"session":{"branch":"main","parent":null,"forked":0,"labels":["%s"],"created":1}}\n'
    b'{"session":{"seq":1,"role":"user","text":"x","extra":{"e":%s},"labels":[],"at":1}}'
)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (KEY % (b'"%s"' % (b"x" * 1_040_500), b"web"), "line 2: 'k': a value is at most 1040384 bytes"),
        (KEY % (b"1", b"w" * 65), "line 2: a label is 1 to 64 characters"),
        (TEXT % (b"x" * 786_433, b"web", b""), "line 2: a text is at most 786432 bytes"),
        (TEXT % (b"x", b"w" * 65, b""), "line 2: a label is 1 to 64 characters"),
        (TEXT % (b"x", b"web", "😀".encode() * 16_400), "line 2: metadata is at most 65536 bytes"),
        (SESSION % (b"w" * 65, b"1"), "line 3: a label is 1 to 64 characters"),
        (SESSION % (b"web", b"[%s1]" % (b"0.5," * 200_000)), "line 4: a message takes at most"),
        (SESSION % (b"web", b'"%s"' % ("😀".encode() * 300_000)), "line 4: a message takes at most"),
    ],
)
def test_an_import_takes_nothing_in_that_no_reply_could_carry(graph: Graph, line: bytes, why: str) -> None:
    head = b'{"format":"maniple-memory/1"}\n'
    assert graph.fails("all.import", upload=iter([head, line, b"\n"])).startswith(f"arguments: {why}")


def test_who_stores_what_was_there_already_is_marked_with_where_that_came_from(graph: Graph) -> None:
    def stored(text: str, *labels: str) -> tuple[bool, set[str]]:
        made = FakeCall(OWN, "memory.store", labels=labels)
        told = graph.loop.run_until_complete(graph.hand.on_call(made, {"text": text}))
        return told["merged"], made.added

    assert stored("Ada pays by cheque.", "web", "mail") == (False, set())
    assert stored("Ada pays by cheque.", "files") == (True, {"web", "mail"})
    assert stored("Bob pays in cash.") == (False, set())
