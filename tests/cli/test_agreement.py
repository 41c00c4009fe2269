"""What an install says of a Hand to the person who decides."""

from kernel.cli.agreement import request_rows
from manifests.schema import Capability

EFFECTS = {"notes.read": "read", "notes.write": "write", "post.send": "external"}


def test_what_a_hand_asks_for_and_its_autonomy_refuses_is_said() -> None:
    """`maniple new` makes a readonly Hand: else the first to say so is its first call."""
    wanted = [Capability(method=method, allow=("*",)) for method in (*EFFECTS, "notes.*", "later.come")]
    said = {
        autonomy: ["refused" in what for *_, what in request_rows(wanted, EFFECTS, autonomy)]
        for autonomy in ("readonly", "supervised")
    }
    assert said == {"readonly": [False, True, True, True, False], "supervised": [False] * 5}
