"""`kernel.check` and the call itself come to the same verdict, in the same words, whoever asks, whatever the state."""

from collections.abc import Iterator, Sequence
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.cli.client import Client
from kernel.cli.exits import NotDone
from manifests.grants import HAND_KERNEL_METHODS
from tests.disguises import DISGUISES
from tests.living import Kernel, Source, install, make_home
from tests.system.actors import Told, actor, ask, cast, not_done

Asked = tuple[str, str]

_BROKEN: Final = Source(
    actor("broken", more='[restart]\nwhen = "failure"\ntimes = 1\nwithin = "1m"').toml,
    """
from runtime import Hand


class Actor(Hand):
    async def on_call(self, call, arguments):
        return {}

    async def start(self):
        raise RuntimeError("never")
""",
)
_CAPABILITIES: Final = """
"open.*" = ["*"]
"resting.*" = ["*"]
"broken.*" = ["*"]
"relay.*" = ["*"]
"reader.do" = ["*"]
"job.do" = ["*"]
"nobody.home" = ["*"]
"kernel.*" = ["*"]
"""
_ACTORS: Final = ("asker", "relay", "reader")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(make_home(tmp_path_factory.mktemp("check") / "home")) as kernel:
        cast(kernel, [actor("open"), actor("resting"), _BROKEN, actor("job", kind="task"), actor("nap", kind="task")])
        install(kernel, actor("reader", _CAPABILITIES, autonomy="readonly"), [])
        install(kernel, actor("relay", _CAPABILITIES), [])
        install(kernel, actor("asker", _CAPABILITIES), [])
        with kernel.client() as client:
            for name in _ACTORS:
                _grant(client, name, ["open.*", "resting.*", "broken.*", "relay.do", "reader.do", "job.do", "kernel.*"])
            assert not_done(client, "broken.do").reason == "quarantined"
            for name in ("resting", "nap"):
                client.call("kernel.pause", name)
        yield kernel


@pytest.fixture(scope="module")
def client(kernel: Kernel) -> Iterator[Client]:
    with kernel.client() as client:
        yield client


def _grant(client: Client, hand: str, methods: Sequence[str], allow: Sequence[str] = ("*",)) -> None:
    client.call("kernel.grant", hand, {"capabilities": [{"method": one, "allow": list(allow)} for one in methods]})


def _pairs(asked: Sequence[Asked]) -> list[dict[str, object]]:
    """Each question before its call."""
    steps: list[dict[str, object]] = []
    for method, resource in asked:
        steps.append({"call": "kernel.check", "with": {"method": method, "resource": resource}})
        steps.append({"call": method, "on": resource})
    return steps


def _agree(asked: Sequence[Asked], told: Sequence[Told]) -> int:
    """How many were allowed."""
    allowed = 0
    for number, what in enumerate(asked):
        check, call = told[2 * number], told[2 * number + 1]
        assert check["end"] == "done", (what, check)
        said = check["value"]
        if call["end"] == "refused":
            told_why = {"allowed": False, "code": call["code"], "why": call["why"], "grant": call["grant"]}
            assert {name: said[name] for name in told_why} == told_why, what
        else:
            assert said["allowed"], (what, said, call)
            allowed += 1
    return allowed


_QUIET: Final = ("kernel.sleep", "kernel.wait", "kernel.pause", "kernel.resume", "kernel.stop")
_TABLE: Final[tuple[Asked, ...]] = (
    *[(f"{hand}.{verb}", "") for hand in ("open", "resting", "broken", "relay", "reader", "job", "asker", "nobody")
      for verb in ("do", "write", "external", "labelled")],
    *[("open.at-path", on) for on in ("a/b", "a//b", "../a", "", "A/b", "a/" + "x" * 256)],
    *[("open.at-url", on) for on in ("https://Example.org:443/%61", "ftp://x/", "https://u@x/", "http://0x7f.1/?q=1")],
    *[("open.at-name", on) for on in ("own", "", "a b")],
    *[(method, on) for method in sorted(HAND_KERNEL_METHODS - {*_QUIET, "kernel.spawn"}) for on in ("", "x")],
    *[(method, on) for method in _QUIET for on in ("x", "../x")],
    *[("kernel.spawn", on) for on in ("job", "nap", "absent", "open", "", "broken")],
    *[(f"kernel.{verb}", on) for verb in ("install", "grant", "down", "freeze", "show", "*") for on in ("", "x")],
    ("", ""), ("*", ""), ("nonsense", ""), ("Open.do", ""), ("open.do ", ""), ("open." + "x" * 90, ""),
)  # fmt: skip


def test_they_agree_on_every_row_of_the_table(client: Client) -> None:
    asked = _TABLE
    assert 10 < _agree(asked, ask(client, "asker.do", _pairs(asked))) < len(asked) - 10


@pytest.mark.parametrize("hops", [("relay.do",), ("reader.do",), ("relay.do", "reader.do")])
def test_they_agree_while_answering_for_others(client: Client, hops: tuple[str, ...]) -> None:
    steps: list[dict[str, object]] = _pairs(_TABLE)
    for method in reversed(hops):
        steps = [{"call": method, "with": {"steps": steps}}]
    told = ask(client, "asker.do", steps)
    for _ in hops:
        told = told[0]["value"]["told"]
    assert _agree(_TABLE, told) > 5


def test_they_agree_for_a_hand_that_only_reads(client: Client) -> None:
    told = ask(client, "reader.do", _pairs(_TABLE))
    _agree(_TABLE, told)
    assert told[2 * _TABLE.index(("open.write", "")) + 1]["code"] == "readonly"
    assert told[2 * _TABLE.index(("kernel.spawn", "job")) + 1]["code"] == "readonly"


def test_they_agree_for_a_run_that_was_spawned(client: Client) -> None:
    steps = [{"call": "kernel.spawn", "on": "job", "with": {"inputs": {"steps": _pairs(_TABLE)}, "wait": True}}]
    (spawned,) = ask(client, "asker.do", steps)
    _agree(_TABLE, spawned["value"]["value"]["told"])


def test_they_agree_on_every_disguise(client: Client) -> None:
    asked = [
        ("open.do" if one.kind == "none" else f"open.at-{one.kind}", one.written)
        for one in DISGUISES
        if len(one.written) <= 1024 and not any("\ud800" <= char <= "\udfff" for char in one.written)
    ]
    _agree(asked, ask(client, "asker.do", _pairs(asked)))


def test_they_agree_in_the_deepest_chain_that_may_be(kernel: Kernel, client: Client) -> None:
    links = [f"link-{number}" for number in range(17)]
    for number in reversed(range(17)):
        install(kernel, actor(links[number], "".join(f'"{one}.do" = ["*"]\n' for one in links[number + 1 :])))
    assert [pair["code"] for pair in _deep(client, links[:15])] == ["", ""]
    assert [pair["code"] for pair in _deep(client, links[:16])] == ["chain", "chain"]  # even the question is a call


def _deep(client: Client, links: Sequence[str]) -> list[Told]:
    """Each calls the next, the operator the first; what the last is told of one call more, and of its check."""
    after = f"link-{len(links)}.do"
    steps: list[dict[str, object]] = _pairs([(after, "")])
    for one in reversed(links[1:]):
        steps = [{"call": f"{one}.do", "with": {"steps": steps}}]
    told = ask(client, f"{links[0]}.do", steps)
    for _ in links[1:]:
        told = told[0]["value"]["told"]
    return [{"code": "", **one} for one in told]


METHODS: Final = ("open.do", "open.write", "open.at-path", "resting.do", "relay.do", "reader.write", "job.do")
RANDOM = st.lists(
    st.tuples(st.sampled_from(METHODS), st.sampled_from(["", "a", "a/b", "b/c.csv", "a//b", "b/../a"])),
    min_size=1, max_size=25,
)  # fmt: skip
PATTERNS = st.lists(st.sampled_from(["*", "a/**", "b/*.csv", "a", "c/**"]), min_size=1, max_size=2, unique=True)


@settings(max_examples=25)
@given(st.dictionaries(st.sampled_from(METHODS), PATTERNS), st.sampled_from([(), ("relay.do",)]), RANDOM)
def test_they_agree_under_random_grants(
    client: Client, grants: dict[str, list[str]], hops: tuple[str, ...], asked: list[Asked]
) -> None:
    client.call("kernel.revoke", "asker", {"method": "open.*"})
    given_now = {**grants, "relay.do": ["*"]}
    for method, allow in given_now.items():
        if method.startswith("open."):
            _grant(client, "asker", [method], allow)
    steps: list[dict[str, object]] = _pairs(asked)
    for method in hops:
        steps = [{"call": method, "with": {"steps": steps}}]
    try:
        told = ask(client, "asker.do", steps)
    finally:
        _grant(client, "asker", ["open.*"])
    _agree(asked, told[0]["value"]["told"] if hops else told)


# the operator --------------------------------------------------------------------------------------------------------


def _operators(client: Client, asked: Sequence[Asked]) -> dict[Asked, str]:
    """What each comes to, check and call alike."""
    codes = {}
    for method, resource in asked:
        said = client.call("kernel.check", "", {"method": method, "resource": resource}).value
        assert isinstance(said, dict)
        try:
            client.call(method, resource)
            codes[method, resource] = ""
        except NotDone as end:
            was_refused = str(end).startswith("refused") or end.reason == "no provider"
            codes[method, resource] = end.reason if was_refused else ""
        assert said["code"] == codes[method, resource], (method, resource, said)
    return codes


_OPERATORS: Final = [(f"{hand}.do", "") for hand in ("open", "resting", "broken", "nobody")] + [
    ("open.at-path", "a//b"), ("open.at-url", "http://0x7f.1"), ("kernel.status", ""), ("kernel.status", "x"),
]  # fmt: skip


def test_they_agree_for_the_operator_also_while_frozen(client: Client) -> None:
    before = _operators(client, _OPERATORS)
    assert set(before.values()) == {"", "paused", "quarantined", "no provider", "resource"}
    client.call("kernel.freeze")
    try:
        frozen = _operators(client, _OPERATORS)
    finally:
        client.call("kernel.thaw")
    assert frozen["open.do", ""] == "frozen"
    assert frozen["kernel.status", ""] == ""
    assert _operators(client, _OPERATORS[:1]) == {("open.do", ""): ""}
