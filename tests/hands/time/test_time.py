"""Moments are read and told as the clocks of a zone show them, also where these are put forward and back."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.hands.doubles import FakeCall, hand_module, seated

reading = hand_module("time", "time_reading")
main = hand_module("time", "main")


def asked(folder: Path, method: str, **arguments: object) -> dict[str, object]:
    hand = seated(main.Time, "time", folder, {})
    reply: dict[str, object] = asyncio.run(hand.on_call(FakeCall("", f"time.{method}"), arguments))
    return reply


def test_now_is_told_in_the_zone_that_was_asked_for(tmp_path: Path) -> None:
    before = datetime.now(UTC).timestamp()
    told = asked(tmp_path, "now", zone="Asia/Kolkata")
    assert before - 1 <= int(str(told["unix"])) <= datetime.now(UTC).timestamp()
    assert (told["offset"], told["zone"], told["summer"]) == ("+05:30", "Asia/Kolkata", False)
    assert datetime.fromisoformat(str(told["time"])) == datetime.fromisoformat(str(told["utc"]))


@pytest.mark.parametrize(
    ("time", "of", "zone", "becomes"),
    [
        ("2026-12-01T09:00", "Europe/Berlin", "America/New_York", "2026-12-01T03:00:00-05:00"),
        ("2026-07-01T09:00", "Europe/Berlin", "UTC", "2026-07-01T07:00:00+00:00"),
        ("2026-07-01T09:00+09:00", "Europe/Berlin", "UTC", "2026-07-01T00:00:00+00:00"),
        ("2026-12-01", "Pacific/Kiritimati", "UTC", "2026-11-30T10:00:00+00:00"),
    ],
)
def test_a_time_is_converted(tmp_path: Path, time: str, of: str, zone: str, becomes: str) -> None:
    assert asked(tmp_path, "convert", time=time, of=of, zone=zone)["time"] == becomes


def test_times_that_clocks_show_twice_or_never_are_told(tmp_path: Path) -> None:
    twice = asked(tmp_path, "convert", time="2026-10-25T02:30", of="Europe/Berlin")
    assert (twice["utc"], twice["ambiguous"], twice["skipped"]) == ("2026-10-25T00:30:00Z", True, False)
    never = asked(tmp_path, "convert", time="2026-03-29T02:30", of="Europe/Berlin")
    assert (never["utc"], never["ambiguous"], never["skipped"]) == ("2026-03-29T01:30:00Z", False, True)
    usual = asked(tmp_path, "convert", time="2026-03-29T03:30", of="Europe/Berlin")
    assert (usual["ambiguous"], usual["skipped"]) == (False, False)


def test_offsets_of_the_time_before_there_were_zones_are_whole(tmp_path: Path) -> None:
    told = asked(tmp_path, "convert", time="1800-01-01T00:00", of="Europe/Berlin", zone="Europe/Berlin")
    assert (told["time"], told["offset"]) == ("1800-01-01T00:00:00+00:53:28", "+00:53:28")


def test_durations_are_exact_and_days_are_the_calendars(tmp_path: Path) -> None:
    later = asked(tmp_path, "convert", time="2026-03-28T12:00", of="Europe/Berlin", zone="Europe/Berlin", add="1d")
    assert later["time"] == "2026-03-29T13:00:00+02:00"
    span = asked(tmp_path, "between", start="2026-03-28T23:00", end="2026-03-30T01:00", zone="Europe/Berlin")
    assert span == {"seconds": 25 * 3600.0, "days": 2, "text": "1d 1h"}
    assert asked(tmp_path, "between", start="2026-01-02", end="2026-01-01T23:59:59")["text"] == "-1s"


def test_weeks_and_days_are_those_of_iso_8601(tmp_path: Path) -> None:
    told = asked(tmp_path, "convert", time="2027-01-01")
    assert (told["weekday"], told["week"], told["day_of_year"]) == ("Friday", "2026-W53", 1)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"time": "yesterday"}, "not a moment"),
        ({"time": "2026-13-01"}, "not a moment"),
        ({"time": "1" * 5000}, "not a moment"),
        ({"time": "2026-01-01", "zone": "Europe/Berlim"}, "Europe/Berlin"),
        ({"time": "2026-01-01", "zone": "../../etc/passwd"}, "not a time zone"),
        ({"time": "0001-01-01", "of": "Asia/Tokyo"}, "years"),
        ({"time": "9999-12-31T23:00", "add": "20000d"}, "years"),
        ({"time": "9999-12-31T23:00", "zone": "Pacific/Kiritimati"}, "years"),
        ({"time": "2026-01-01", "add": "99999999999d"}, "years"),
    ],
)
def test_what_is_no_moment_or_zone_is_told(tmp_path: Path, arguments: dict[str, object], why: str) -> None:
    with pytest.raises(main.Failure) as failed:
        asked(tmp_path, "convert", **arguments)
    assert failed.value.code == "arguments"
    assert why in failed.value.text
    assert failed.value.text[-2:] != "?."


def test_what_now_takes_is_what_its_manifest_says(tmp_path: Path) -> None:
    hand = seated(main.Time, "time", tmp_path, {})
    assert hand._place.manifest.provides[main.NOW].params == main.NOW_TAKES
    with pytest.raises(main.Failure) as failed:
        asked(tmp_path, "now", zon="UTC")
    assert failed.value.code == "arguments"
