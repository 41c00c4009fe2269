"""Labels go wherever what they mark goes: replies, chunks, uploads, events, runs and files; nobody takes one off."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.cli.client import Client
from tests.living import ROOT, Kernel, Source, install, make_home
from tests.system.actors import actor, ask, cast, done, not_done, rows
from tests.system.fates import begin, entries, entry, until
from wire.limits import LABELS_MAX

_TAINTED: Final = {"call": "source.labelled"}
"""A call whose reply is marked "web" by its provider's manifest."""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    work = tmp_path_factory.mktemp("labels")
    (work / "reports").mkdir()
    with Kernel(make_home(work / "home")) as kernel, kernel.client() as client:
        install(kernel, ROOT / "hands" / "files")
        client.call("kernel.root-add", "reports", {"path": str(work / "reports")})
        cast(kernel, [actor("source", labels=["web"]), actor("sink")])
        files = '"files.write" = ["reports/**"]\n"files.read" = ["reports/**"]\n"files.stat" = ["reports/**"]\n'
        ways = rows("source.do", "source.labelled", "sink.do", "sink.labelled") + files
        cast(kernel, [actor("relay", ways), actor("plain", ways)])
        news = '[events]\npublishes = ["news"]\nsubscribes = ["herald.news"]'
        cast(kernel, [actor("herald", ways, more=news), actor("hearer", ways, more=news)])
        cast(kernel, [actor("chore", ways, kind="task", more=news)])
        cast(kernel, [actor("starter", ways + rows("kernel.spawn", "relay.do", "herald.do"))])
        yield kernel


@pytest.fixture(scope="module")
def client(kernel: Kernel) -> Iterator[Client]:
    with kernel.client() as client:
        yield client


def _call(client: Client, method: str, *steps: object) -> tuple[tuple[str, ...], Any]:
    """The labels of the reply, and what became of the steps."""
    reply = client.call(method, "", {"steps": list(steps)})
    value: Any = reply.value
    return reply.labels, value["told"]


# calls and replies ---------------------------------------------------------------------------------------------------


def test_a_reply_carries_what_its_provider_declares_and_adds(client: Client) -> None:
    labels, _ = _call(client, "source.labelled", {"reply": {}, "labels": ["own-mark"]})
    assert labels == ("own-mark", "web")


def test_a_reply_carries_the_labels_of_its_call(client: Client) -> None:
    _, (told,) = _call(client, "plain.do", {"call": "sink.do", "labels": ["secret"]})
    assert done(told)["labels"] == ["secret"]
    assert told["value"]["labels"] == ["secret"]


def test_a_reply_carries_what_its_provider_heard_while_answering(client: Client) -> None:
    labels, _ = _call(client, "relay.do", {"call": "source.labelled"})
    assert labels == ("web",)


def test_a_call_carries_what_was_heard_before_it_for_the_same_call(client: Client) -> None:
    _, (_, told) = _call(client, "relay.do", _TAINTED, {"call": "sink.do"})
    assert told["value"]["labels"] == ["web"]


def test_one_callers_labels_are_not_put_on_anothers_call(client: Client) -> None:
    _call(client, "relay.do", _TAINTED)
    labels, (told,) = _call(client, "relay.do", {"call": "sink.do"})
    assert (labels, told["value"]["labels"]) == ((), [])


def test_outside_of_any_call_a_service_carries_all_that_it_has_seen(client: Client) -> None:
    _call(client, "relay.do", _TAINTED)
    client.call("relay.do", "", {"steps": []}, labels=("mail",))
    _, (told,) = _call(client, "relay.do", {"call": "sink.do", "parent": 0})
    assert {"web", "mail"} <= set(told["value"]["labels"])


def test_nobody_can_take_a_label_off(client: Client) -> None:
    """Whatever labels a provider or a caller names, those of the call are on what comes back and goes on."""
    wash = {"call": "sink.do", "labels": [], "with": {"steps": [{"reply": {}, "labels": ["clean"]}]}}
    labels, (_, told) = _call(client, "relay.do", _TAINTED, wash)
    assert set(told["labels"]) == {"web", "clean"}
    assert set(labels) == {"web", "clean"}


def test_a_failed_call_carries_them_too(client: Client, kernel: Kernel) -> None:
    _, (_, told) = _call(client, "relay.do", _TAINTED, {"call": "files.read", "on": "reports/absent"})
    assert told["end"] == "failed"
    ended = until(lambda: [one for one in entries(kernel.home, "end") if one.method == "files.read"], "its entry")
    assert set(ended[-1].labels) == {"files", "web"}


_FRAIL: Final = Source(
    """
[hand]
name = "frail"
version = "1.0.0"
description = "Breaks on what it hears, and says so."
entry = "main:Frail"
kind = "service"
autonomy = "full"

[capabilities]
"source.labelled" = ["*"]

[provides."frail.do"]
summary = "Nothing, for it does not start"
resource = "none"
effect = "read"

[restart]
RESTART
""",
    """
from runtime import Hand


class Frail(Hand):
    async def start(self):
        reply = await self.kernel.call("source.labelled", steps=[{"reply": {"text": "from the web"}}])
        raise ValueError(reply.value["text"])

    async def do(self, call):
        pass
""",
)


@pytest.mark.parametrize(
    ("restart", "code"), [('when = "failure"\ntimes = 1\nwithin = "1h"', "quarantined"), ('when = "never"', "ended")]
)
def test_no_refusal_tells_a_hand_the_last_words_of_another(
    kernel: Kernel, client: Client, restart: str, code: str
) -> None:
    """No refusal carries labels, and what a service says when it breaks may be of anything. Its operator reads it."""
    install(kernel, Source(_FRAIL.toml.replace("RESTART", restart), _FRAIL.main))
    cast(kernel, [actor("asker", rows("frail.do"))])
    look = {"call": "kernel.check", "with": {"method": "frail.do"}}
    _, heard = _call(client, "asker.do", {"call": "frail.do"}, {"call": "frail.do"}, look, {"call": "kernel.list"})
    assert [one["code"] for one in heard[:2]] == [code, code]
    assert "from the web" not in str(heard)
    assert "ValueError: from the web" in str(not_done(client, "frail.do"))
    client.call("kernel.remove", "frail")


# streams -------------------------------------------------------------------------------------------------------------


def test_a_chunk_marks_what_is_called_after_it_before_its_call_has_ended(client: Client) -> None:
    stream = {"steps": [{"reply": {}, "labels": ["late"], "chunks": [b"a", b"b"]}]}
    onward = {"call": "sink.do"}
    _, (told,) = _call(client, "relay.do", {"call": "source.labelled", "with": stream, "at_chunk": onward})
    assert told["chunks"] == [b"a", b"b"]
    assert set(told["then"][0]["value"]["labels"]) == {"late", "web"}


def test_an_upload_is_marked_by_what_its_caller_heard_while_sending(client: Client) -> None:
    take = {"steps": [{"take": True}]}
    _, (told,) = _call(client, "relay.do", {"call": "sink.do", "with": take, "send": [b"before", _TAINTED, b"after"]})
    taken = done(told)["value"]["told"][0]
    assert taken["chunks"] == [b"before", b"after", b""][: len(taken["chunks"])]
    assert taken["labels"] == ["web"]
    assert told["labels"] == ["web"]


def test_a_run_without_a_parent_marks_its_upload_by_all_that_it_has_seen(client: Client) -> None:
    take = {"steps": [{"take": True}]}
    _call(client, "relay.do", _TAINTED)
    _, (told,) = _call(client, "relay.do", {"call": "sink.do", "with": take, "send": [b"x"], "parent": 0})
    assert "web" in done(told)["value"]["told"][0]["labels"]


# events --------------------------------------------------------------------------------------------------------------


def test_an_event_carries_what_a_call_made_then_would_and_marks_who_hears_it(client: Client) -> None:
    _call(client, "hearer.do", {"subscribe": "herald.news"})
    _call(client, "herald.do", _TAINTED)
    for parent in ({}, {"parent": 0}):  # for the call that it answers, and for none
        _call(client, "herald.do", {"publish": "news", "with": 1, "labels": ["said"], **parent})
    _call(client, "herald.do", _TAINTED, {"publish": "news", "with": 2})
    _, (heard,) = _call(client, "hearer.do", {"heard": 3})
    assert [set(one["labels"]) for one in heard["events"]] == [{"said"}, {"said", "web"}, {"web"}]
    _, (told,) = _call(client, "hearer.do", {"call": "sink.do", "parent": 0})
    assert set(told["value"]["labels"]) == {"said", "web"}


def test_an_event_marks_the_work_of_a_task_that_hears_it(client: Client) -> None:
    _call(client, "herald.do", _TAINTED)
    steps = [{"subscribe": "herald.news"}, {"call": "relay.do"}, {"heard": 1}, {"call": "sink.do"}]
    more = {"inputs": {"steps": steps}}
    run: Any = client.call("kernel.start", "chore", more).value
    told: Any = None
    while told is None:
        _call(client, "herald.do", {"publish": "news", "parent": 0})
        runs: Any = client.call("kernel.ps").value
        if not any(one["run"] == run["run"] for one in runs["runs"]):
            told = client.call("kernel.wait", "", {"run": run["run"]}).value
    reply = client.call("kernel.wait", "", {"run": run["run"]})
    assert "web" in told["value"]["told"][3]["value"]["labels"]
    assert "web" in reply.labels


# runs ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("waits", ["at once", "later"])
def test_what_a_spawned_run_saw_comes_back_with_its_value(client: Client, detached: bool, waits: str) -> None:
    more = {"inputs": {"steps": [_TAINTED]}, "detached": detached, "wait": waits == "at once"}
    spawn = {"call": "kernel.spawn", "on": "chore", "with": more, "parent": 0}
    labels, (told,) = _call(client, "starter.do", spawn)
    if waits == "later":
        run = {"run": done(told)["value"]["run"]}
        labels, (told,) = _call(client, "starter.do", {"call": "kernel.wait", "with": run})
        assert "web" in labels
    assert "web" in done(told)["labels"]


def test_a_spawned_run_carries_what_its_spawner_had_seen(client: Client) -> None:
    more = {"inputs": {"steps": [{"call": "sink.do"}]}, "wait": True}
    _, (_, told) = _call(client, "starter.do", {"call": "relay.do", "with": {"steps": [_TAINTED]}},
                         {"call": "kernel.spawn", "on": "chore", "with": more})  # fmt: skip
    assert "web" in told["value"]["value"]["told"][0]["value"]["labels"]


def test_what_was_seen_still_marks_a_run_and_what_was_written_a_file_after_the_kernel_was_killed(
    tmp_path: Path,
) -> None:
    (tmp_path / "kept").mkdir()
    with Kernel(make_home(tmp_path / "home")) as other:
        ways = rows("source.labelled", "sink.do")
        install(other, ROOT / "hands" / "files")
        cast(other, [actor("source", labels=["web"]), actor("sink"), actor("chore", ways, kind="task")])
        cast(other, [actor("relay", rows("source.labelled") + '"files.*" = ["kept/**"]')])
        steps = [_TAINTED, {"call": "kernel.sleep", "with": {"milliseconds": 500}}, {"call": "sink.do"}]
        with other.client() as second:
            second.call("kernel.root-add", "kept", {"path": str(tmp_path / "kept")})
            done(ask(second, "relay.do", [{"call": "files.write", "on": "kept/a", "send": [_TAINTED, b"x"]}])[0])
            run = begin(second, "chore", steps=steps)
        entry(other.home, "call", method="kernel.sleep", run=run)
        other.kill()
        other.up()
        with other.client() as second:
            reply = second.call("kernel.wait", "", {"run": run})
            told = ask(second, "relay.do", [{"call": "files.read", "on": "kept/a"}])[0]
        outcome: Any = reply.value
        assert reply.labels == ("web",)
        assert done(outcome["value"]["told"][2])["value"]["labels"] == ["web"]
        assert set(done(told)["labels"]) == {"files", "web"}


# files ---------------------------------------------------------------------------------------------------------------


def test_what_is_written_to_a_file_comes_back_with_its_labels(client: Client) -> None:
    write = {"call": "files.write", "on": "reports/note.txt", "send": [b"start", _TAINTED, b"from the web"]}
    _, (written,) = _call(client, "relay.do", write)
    done(written)
    for verb in ("read", "stat"):
        _, (told,) = _call(client, "plain.do", {"call": f"files.{verb}", "on": "reports/note.txt"})
        assert set(done(told)["labels"]) == {"files", "web"}


# too many of them ----------------------------------------------------------------------------------------------------


def test_more_than_a_header_can_carry_stand_for_all_and_harm_nobody(kernel: Kernel, client: Client) -> None:
    """A full set of labels must not be a weapon against providers, callers or subscribers."""
    full = [f"mark-{number}" for number in range(LABELS_MAX)]
    cast(kernel, [actor("painter", rows("source.labelled", "sink.do"))])
    runs_before: Any = client.call("kernel.ps").value
    _, told = _call(
        client, "painter.do",
        {"call": "source.labelled", "labels": full},
        {"call": "sink.do", "with": {"steps": [{"reply": {}, "labels": [f"other-{number}" for number in range(60)]}]}},
        {"call": "sink.do"},
    )  # fmt: skip
    assert [one["labels"] for one in told] == [["*"], ["*"], ["*"]]
    alive = {one["run"] for one in client.call("kernel.ps").value["runs"]}  # type: ignore[index,call-overload,union-attr]
    assert {one["run"] for one in runs_before["runs"] if one["hand"] in ("source", "sink")} <= alive


def test_an_event_of_a_run_with_too_many_labels_ends_none_of_its_subscribers(kernel: Kernel, client: Client) -> None:
    news = '[events]\npublishes = ["loud"]\nsubscribes = ["painted.loud"]'
    cast(kernel, [actor("painted", more=news), actor("victim", more=news)])
    _call(client, "victim.do", {"subscribe": "painted.loud"})
    for first in (0, 60):
        _call(client, "painted.do", {"reply": {}, "labels": [f"m-{first + number}" for number in range(60)]})
    _call(client, "painted.do", {"publish": "loud", "parent": 0})
    _, (heard,) = _call(client, "victim.do", {"heard": 1})
    assert heard["events"][0]["labels"] == ["*"]


# everything together -------------------------------------------------------------------------------------------------

NAMES: Final = ("relay", "plain", "sink", "source")
TREE: st.SearchStrategy[Any] = st.recursive(
    st.just([]),
    lambda inner: st.lists(
        st.tuples(st.sets(st.sampled_from("abcdef"), max_size=2), inner), max_size=3
    ),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=30)
@given(TREE)
def test_a_reply_carries_every_label_that_was_seen_below_it(kernel: Kernel, client: Client, tree: Any) -> None:
    """Calls in calls, each answer adding marks of its own: what comes up has all of them, at every level."""
    steps, marks = _script(tree, 0)
    labels, told = _call(client, "level-0.do", *steps)
    assert set(labels) == marks
    _levels(told)


@pytest.fixture(scope="module", autouse=True)
def _level(kernel: Kernel) -> None:
    for depth in reversed(range(8)):
        install(kernel, actor(f"level-{depth}", rows(*[f"level-{below}.do" for below in range(depth + 1, 8)])))


def _script(tree: Any, depth: int) -> tuple[list[dict[str, object]], set[str]]:
    steps: list[dict[str, object]] = []
    marks: set[str] = set()
    for own, inner in tree if depth < 6 else []:
        below, seen = _script(inner, depth + 1)
        answer = {"reply": {}, "labels": sorted(own)}
        steps.append({"call": f"level-{depth + 1}.do", "with": {"steps": [*below, answer]}})
        marks |= seen | own
    return steps, marks


def _levels(told: Any) -> None:
    """A later call for the same caller carries at least what earlier replies brought."""
    seen: set[str] = set()
    for one in told:
        assert seen <= set(one["labels"])
        seen |= set(one["labels"])
        _levels(one["value"]["told"])
