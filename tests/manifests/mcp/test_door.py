"""The Hand that a door becomes: what it holds, and that nobody is asked about its runs where he is about what they do."""

import pytest
import tomli_w

from manifests.check import check
from manifests.mcp.door import Wanted, Work, manifest_of
from manifests.schema import Capability


@pytest.mark.parametrize(("autonomy", "approval"), [("supervised", False), ("full", None)])
def test_a_door_holds_what_it_offers_and_may_begin_and_stop_its_own_runs(autonomy: str, approval: bool | None) -> None:
    wanted = Wanted(
        name="desk", methods={"files.read": ("reports/**",)}, hands={"loader": Work(summary="Load")},
        lends={"web.fetch": ("https://a.example/**",)}, autonomy=autonomy,
    )  # fmt: skip
    made = check(tomli_w.dumps(manifest_of(wanted)))
    assert made.hand.autonomy == autonomy
    assert made.capabilities == (
        Capability(method="files.read", allow=("reports/**",)),
        Capability(method="kernel.spawn", allow=("loader",), approval=approval),
        Capability(method="kernel.stop", allow=("r-*",), approval=approval),
    )
    assert made.lends == (Capability(method="web.fetch", allow=("https://a.example/**",), lent=True),)


def test_a_door_that_starts_no_hand_holds_nothing_to_do_so() -> None:
    made = check(tomli_w.dumps(manifest_of(Wanted(name="desk", methods={"files.read": ("a/**",)}))))
    assert made.capabilities == (Capability(method="files.read", allow=("a/**",)),)
