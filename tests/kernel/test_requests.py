"""What a run can make the kernel read in one call of its own methods is bounded; what is only handed on is not read."""

import pytest
from msgspec import Raw

from kernel.errors import Failure
from kernel.methods import TABLE
from kernel.methods.request import Request
from kernel.runs import Peer, Run
from manifests.calls import OpenCall
from manifests.grants import GrantSet
from manifests.installed import Installed, Package
from manifests.policy import Link
from manifests.schema import HandSection, Manifest
from wire import codec, limits
from wire.ids import HandId, RunId
from wire.rates import Rate

SECTION = HandSection(name="bad", version="1.0.0", description="x", entry="m:C", kind="task", autonomy="full")
HAND = Installed(
    id=HandId("h-1"), name="bad", version="1.0.0", folder="bad", number=1, seal="",
    package=Package(seal="", manifest=Manifest(hand=SECTION), digest=""),
)  # fmt: skip


def _asked(method: str, arguments: object, *, operators: bool = False) -> Request:
    row = TABLE[method]
    run = None if operators else Run(RunId("r-1"), HAND, GrantSet.of(()), b"", None)
    call = OpenCall(
        2, "r-1", Link(hand="h-1", name="bad", grants=None), b"route", 1, provided=row.provided, resource="",
        body=codec.encode_body(arguments), parent=None, deadline=1.0, labels=frozenset(), most=None, upload=False,
    )  # fmt: skip
    peer = Peer(b"route", "r-1", run, Rate(1, 0.0), 1, (0, 0))
    return Request(None, call, peer, row.unread)  # type: ignore[arg-type]  # nothing here asks the kernel


def test_a_run_makes_the_kernel_read_so_much_at_a_time_and_no_more() -> None:
    text = "x" * (limits.ARGUMENTS_MAX - 3)
    assert _asked("kernel.note", {"text": text}).text("text") == text
    assert _asked("kernel.note", {"text": text + "x"}, operators=True).text("text") == text + "x"
    for method, name in (("kernel.note", "text"), ("kernel.fire", "body"), ("kernel.spawn", "timeout")):
        with pytest.raises(Failure, match="at most 64 KiB"):
            _asked(method, {name: text + "x"})


def test_the_inputs_of_a_run_are_handed_on_and_not_read() -> None:
    inputs = {"a": [[]] * (limits.BODY_MAX // 2), "b": 2**64 - 1}
    request = _asked("kernel.spawn", {"inputs": inputs, "detached": True})
    assert isinstance(given := request.arguments["inputs"], Raw)
    assert (bytes(given), request.arguments["detached"]) == (codec.encode_body(inputs), True)
    assert _asked("kernel.spawn", {"inputs": {}}).arguments == _asked("kernel.spawn", {"inputs": None}).arguments == {}
    with pytest.raises(Failure, match="`inputs` is not a table"):
        _asked("kernel.spawn", {"inputs": [1]})
