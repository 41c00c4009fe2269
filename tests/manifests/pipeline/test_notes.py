"""Notes of a pipeline run: what is written is read back as it was, and other texts are nothing."""

from hypothesis import given
from hypothesis import strategies as st

from manifests.pipeline import notes
from manifests.pipeline.notes import Noted, PieceName

STEPS = st.from_regex(r"\A[a-z][a-z0-9_]{0,8}\Z")
NAMES = st.one_of(
    st.builds(PieceName, STEPS, st.integers(-1, 10_000)),
    st.builds(lambda step, index, other: PieceName(step, index, "stand-in", other), STEPS, st.integers(-1, 99), STEPS),
    st.builds(
        lambda step, index, other: PieceName(step, index, "undo", other),
        STEPS,
        st.integers(-1, 99),
        STEPS | st.just(""),
    ),
    st.builds(lambda step: PieceName(step, -1, "finally"), STEPS),
)
RUNS = st.from_regex(r"\Ar-[a-z0-9]{4,16}\Z")


@given(NAMES, RUNS, st.integers(1, 99))
def test_a_run_that_began_is_read_back(name: PieceName, run: str, tries: int) -> None:
    assert notes.read(notes.begun_note(name, run, tries)) == Noted(name, "begun", run=run, number=tries)


@given(NAMES, st.sampled_from(["skipped", "failed", "waits"]), st.text(max_size=30))
def test_what_became_of_a_piece_is_read_back(name: PieceName, how: str, why: str) -> None:
    assert notes.read(notes.note_text(name, how, why)) == Noted(name, how, why=why)


@given(STEPS, st.integers(0, 10_000))
def test_how_many_items_there_are_is_read_back(step: str, count: int) -> None:
    name = PieceName(step)
    assert notes.read(notes.items_note(name, count)) == Noted(name, "items", number=count)


@given(st.text(max_size=60))
def test_any_other_text_is_no_note(text: str) -> None:
    found = notes.read(text)
    assert found is None or str(found.name) in text


def test_only_a_step_itself_goes_over_items_and_no_number_is_beyond_counting() -> None:
    for name in ("finally a", "undo of a", "b for a", "a[3]"):
        assert notes.read(f"{name}: over 5 items") is None
    for text in (f"a: over {10**9} items", f"a[{10**9}]: skipped", f"a: run r-abcd, try {10**9}"):
        assert notes.read(text) is None


def test_names_of_steps_that_read_like_words_of_notes_are_told_apart() -> None:
    for name in (
        PieceName("undo"), PieceName("finally", -1, "finally"), PieceName("of", 1, "undo"),
        PieceName("for", -1, "stand-in", "run"),
    ):  # fmt: skip
        assert notes.read(notes.begun_note(name, "r-abcd", 1)) == Noted(name, "begun", run="r-abcd")
