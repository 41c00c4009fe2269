"""How long a value with a `ttl` can be read: given in seconds to memory.set, in milliseconds to memory.change, or as text."""

import time
from datetime import datetime
from typing import Any

import pytest

from tests.hands.memory.conftest import Desk


def seconds_left(desk: Desk, key: str) -> float:
    found: dict[str, Any] = desk.call("get", key=key)
    return datetime.fromisoformat(found["expires"]).timestamp() - time.time()


@pytest.mark.parametrize("ttl", ["1h", 3600, 3600.0])
def test_a_value_that_was_set_for_an_hour_expires_after_an_hour(desk: Desk, ttl: object) -> None:
    desk.call("set", key="k", value=1, ttl=ttl)
    assert 3590 < seconds_left(desk, "k") <= 3600


@pytest.mark.parametrize("ttl", ["1h", 3_600_000])
def test_a_change_takes_a_duration_or_milliseconds(desk: Desk, ttl: object) -> None:
    desk.call("change", changes=[{"key": "k", "value": 1, "ttl": ttl}])
    assert 3590 < seconds_left(desk, "k") <= 3600


def test_a_value_expires_at_its_time(desk: Desk) -> None:
    desk.call("set", key="k", value=1, ttl="2s")
    assert desk.call("get", key="k")["value"] == 1
    desk.until(lambda: not desk.call("list")["keys"], "the end of the value")
    assert "there is no key 'k' here" in desk.fails("get", key="k")


@pytest.mark.parametrize("ttl", [0, "0s", 0.0001])
def test_a_ttl_of_nothing_is_refused(desk: Desk, ttl: object) -> None:
    assert "ttl must be at least a millisecond" in desk.fails("set", key="k", value=1, ttl=ttl)


def test_a_change_with_a_ttl_that_is_no_duration_is_refused(desk: Desk) -> None:
    assert desk.fails("change", changes=[{"key": "k", "value": 1, "ttl": "soon"}]).startswith("arguments: 'k': ttl: ")
    assert desk.fails("change", changes=[{"key": "k", "value": 1, "ttl": -5}]).startswith("arguments: 'k': ttl must be")
