"""Durations, sizes, versions, params and settings are read in one way, and a refusal says what to write."""

from contextlib import suppress
from itertools import pairwise
from string import ascii_lowercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests import params, settings, values, versions
from manifests.errors import ParamsInvalid, SettingsInvalid, ValueInvalid
from manifests.schema import Setting
from manifests.suggestions import SHOWN
from manifests.typed import TYPES, convert, from_text
from wire import codec


@given(st.integers(0, values.LONGEST_MS))
def test_a_duration_is_read_back_as_it_was_written(amount: int) -> None:
    assert values.parse_duration(values.format_duration(amount)) == amount


@given(st.integers(0, values.LARGEST))
def test_a_size_is_read_back_as_it_was_written(amount: int) -> None:
    assert values.parse_size(values.format_size(amount)) == amount


@pytest.mark.parametrize("text", ["", "60", "s", "-1s", "1.5s", "01s", "1 s", "1m30s", "1S", "1w", "٣s", "9999999d"])
def test_a_duration_has_one_spelling(text: str) -> None:
    with pytest.raises(ValueInvalid):
        values.parse_duration(text)


@pytest.mark.parametrize(
    ("text", "instead"),
    [("1MB", '"1MiB"'), ("1mb", '"1MiB"'), ("2G", '"2GiB"'), ("3k", '"3KiB"'), ("1", "MiB"), ("5000TiB", "4096TiB")],
)
def test_a_size_in_another_spelling_is_refused_with_the_right_one(text: str, instead: str) -> None:
    with pytest.raises(ValueInvalid) as refused:
        values.parse_size(text)
    assert instead in refused.value.instead


def test_every_default_lies_between_its_floor_and_ceiling() -> None:
    for limit in values.LIMITS.values():
        assert limit.floor <= limit.default <= limit.ceiling


def test_versions_are_ordered_as_semver_orders_them() -> None:
    order = ["0.9.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1"]
    order += ["1.0.0", "1.0.1", "1.10.0"]
    assert sorted(order, key=versions.rank) == order
    assert all(versions.is_older(a, b) for a, b in pairwise(order))
    assert not versions.is_older("1.0.0+a", "1.0.0+b")


@pytest.mark.parametrize("text", ["1", "1.0", "01.0.0", "1.0.0-", "1.0.0-01", "v1.0.0", "1.0.0\n", "1.0.0-" + "a" * 64])
def test_what_is_no_version_is_not_ordered(text: str) -> None:
    assert not versions.is_version(text)
    with pytest.raises(ValueError, match="is not a version"):
        versions.rank(text)


# params ------------------------------------------------------------------------------------------------------------

DECLARED = {
    "target": "string",
    "count": "int?",
    "share": "float?",
    "deep": "bool?",
    "body": "bytes?",
    "timeout": "duration?",
    "most": "size?",
    "steps": "list?",
    "row": "dict?",
    "extra": "any?",
}


def test_arguments_arrive_typed() -> None:
    given_ones = {"target": "x", "share": 1, "timeout": "1500ms", "most": "4KiB", "steps": ("a", 1), "extra": None}
    assert params.check(DECLARED, given_ones) == {
        "target": "x",
        "share": 1.0,
        "timeout": 1.5,
        "most": 4096,
        "steps": ["a", 1],
    }
    assert params.check({"extra": "any"}, {"extra": None}) == {"extra": None}
    assert params.check(DECLARED, {"target": "x", "timeout": 2, "most": 7})["timeout"] == 2.0


def test_of_many_names_that_are_no_params_few_are_looked_at() -> None:
    with pytest.raises(ParamsInvalid) as refused:
        params.check({"target": "string?"}, {"t" * 65: 1, **{f"tarket{one}": 1 for one in range(169_999)}})
    long, *near, rest = refused.value.problems
    assert long == f"`{'t' * 64}…` is not a param; there are target"
    assert near == [f'`tarket{one}` is not a param; did you mean "target"?' for one in range(4)]
    assert rest == "and 169,995 more are no params"


@pytest.mark.parametrize("value", [[], "x", 5, [{}], True])
def test_what_is_handed_on_unread_is_a_table(value: object) -> None:
    table = codec.decode_table(
        codec.encode_body({"a": {"b": [1]}, "none": None, "empty": {}, "wide": {str(n): n for n in range(70_000)}})
    )
    kept = params.pass_through({}, table)
    assert ({*kept}, codec.encode_body(kept["a"])) == ({"a", "wide"}, codec.encode_body({"b": [1]}))
    with pytest.raises(ParamsInvalid, match="`a` is not a table"):
        params.pass_through({"a": "dict?"}, codec.decode_table(codec.encode_body({"a": value})))


def test_nothing_given_for_what_is_needed_is_the_same_as_missing() -> None:
    with pytest.raises(ParamsInvalid, match="`target` is missing"):
        params.check({"target": "string"}, {"target": None})


def test_all_that_is_wrong_with_arguments_is_told_at_once() -> None:
    with pytest.raises(ParamsInvalid) as refused:
        params.check(
            DECLARED, {"cuont": 1, "count": True, "share": float("nan"), "timeout": "soon", "most": -1, "steps": {}}
        )
    assert refused.value.problems == (
        '`cuont` is not a param; did you mean "count"?',
        "`target` is missing; give target=... (string)",
        "`count`: it is true, not an int; give a whole number",
        "`share`: it is not a finite number; give a number",
        '`timeout`: "soon" is not a duration; write a whole number and ms, s, m, h or d, such as "60s"',
        '`most`: -1 is out of range for a size; give a size such as "4MiB"',
        "`steps`: it is an empty list, not a list; give a list".replace("an empty list", "a table"),
    )


@given(
    st.sampled_from(TYPES),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(), st.lists
    ),
)
def test_any_value_is_converted_once_and_for_all_or_refused(of_type: str, value: object) -> None:
    try:
        converted = convert(of_type, value)
    except ValueInvalid:
        return
    assert convert(of_type, converted) == converted


@pytest.mark.parametrize("value", [2**63, float("inf"), "\ud800", [["\ud800"]], {1: 2}, {"a": {"b": object()}}])
def test_what_cannot_travel_is_refused(value: object) -> None:
    with pytest.raises(ValueInvalid):
        convert("any", value)


def test_endless_nesting_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(ValueInvalid, match="deep"):
        convert("list", value)


def test_arguments_typed_on_the_command_line_are_read_by_their_type() -> None:
    typed = {
        "target": "7",
        "count": "7",
        "share": "1e-1",
        "deep": "true",
        "body": "ä",
        "timeout": "5s",
        "most": "12",
        "steps": '["a", 1]',
        "row": '{"a": null}',
        "extra": "plain words",
    }
    assert params.parse(DECLARED, typed) == {
        "target": "7",
        "count": 7,
        "share": 0.1,
        "deep": True,
        "body": "ä".encode(),
        "timeout": "5s",
        "most": 12,
        "steps": ["a", 1],
        "row": {"a": None},
        "extra": "plain words",
    }
    with pytest.raises(ParamsInvalid) as refused:
        params.parse(DECLARED, {"count": "many", "steps": "a,b", "shaer": "1"})
    assert [problem.split(":")[0].split(" ")[0] for problem in refused.value.problems] == [
        "`steps`",
        "`shaer`",
        "`target`",
        "`count`",
    ]


OF_TYPE = {
    "string": str, "bool": bool, "bytes": bytes, "int": int, "float": float, "duration": float, "size": int,
    "list": list, "dict": dict, "any": object,
}  # fmt: skip


@given(st.sampled_from(TYPES), st.text(max_size=40) | st.text('0123456789smhdkKMGiB.-[]{}":,', max_size=8))
def test_any_typed_text_is_read_as_its_type_or_refused(of_type: str, text: str) -> None:
    with suppress(ValueInvalid):
        assert isinstance(convert(of_type, from_text(of_type, text)), OF_TYPE[of_type])


# settings ----------------------------------------------------------------------------------------------------------

SETTINGS = {
    "target": Setting(type="string", required=True, help="What to watch"),
    "every": Setting(type="duration", default=60.0, min=1.0, max=3600.0),
    "level": Setting(type="string", choices=("low", "high")),
    "token": Setting(type="string", secret=True, choices=("right-token",)),
}


def test_settings_get_their_defaults_and_types() -> None:
    assert settings.check(SETTINGS, {"target": "x", "every": "2m"}) == {"target": "x", "every": 120.0}
    assert settings.check(SETTINGS, {"target": "x"}) == {"target": "x", "every": 60.0}


def test_all_that_is_wrong_with_settings_is_told_at_once_and_no_secret_with_it() -> None:
    with pytest.raises(SettingsInvalid) as refused:
        settings.check(SETTINGS, {"evry": 1, "every": "2h", "level": "middle", "token": "hunter2"})
    assert refused.value.problems == (
        '`evry` is not a setting; did you mean "every"?',
        "`target` has no value; give target=... (What to watch)",
        "`every`: 2h is too large; give at most 1h",
        "`level`: 'middle' is not a choice; give one of low, high",
        "`token`: its secret value is not a choice; give one of right-token",
    )
    assert str(refused.value).splitlines() == [*refused.value.problems]
    with pytest.raises(SettingsInvalid) as refused:
        settings.check({"pin": Setting(type="string", secret=True, required=True)}, {})
    assert refused.value.problems == ("`pin` has no value; give --secret pin",)
    with pytest.raises(SettingsInvalid) as refused:
        settings.parse({"pin": Setting(type="duration", secret=True)}, {"pin": "hunter2"})
    assert "hunter2" not in str(refused.value)


def test_a_number_out_of_range_is_told_as_one_would_type_it() -> None:
    declared = {
        "most": Setting(type="size", max=4 << 20), "count": Setting(type="int", min=2, max=5),
        "share": Setting(type="float", max=0.5),
    }  # fmt: skip
    fits = {"most": 4 << 20, "count": 2, "share": 0.5}
    assert settings.check(declared, fits) == fits
    with pytest.raises(SettingsInvalid) as refused:
        settings.check(declared, {"most": "5MiB", "count": 6, "share": 0.75})
    assert refused.value.problems == (
        "`most`: 5MiB is too large; give at most 4MiB",
        "`count`: 6 is too large; give at most 5",
        "`share`: 0.75 is too large; give at most 0.5",
    )
    with pytest.raises(SettingsInvalid, match="`count`: 1 is too small; give at least 2"):
        settings.check(declared, {"count": 1})


def test_who_names_no_setting_is_told_which_there_are() -> None:
    many = {f"{letter}-value": Setting(type="int") for letter in ascii_lowercase}
    for declared, told in (
        ({}, "this Hand has none"),
        (dict(list(many.items())[:2]), "there are a-value, b-value"),
        (many, f"there are {', '.join(list(many)[:SHOWN])} and {26 - SHOWN} more"),
    ):
        with pytest.raises(SettingsInvalid) as refused:
            settings.parse(declared, {"zzz": "1"})
        assert refused.value.problems == (f"`zzz` is not a setting; {told}",)


def test_what_a_hand_needs_to_start_is_told_as_one_gives_it() -> None:
    declared = {**SETTINGS, "pin": Setting(type="string", secret=True, required=True)}
    assert settings.missing_required(declared, {}) == "target=… --secret pin"
    assert settings.missing_required(declared, {"target": "x", "pin": None}) == "--secret pin"
    assert settings.missing_required(declared, {"target": "x", "pin": "1"}) == ""
    assert settings.missing_required({"every": Setting(type="int", required=True, default=5)}, {}) == ""


def test_of_what_a_tape_has_of_settings_the_secret_ones_are_those_of_now() -> None:
    plain, secret = settings.split_secrets(SETTINGS, {"target": "x", "token": "right-token", "old": 1})
    assert (plain, secret) == ({"target": "x", "old": 1}, {"token": "right-token"})
    told = {"target": "then", "token": "then"}
    for is_all in (True, False):
        body = codec.encode_body(told if is_all else {"settings": told})
        kept = codec.decode_body(
            settings.replace_secrets(SETTINGS, body, {"target": "now", "token": "now"}, is_all=is_all)
        )
        now = {"target": "then", "token": "now"}
        assert kept == (now if is_all else {"settings": now})
    body = codec.encode_body(told)
    assert codec.decode_body(settings.replace_secrets(SETTINGS, body, {}, is_all=True)) == {"target": "then"}


def test_a_required_setting_that_a_change_leaves_alone_may_still_be_missing() -> None:
    assert settings.check(SETTINGS, {"every": 90.0}, untouched=("target",)) == {"every": 90.0}
    with pytest.raises(SettingsInvalid, match="`target` has no value"):
        settings.check(SETTINGS, {"every": 90.0}, untouched=("every",))


def test_settings_typed_on_the_command_line_are_read_by_their_type() -> None:
    assert settings.parse(SETTINGS, {"every": "90", "level": "low"}) == {"every": 90.0, "level": "low"}
    with pytest.raises(SettingsInvalid, match="is not a setting"):
        settings.parse(SETTINGS, {"colour": "red"})


def test_secrets_and_strangers_are_hidden_when_shown() -> None:
    assert settings.hide_secrets(SETTINGS, {"target": "x", "token": "hunter2", "old": "y"}) == {
        "target": "x",
        "token": settings.HIDDEN,
        "old": settings.HIDDEN,
    }


@given(st.integers(0, 2**32 - 1), st.integers(0, 10**6), st.none() | st.integers(0, 10**9))
def test_a_runs_user_id_is_in_its_homes_range_and_no_services_is_a_tasks(
    seed: int, installed: int, task_run: int | None
) -> None:
    uid = values.uid_of(seed, installed, task_run)
    first = values.UID_BASE + seed % values.HOMES * values.UID_COUNT
    assert first <= uid < first + values.UID_COUNT < 2**31
    assert (uid < first + values.SERVICE_UIDS) is (task_run is None)


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_guests_share_what_their_process_does_not_need_in_whole_pages(at_once: int) -> None:
    for memory in (values.WASM_LEAST, values.WASM_LEAST + 1, 256 << 20, 64 << 30):
        each = values.guest_memory(memory, at_once)
        assert each % 65_536 == 0
        assert 0 < each * at_once <= memory - values.WASM_OWN
    assert values.guest_memory(values.WASM_LEAST, 1) == 32 << 20
