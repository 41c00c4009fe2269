"""What [agent] task declares is read before it is needed: each mistake is found by `maniple check`, not by a run."""

import json

import msgspec
import pytest

from manifests.agent_task import MADE, Task, find_fault
from runtime.models.drivers.offline_steps import next_step
from runtime.models.messages import Message, Text, ToolCall, ToolResult

READ = {"tool": "files_read", "arguments": {"path": "a.csv"}}


def _told(**written: object) -> dict[str, object]:
    return {"kind": "steps", "steps": [READ, {"tool": "report_make", "arguments": {"text": written}}]}


@pytest.mark.parametrize("do", MADE)
def test_what_the_offline_driver_does_has_no_fault(do: str) -> None:
    raw = json.dumps(_told(**{"$join": ["# A\n", {"$of": 1, "$do": do}]})).encode()
    assert find_fault(raw, has_schema=False) == ""
    asked = Message(role="assistant", parts=(ToolCall(id="step-1", name="files_read"),))
    result = Message(role="user", parts=(ToolResult(id="step-1", content=(Text(text="a,b\n1,2\n"),)),))
    assert isinstance(next_step(msgspec.json.decode(raw, type=Task).steps, (asked, result)), ToolCall)


@pytest.mark.parametrize(
    ("task", "has_schema", "why"),
    [
        ({}, False, "kind"),
        ({"kind": "sumarise"}, False, "sumarise"),
        ({"kind": "summarise", "moast": 1}, False, "moast"),
        ({"kind": "classify"}, False, "`among`"),
        ({"kind": "rank", "query": "rain"}, False, "`among`"),
        ({"kind": "fill"}, False, "[agent] schema"),
        ({"kind": "fill"}, True, ""),
        ({"kind": "steps"}, False, "`steps`"),
        ({"kind": "steps", "steps": [{"tool": "files.read"}]}, False, '"_" for each "."'),
        (_told(**{"$of": 2}), False, "step 2: \"$of\" is not"),
        (_told(**{"$of": "1"}), False, "step 2: \"$of\" is not"),
        (_told(a=[{"$of": 1, "$do": "discribe"}]), False, 'did you mean "describe"?'),
        (_told(**{"$join": {"$of": 1}}), False, 'step 2: "$join" is not a list'),
    ],
)  # fmt: skip
def test_a_fault_of_a_task_is_told(task: object, has_schema: bool, why: str) -> None:
    found = find_fault(json.dumps(task).encode(), has_schema=has_schema)
    assert why in found
    assert bool(found) == bool(why)
