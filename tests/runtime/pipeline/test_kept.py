"""What a pipeline makes of values that are too much: it fails, and what was done is undone, as after any failure."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.msgpack import Ext

from runtime.pipeline.actions import Begin, End
from runtime.pipeline.evaluate import Unclear, fill
from runtime.pipeline.kept import Kept, weight
from tests.runtime.pipeline.driven import Drive, pipeline
from wire.codec import decode_body, encode_body

MIB = 1 << 20
LAST = '[finally.tell]\nhand = "teller"\nwith = { how = "${outcome}" }\n'
TWO = """
[steps.a]
hand = "worker"
undo = { hand = "undoer" }
[steps.b]
hand = "worker"
undo = { hand = "undoer" }
[outputs]
"""


@pytest.mark.parametrize(
    ("outputs", "gives", "code"),
    [
        ('a = "${steps.a}"\nb = "${steps.b}"', "x" * 600_000, "too large"),
        ('a = "${[2147483647 * 4294967296 * 4]}"', None, "expression"),
        ("a = \"${[1, [float('inf')]]}\"", None, "expression"),
        ('a = "${[steps.a * 10]}"', 1e308, "expression"),
    ],
)
def test_outputs_that_cannot_be_returned_fail_the_pipeline_and_undo_it(outputs: str, gives: object, code: str) -> None:
    drive = Drive(pipeline(TWO + outputs + "\n" + LAST), answer=lambda _: End(value=gives))
    assert (drive.result.step, drive.result.code, drive.result.undone) == ("outputs", code, ("b", "a"))
    assert drive.begun[-1].given == {"how": "failed"}


def test_texts_that_are_joined_to_gigabytes_fail_before_they_are_made() -> None:
    values = {"inputs": {"x": "x" * MIB}}
    for text in ("${join(range(10000), inputs.x)}", "${inputs.x}" * 5_000):
        with pytest.raises(Unclear, match="would make more than an expression may"):
            fill(text, values)
    assert fill("${join(range(3), '-')}${join([], '-')}", values) == "0-1-2"


STRANGE = [r"${'\ud800'}", r"a ${'\udfff'}", r"${[1, ['\ud9ab']]}", r"${'a' + '\ud800'}"]


@pytest.mark.parametrize("key", ["approval", "with.x"])
@pytest.mark.parametrize("text", STRANGE)
def test_a_text_that_is_no_unicode_is_a_failure_of_its_expression(text: str, key: str) -> None:
    step = f"[steps.b]\nhand = 'w'\nneeds = ['a']\n{key} = '''{text}'''\n"
    drive = Drive(pipeline("[steps.a]\nhand = 'w'\nundo = { hand = 'u' }\n" + step))
    assert (drive.result.step, drive.result.code, drive.result.undone) == ("b", "expression", ("a",))


EACH = """
[steps.before]
hand = "worker"
undo = { hand = "undoer" }
[steps.each]
hand = "worker"
needs = ["before"]
for_each = "${range(40)}"
undo = { hand = "undoer", with = { what = UNDOES } }
on_failure = "skip"
"""


def large(begin: Begin) -> End:
    return End(value=["x" * MIB] if begin.hand == "worker" else None)


@pytest.mark.parametrize(("undoes", "outputs"), [("1", 'n = "${len(steps.each)}"'), ('"${output[0]}"', "")])
def test_a_pipeline_that_would_keep_more_than_it_has_room_for_fails_and_is_undone(undoes: str, outputs: str) -> None:
    made = pipeline(EACH.replace("UNDOES", undoes) + f"[outputs]\n{outputs}\n" + LAST)
    drive = Drive(made, answer=large, most=16 * MIB)
    done = [name for name in drive.names if name.startswith("each")]
    assert 10 < len(done) < 17
    assert (drive.result.code, drive.result.step) == ("too large", done[-1])
    assert drive.result.undone == (*reversed(done), "before")
    assert drive.begun[-1].given == {"how": "failed"}


def test_what_nobody_names_is_not_kept() -> None:
    made = pipeline(EACH.replace("UNDOES", "1") + '[outputs]\nn = "${steps.before == null}"\n')
    drive = Drive(made, answer=large, most=2 * MIB)
    assert drive.result.value == {"n": False}


A = "[steps.a]\nhand = 'w'\n"
B = "[steps.b]\nhand = 'w'\nneeds = ['a']\n"
NAMING = {
    "what a step is given": f"{A}{B}with = {{ x = ['${{steps.a}}'] }}",
    "when": f"{A}{B}when = '${{steps.a == null}}'",
    "for each": f"{A}{B}for_each = '${{steps.a}}'",
    "what is asked of a person": f"{A}{B}approval = '${{steps.a}}?'",
    "what undoes it": f"{A}{B}undo = {{ hand = 'u', with = {{ x = '${{steps.a.id}}' }} }}",
    "what comes last": f"{A}[finally.tell]\nhand = 't'\nwith = {{ x = '${{steps.a}}' }}",
    "outputs": f"{A}[outputs]\nx = '${{steps.a}}'",
}


@pytest.mark.parametrize("where", NAMING)
def test_what_an_expression_names_anywhere_is_kept(where: str) -> None:
    assert Kept(pipeline(NAMING[where]), MIB).is_named("a")


def test_what_only_has_the_name_of_a_step_names_none() -> None:
    made = pipeline(f"{A}{B}for_each = '${{[1]}}'\nwith = {{ a = '${{item.a}}', x = 'steps.a' }}")
    assert not Kept(made, MIB).is_named("a")


def size(value: object) -> int:
    """What Python says that a value takes."""
    own = sys.getsizeof(value)
    if isinstance(value, list):
        return own + sum(map(size, value))
    if isinstance(value, dict):
        return own + sum(size(name) + size(inner) for name, inner in value.items())
    return own


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_a_value_weighs_about_what_it_takes_and_not_less(value: object) -> None:
    assert size(value) <= weight(value) + 32  # a list and a table grow ahead of what they hold


@pytest.mark.parametrize(
    "value", ["a" * MIB, "é" * MIB, "語" * MIB, "😀" * MIB, bytes(MIB)], ids=lambda value: repr(value[:1])
)
def test_a_long_text_weighs_what_its_letters_take(value: object) -> None:
    assert size(value) <= weight(value) + 32


def test_there_is_room_for_as_much_as_is_said() -> None:
    kept = Kept(pipeline(TWO), weight("a") + weight("b"))
    assert [kept.has_room(value) for value in ("a", "b", None)] == [True, True, False]


def test_a_value_that_lies_as_deep_as_one_can_be_told_is_weighed() -> None:
    """One that could not be would end the pipeline as it stands, with nothing undone."""
    deep: object = None
    for _ in range(350):
        deep = {"a": [deep]}
    assert decode_body(encode_body(deep)) == deep
    assert weight(deep) > 350 * 2 * 64


def test_what_msgpack_has_no_words_for_has_the_weight_of_its_bytes() -> None:
    assert weight([Ext(7, bytes(MIB))]) > MIB
