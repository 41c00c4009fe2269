"""A pipeline's file: everything it may say is read, everything else is told, all at once, with its place and the mend."""

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import ManifestInvalid, Problem
from manifests.pipeline import keys
from manifests.pipeline.check import check
from manifests.pipeline.folder import manifest_of
from manifests.pipeline.installed import Known, lends_of
from manifests.pipeline.keys import STEPS_MOST
from manifests.pipeline.schema import Retry, Work
from manifests.schema import Capability

BAD = sorted((Path(__file__).parent / "bad").glob("*.toml"))
FILE = "made.pipeline.toml"
_EXPECTED = re.compile(r"^# (\d+):(\d+) (.*)\n#   -> (.*)$", re.MULTILINE)


def cap(method: str, *allow: str, lent: bool = False) -> Capability:
    """A capability in one line."""
    return Capability(method=method, allow=allow, lent=lent)


HANDS = {
    one.name: one
    for one in (
        Known(name="adder", params={"a": "int", "b": "int?", "c": "any?", "d": "any?"}),
        Known(name="files", is_task=False),
        Known(
            name="loader",
            asks=(cap("files.read", "reports/**"), cap("files.write", "reports/**")),
            granted=(cap("files.read", "reports/**"), cap("files.write", "reports/**")),
        ),
        Known(
            name="looper", is_pipeline=True, params={},
            asks=(cap("kernel.spawn", "made"),), granted=(cap("kernel.spawn", "made"),),
        ),
        Known(name="needy", asks=(cap("files.read", "a/**", "b/**"),), granted=(cap("files.read", "a/**"),)),
        Known(name="odd", asks=(cap("files.read", "ada's/**"),)),
        Known(
            name="round", is_pipeline=True, params={},
            asks=(cap("kernel.spawn", "looper"),), granted=(cap("kernel.spawn", "looper"),),
        ),
        Known(name="shell", has_work=False),
        Known(
            name="sub", is_pipeline=True, params={"day": "string"},
            asks=(cap("kernel.spawn", "loader"), cap("files.read", "reports/**", lent=True)),
            granted=(cap("kernel.spawn", "loader"), cap("files.read", "reports/**", lent=True)),
        ),
    )
}  # fmt: skip


def problems(text: str) -> tuple[Problem, ...]:
    """What is wrong with it, in this home."""
    with pytest.raises(ManifestInvalid) as refused:
        check(text, file=FILE, hands=HANDS)
    return refused.value.problems


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.name.partition(".")[0])
def test_each_bad_file_gets_the_messages_written_in_it_and_no_other(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    expected = [Problem(FILE, int(a), int(b), what, instead) for a, b, what, instead in _EXPECTED.findall(text)]
    assert expected
    assert list(problems(text)) == expected


EVERYTHING = """
[pipeline]
name = "made"
version = "1.2.0"
description = "Says everything that a pipeline may say."
wall = "2h"
parallel = 4

[inputs]
day = "string"
limit = "int?"

[lends]
"files.read" = ["reports/**"]

[steps.load]
hand = "loader"
with = { path = "reports/${inputs.day}.csv", limit = "${default(inputs.limit, 10)}" }
retry = { times = 3, backoff = "500ms", on = ["ended"] }
timeout = "10m"
undo = { hand = "loader", with = { path = "${output.path}" }, retry = { times = 1 }, timeout = "1s" }
on_failure = "spare"

[steps.spare]
hand = "loader"
with = { why = "${failure.text}" }

[steps.each]
pipeline = "sub"
needs = ["load"]
when = "${steps.load.rows > 0}"
for_each = "${steps.load.days}"
parallel = 2
with = { day = "${text(item)}" }
approval = "day ${text(item)} goes out"
on_failure = "skip"

[finally.tell]
hand = "adder"
when = "${outcome == 'failed'}"
with = { a = 1, c = "${failure.step}" }
on_failure = "skip"

[outputs]
rows = "${steps.load.rows}"
price = "$${5}"
"""


def test_everything_a_file_may_say_is_read() -> None:
    made = check(EVERYTHING, file=FILE, hands=HANDS)
    assert (made.wall_ms, made.parallel, made.inputs) == (7_200_000, 4, {"day": "string", "limit": "int?"})
    load, each = made.steps["load"], made.steps["each"]
    assert load.work.retry == Retry(times=3, backoff_ms=500, on=("ended",))
    assert load.undo == Work(hand="loader", given={"path": "${output.path}"}, retry=Retry(times=1), timeout_ms=1_000)
    assert (load.on_failure, made.steps["spare"].stands_in, each.on_failure) == ("spare", True, "skip")
    assert (each.work.approval, load.work.approval) == ("day ${text(item)} goes out", "")
    assert (each.needs, each.parallel, each.work.is_pipeline) == (("load",), 2, True)
    assert made.last["tell"].when == "${outcome == 'failed'}"
    assert made.hands() == ("loader", "sub", "adder")


def test_what_undoes_a_step_for_each_has_its_item_and_an_input_that_may_be_left_out_fits_anywhere() -> None:
    undo = 'undo = { hand = "adder", with = { a = "${index + 1}", b = "${inputs.limit + 1}", c = "${item}" } }'
    text = EVERYTHING.replace('on_failure = "skip"\n\n[finally', f'on_failure = "skip"\n{undo}\n\n[finally')
    made = check(text, file=FILE, hands=HANDS).steps["each"].undo
    assert made is not None
    assert made.given["c"] == "${item}"


@pytest.mark.parametrize("raw", ["5", '"day"', "[1]", "[]"])
def test_inputs_that_are_no_table_are_told_so(raw: str) -> None:
    text = EVERYTHING.replace('[inputs]\nday = "string"\nlimit = "int?"\n', "")
    assert any(one.what.startswith("inputs is") for one in problems(f"inputs = {raw}\n{text}"))


def test_a_retry_may_come_at_once() -> None:
    made = check(EVERYTHING.replace('backoff = "500ms"', 'backoff = "0ms"'), file=FILE, hands=HANDS)
    assert made.steps["load"].work.retry == Retry(times=3, backoff_ms=0, on=("ended",))


def test_there_are_only_so_many_steps() -> None:
    head = EVERYTHING.partition("[steps.load]")[0]
    steps = [f'[steps.s{number}]\nhand = "loader"\n' for number in range(STEPS_MOST + 1)]
    check(head + "".join(steps[:-1]), file=FILE, hands=HANDS)
    assert [one.what for one in problems(head + "".join(steps))] == [f"there are {STEPS_MOST + 1} steps"]


def test_what_an_expression_names_is_needed() -> None:
    text = EVERYTHING.replace('needs = ["load"]\n', "")
    assert check(text, file=FILE).steps["each"].needs == ("load",)


def test_what_a_stand_in_names_is_needed_by_whom_it_stands_in_for() -> None:
    text = EVERYTHING.replace('why = "${failure.text}"', 'why = "${steps.first.sum}"')
    made = check(f'{text}\n[steps.first]\nhand = "adder"\n', file=FILE)
    assert made.steps["load"].needs == ("first",)


def test_the_hand_that_a_pipeline_becomes_only_spawns_and_lends_the_rest() -> None:
    made = check(EVERYTHING, file=FILE, hands=HANDS)
    manifest = manifest_of(made, lends_of(made, HANDS))
    assert manifest["capabilities"] == {"kernel.spawn": ["loader", "sub", "adder"]}
    assert manifest["lends"] == {"files.read": ["reports/**"]}
    assert manifest["limits"]["wall"] == "2h"  # type: ignore[index]


def test_without_a_word_on_it_a_pipeline_lends_what_its_hands_are_granted() -> None:
    made = check(re.sub(r"(?s)\[lends\].*?\n\n", "", EVERYTHING), file=FILE, hands=HANDS)
    assert made.lends is None
    assert lends_of(made, HANDS) == (
        cap("files.read", "reports/**", lent=True),
        cap("files.write", "reports/**", lent=True),
        cap("kernel.spawn", "loader", lent=True),
    )


@given(st.text(alphabet=st.sampled_from("[]{}=\"'.,#\n\\ stepand1$"), max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(ManifestInvalid):
        check(text, file=FILE, hands=HANDS)


@given(st.text(max_size=30))
def test_any_expression_is_read_or_refused(text: str) -> None:
    import tomli_w

    step = {"hand": "adder", "with": {"a": 1, "c": "${" + text + "}"}}
    tree = {"pipeline": {"name": "made", "version": "1.0.0", "description": "Made."}, "steps": {"s": step}}
    with contextlib.suppress(ManifestInvalid):
        check(tomli_w.dumps(tree), file=FILE, hands=HANDS)


def test_every_key_has_a_meaning_and_a_place_in_the_reference() -> None:
    page = keys.page()
    for key in keys.KEYS:
        assert key.doc
        assert f"| `{key.path.rpartition('.')[2]}` |" in page
        assert key.path.rpartition(".")[0] in keys.SECTIONS
