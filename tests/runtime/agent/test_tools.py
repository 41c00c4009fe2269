"""Methods as tools: names that every provider takes, each its own; and arguments on the way back."""

import re

from hypothesis import given
from hypothesis import strategies as st

from manifests.grants import is_method
from runtime.agent.tools import OWN, Offered, Ready, Row, offered, ready
from runtime.models.messages import TOOL_NAME

methods = st.lists(
    st.from_regex(r"[a-z][a-z0-9]{0,40}(-[a-z0-9]{1,20}){0,2}(\.[a-z][a-z0-9]{0,30}){1,2}", fullmatch=True).filter(
        is_method
    ),
    unique=True,
    max_size=12,
)


@given(methods)
def test_each_method_has_a_name_of_its_own_that_providers_take(given: list[str]) -> None:
    rows = [Row(method=method, summary="x", resource="none", effect="read") for method in [*given, "read.result"]]
    found = offered(rows, ())
    assert all(re.match(TOOL_NAME, name) for name in found)
    assert OWN.isdisjoint(found)
    wanted = {method for method in [*given, "read.result"] if not method.startswith(("kernel.", "model."))}
    assert {one.method for one in found.values()} == wanted


def _one(**params: str) -> Offered:
    (one,) = offered([Row(method="a.b", summary="x.", resource="path", effect="external", params=params)], ()).values()
    return one


def test_a_resource_whose_name_is_taken_is_called_resource() -> None:
    assert _one(path="string").argument == "resource"
    assert ready(_one(path="string"), {"resource": "a", "path": "b"}) == Ready(
        method="a.b", resource="a", arguments={"path": "b"}
    )


def test_what_may_be_left_out_may_also_be_null() -> None:
    assert ready(_one(size="int?"), {"path": "a", "size": None}) == Ready(method="a.b", resource="a", arguments={})


def test_bytes_come_as_base64() -> None:
    one = _one(body="bytes")
    assert ready(one, {"path": "a", "body": "AP8="}) == Ready(
        method="a.b", resource="a", arguments={"body": b"\x00\xff"}
    )
    assert ready(one, {"path": "a", "body": "no!"}) == "`body` is not base64"


def test_a_description_says_what_it_changes() -> None:
    assert _one().tool.description == "x. It acts beyond this machine."
