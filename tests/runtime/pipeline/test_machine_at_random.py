"""Any pipeline, any order of events, any failures: what a pipeline's machine promises holds."""

from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from manifests.pipeline.schema import SKIP, STOP, Pipeline, Retry, Step, Work
from runtime.pipeline.actions import Action, Begin, End
from tests.runtime.pipeline.driven import Drive

SEEDS = st.integers(0, 2**32)


@st.composite
def pipelines(draw: st.DrawFn) -> Pipeline:
    """A pipeline of up to eight steps, each needing earlier ones, with every other feature now and then."""
    count = draw(st.integers(1, 8))
    steps: dict[str, Step] = {}
    spare = draw(st.booleans())
    for number in range(count):
        name = f"s{number}"
        needs = draw(st.lists(st.sampled_from([*steps]), unique=True, max_size=3)) if steps else []
        failures = [STOP, SKIP, "spare"] if spare else [STOP, SKIP]
        steps[name] = Step(
            name=name,
            work=replace(_work(draw, "worker"), approval=draw(st.sampled_from(["", "", "it is late"]))),
            needs=tuple(needs),
            when=draw(st.sampled_from(["", "", "", "${true}", "${false}", "${inputs.none}"])),
            for_each=draw(st.sampled_from([None, None, [], [1], [1, 2, 3, 4, 5]])),
            parallel=draw(st.integers(1, 3)),
            on_failure=draw(st.sampled_from(failures)),
            undo=_work(draw, "undoer") if draw(st.booleans()) else None,
        )
    if spare:
        undo = _work(draw, "undoer") if draw(st.booleans()) else None
        steps["spare"] = Step(name="spare", work=_work(draw, "spare"), undo=undo, stands_in=True)
    last = {
        name: Step(name=name, work=_work(draw, "cleaner"), on_failure=draw(st.sampled_from([STOP, SKIP])))
        for name in ["tidy", "tell"][: draw(st.integers(0, 2))]
    }
    parallel = draw(st.integers(1, 4))
    return Pipeline(
        name="made", version="1.0.0", description="Made.", wall_ms=1, parallel=parallel, inputs={"none": "any?"},
        steps=steps, last=last,
    )  # fmt: skip


def _work(draw: st.DrawFn, hand: str) -> Work:
    times = draw(st.integers(0, 2))
    return Work(hand=hand, retry=Retry(times=times) if times else None)


def drive(made: Pipeline, seed: int, *, failures: float) -> Drive:
    """One course of events, by chance; the same for the same seed."""
    chance = Random(seed)

    def answer(begin: Begin) -> End:
        if chance.random() < failures:
            return End(code=chance.choice(["broken", "arguments", "denied"]), text="it broke")
        return End(value={"from": str(begin.name)})

    def choose(open_: Sequence[Action]) -> int:
        return chance.randrange(len(open_))

    return Drive(made, answer=answer, choose=choose, says_yes=lambda: chance.random() < 0.5)


@given(pipelines(), SEEDS, st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_a_step_begins_only_when_all_that_it_needs_is_over(made: Pipeline, seed: int, failures: float) -> None:
    done = drive(made, seed, failures=failures)
    open_: dict[str, int] = {}
    begun: set[str] = set()
    for event in done.events:
        step = event.name.partition(" for ")[2] or event.name
        step = step.partition("[")[0]
        if event.role not in ("step", "stand-in"):
            continue
        if event.what == "begun":
            assert not [other for other in made.steps[step].needs if open_.get(other)]
            begun.add(step)
            assert not [name for name in begun if step in made.steps[name].needs], "a needed step began after its user"
        open_[step] = open_.get(step, 0) + (1 if event.what == "begun" else -1)


@given(pipelines(), SEEDS, st.sampled_from([0.0, 0.3]))
def test_no_more_pieces_are_under_way_than_pipeline_and_step_allow(made: Pipeline, seed: int, failures: float) -> None:
    done = drive(made, seed, failures=failures)
    assert max((event.running for event in done.events), default=0) <= made.parallel
    under_way: dict[str, int] = {}
    for event in done.events:
        if event.role == "step":
            step = event.name.partition("[")[0]
            under_way[step] = under_way.get(step, 0) + (1 if event.what == "begun" else -1)
            many = made.steps[step].for_each is not None
            assert under_way[step] <= (made.steps[step].parallel if many else 1)


@given(pipelines(), SEEDS, st.sampled_from([0.0, 0.2, 0.5, 1.0]))
def test_every_course_ends_once_and_as_its_steps_did(made: Pipeline, seed: int, failures: float) -> None:
    done = drive(made, seed, failures=failures)
    assert done.machine.begin() == []
    over, total = done.machine.progress
    assert over <= total
    if not done.result.code:
        assert (over, done.result.undone, done.result.left, done.result.step) == (total, (), (), "")
        assert not [event for event in done.events if event.role == "undo"]
    else:
        assert done.result.step
    if failures == 0.0:
        nulls = [step for step in made.steps.values() if step.when == "${inputs.none}" and step.on_failure != SKIP]
        # a `when` that is null is a failure that a stand-in may mend
        assert bool(done.result.code) == bool([step for step in nulls if step.on_failure == STOP])


@given(pipelines(), SEEDS, st.sampled_from([0.2, 0.5]))
def test_what_was_done_is_undone_once_each_the_latest_first(made: Pipeline, seed: int, failures: float) -> None:
    done = drive(made, seed, failures=failures)
    finished = [event.name for event in done.events if _can_be_undone(made, event)]
    undoing = [str(begin.name).removeprefix("undo of ") for begin in done.begun if begin.name.role == "undo"]
    first = list(dict.fromkeys(undoing))
    if done.result.code and not done.result.step.startswith("finally"):
        assert first == finished[::-1]
        assert sorted([*done.result.undone, *done.result.left]) == sorted(finished)
    else:
        assert first == []
    roles = [event.role for event in done.events]
    order = {"step": 0, "stand-in": 0, "undo": 1, "finally": 2}
    assert roles == sorted(roles, key=order.__getitem__)


def _can_be_undone(made: Pipeline, event: object) -> bool:
    name, role, end = (getattr(event, field) for field in ("name", "role", "end"))
    if getattr(event, "what", "") != "ended" or end.code or role not in ("step", "stand-in"):
        return False
    ran = name.partition(" for ")[0] if role == "stand-in" else name.partition("[")[0]
    return made.steps[ran].undo is not None


@given(pipelines(), SEEDS, st.sampled_from([0.1, 0.5, 1.0]))
def test_the_end_comes_whatever_happened_and_each_piece_is_tried_as_often_as_it_says(
    made: Pipeline, seed: int, failures: float
) -> None:
    done = drive(made, seed, failures=failures)
    last = [begin.name.step for begin in done.begun if begin.name.role == "finally"]
    assert list(dict.fromkeys(last)) == list(made.last)
    for begin in done.begun:
        step = {**made.steps, **made.last}[begin.name.other or begin.name.step]
        work = step.undo if begin.name.role == "undo" else step.work
        assert work is not None
        assert begin.tries <= 1 + (work.retry.times if work.retry else 0)


@given(pipelines(), SEEDS, st.sampled_from([0.0, 0.5]))
def test_after_a_failure_that_stops_no_further_step_begins(made: Pipeline, seed: int, failures: float) -> None:
    done = drive(made, seed, failures=failures)
    if not done.result.code or done.result.step.startswith("finally") or done.result.step == "outputs":
        return
    ends = [at for at, event in enumerate(done.events) if event.what == "ended" and event.name == done.result.step]
    if ends:  # else it could not begin at all
        after = [event for event in done.events[max(ends) :] if event.what == "begun"]
        assert not [event for event in after if event.role in ("step", "stand-in")]


@given(pipelines(), SEEDS, st.sampled_from([0.0, 0.5]))
def test_the_same_events_lead_to_the_same_actions(made: Pipeline, seed: int, failures: float) -> None:
    first, second = drive(made, seed, failures=failures), drive(made, seed, failures=failures)
    assert first.actions == second.actions
    assert first.result == second.result
