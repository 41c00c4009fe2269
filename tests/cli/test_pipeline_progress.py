"""How far a pipeline run is: what the log's entries tell, drawn as a tree and as a time line."""

from kernel.cli import pipeline_drawing, screen
from kernel.cli.frame import as_json
from kernel.cli.pipeline_progress import RunTree
from kernel.cli.pipelines import piece_rows
from manifests.pipeline import notes
from manifests.pipeline.notes import PieceName
from tests.runtime.pipeline.driven import pipeline
from wire.amounts import Cost
from wire.entries import Chain, Entry, decode, time_text

SECOND = 1_000_000


class Told:
    """Entries as a kernel writes them, a second apart."""

    def __init__(self) -> None:
        self.course = RunTree()
        self._chain = Chain()
        self._now = 0
        self._calls = 0

    def _take(self, kind: str, **said: object) -> None:
        self._now += SECOND
        line = self._chain.append(kind=kind, time=time_text(self._now), **{"principal": "kernel", **said})  # type: ignore[arg-type]
        entry: Entry = decode(line)
        self.course.apply(entry)

    def begin(self, run: str, hand: str, by: str = "operator", **detail: str) -> int:
        """A run begins, at somebody's wish; the number of its work."""
        self._calls += 2
        self._take("run.start", run=run, call=self._calls, detail={"name": hand, **detail})
        self._take("call", principal=by, call=self._calls, method="run", verdict="allowed")
        return self._calls

    def goes_on(self, run: str, hand: str, work: int) -> None:
        """A run gets another process."""
        self._take("run.start", run=run, call=work, detail={"name": hand})

    def end(self, work: int, verdict: str = "done", why: str = "") -> None:
        """A run's work ends."""
        self._take("end", call=work, method="run", verdict=verdict, why=why)

    def note(self, run: str, text: str) -> None:
        """A run notes something."""
        self._take("note", principal=run, run=run, why=text)

    def cost(self, run: str, micro_dollars: int) -> None:
        """A call of a run has cost something."""
        cost = Cost(micro_dollars=micro_dollars, tokens=0)
        self._take("end", run=run, call=999, method="model.complete", verdict="done", cost=cost)


MADE = pipeline('[steps.a]\nhand = "worker"\n[steps.b]\nhand = "worker"\nneeds = ["a"]\n')


def tree(told: Told, live: dict[str, str] | None = None) -> list[str]:
    """The tree of the run r-top, a minute after the beginning."""
    return pipeline_drawing.draw_tree(told.course, "r-top", MADE, 60 * SECOND, live or {})


def test_a_run_under_way_shows_what_is_done_what_goes_on_and_what_is_to_come() -> None:
    told = Told()
    told.begin("r-top", "made")
    first = told.begin("r-one", "worker", by="r-top")
    told.note("r-top", notes.begun_note(PieceName("a"), "r-one", 1))
    lines = tree(told, {"r-one": "40% reading"})
    assert lines[0].startswith("made  r-top")
    assert "working" in lines[0]
    assert lines[1].startswith("├─ a ")
    assert lines[1].endswith("40% reading")
    assert lines[2].startswith("└─ b ")
    assert lines[2].endswith("to come")
    told.cost("r-one", 12_300)
    told.end(first)
    lines = tree(told)
    assert "done" in lines[1]
    assert "$0.0123" in lines[1]
    assert "$0.0123" in lines[0]


def test_a_try_that_failed_and_the_wait_for_the_next_are_shown() -> None:
    told = Told()
    told.begin("r-top", "made")
    told.end(told.begin("r-one", "worker", by="r-top"), "failed", "it broke")
    told.note("r-top", notes.begun_note(PieceName("a"), "r-one", 1))
    told.note("r-top", notes.note_text(PieceName("a"), "waits", "2s to try 2: broken: it broke"))
    assert "waiting" in tree(told)[1]
    assert tree(told)[1].endswith("2s to try 2: broken: it broke")
    told.end(told.begin("r-two", "worker", by="r-top"))
    told.note("r-top", notes.begun_note(PieceName("a"), "r-two", 2))
    assert "done" in tree(told)[1]
    assert tree(told)[1].endswith("try 2")


def test_the_pieces_of_a_pipeline_under_a_pipeline_are_shown_below_it() -> None:
    told = Told()
    told.begin("r-top", "made")
    told.begin("r-sub", "inner", by="r-top")
    told.note("r-top", notes.begun_note(PieceName("a"), "r-sub", 1))
    told.begin("r-low", "worker", by="r-sub")
    told.note("r-sub", notes.begun_note(PieceName("deep"), "r-low", 1))
    told.cost("r-low", 500_000)
    lines = tree(told)
    assert lines[2].startswith("│  └─ deep ")
    assert all("$0.5000" in line for line in lines[:3])
    assert "    deep  " in pipeline_drawing.draw_time_line(told.course, "r-top", 60 * SECOND)


def test_of_many_items_only_those_that_are_not_done_have_a_line() -> None:
    told = Told()
    told.begin("r-top", "made")
    told.note("r-top", notes.items_note(PieceName("a"), 20))
    for number in range(20):
        work = told.begin(f"r-i{number}", "worker", by="r-top")
        told.note("r-top", notes.begun_note(PieceName("a", number), f"r-i{number}", 1))
        if number != 7:
            told.end(work)
    lines = tree(told)
    assert "a  19 of 20" in lines[1]
    assert "working" in lines[1]
    assert [line for line in lines if "a[" in line] == [lines[2]]
    assert "a[7]" in lines[2]


def test_a_note_of_a_run_that_somebody_else_made_does_not_count() -> None:
    told = Told()
    told.begin("r-top", "made")
    told.begin("r-other", "worker")
    told.note("r-top", notes.begun_note(PieceName("a"), "r-other", 1))
    assert tree(told)[1].endswith("to come")


def test_what_a_step_notes_in_the_words_of_a_pipeline_stays_below_it_and_can_be_drawn() -> None:
    told = Told()
    told.begin("r-top", "made")
    told.begin("r-one", "worker", by="r-top")
    told.note("r-top", notes.begun_note(PieceName("a"), "r-one", 1))
    before = told.course.pieces_of("r-top")
    for text in ("finally a: over 5 items", "undo of a: over 5 items", f"c: over {'9' * 400} items", "b: skipped"):
        told.note("r-one", text)
    assert told.course.pieces_of("r-top") == before
    assert [line.split()[1] for line in tree(told)[1:]] == ["a", "└─", "b"]
    assert as_json(piece_rows(told.course, "r-top"))


def test_a_run_is_of_one_piece_however_often_it_is_noted() -> None:
    told = Told()
    told.begin("r-top", "made")
    told.begin("r-one", "worker", by="r-top")
    for name in ("a", "a", "b"):
        told.note("r-top", notes.begun_note(PieceName(name), "r-one", 1))
    assert [(str(piece.name), len(piece.tries)) for piece in told.course.pieces_of("r-top")] == [("a", 1)]


def test_what_a_hand_wrote_cannot_act_on_the_terminal() -> None:
    told = Told()
    told.begin("r-top", "made")
    told.end(told.begin("r-one", "worker", by="r-top"), "failed", "red \033[31m\nand \u202e more")
    told.note("r-top", notes.begun_note(PieceName("a"), "r-one", 1))
    assert all(line.isprintable() for line in tree(told, {"r-one": "\033[2J"}))


def test_a_time_line_shows_each_run_as_a_bar_from_its_start_to_its_end() -> None:
    told = Told()
    top = told.begin("r-top", "made")  # at 1 s
    first = told.begin("r-one", "worker", by="r-top")  # at 3 s
    told.note("r-top", notes.begun_note(PieceName("a"), "r-one", 1))
    told.end(first)  # at 6 s
    second = told.begin("r-two", "worker", by="r-top")  # at 7 s
    told.note("r-top", notes.begun_note(PieceName("b"), "r-two", 1))
    told.end(second)
    told.end(top)  # at 11 s
    whole, one, two = pipeline_drawing.draw_time_line(told.course, "r-top", 0).split("\n")
    bars = [line.split("│")[1] for line in (whole, one, two)]
    assert [(bar.count("█"), bar.index("█")) for bar in bars] == [(40, 0), (13, 8), (13, 24)]
    assert one.split()[-2:] == ["3.0s", "done"]


def test_a_run_that_got_another_process_is_one_bar_from_its_first_start_to_its_end() -> None:
    told = Told()
    top = told.begin("r-top", "made")
    first = told.begin("r-one", "worker", by="r-top")
    told.note("r-top", notes.begun_note(PieceName("a"), "r-one", 1))
    told.goes_on("r-top", "made", top)
    told.goes_on("r-one", "worker", first)
    told.end(first)
    told.end(top)
    line = pipeline_drawing.draw_time_line(told.course, "r-top", 60 * SECOND).splitlines()
    assert [row.split()[-2:] for row in line] == [["8.0s", "done"], ["5.0s", "done"]]


def test_a_step_that_asks_says_what_to_type_until_it_is_answered() -> None:
    told = Told()
    told.begin("r-top", "made")
    wish = {"itself": True, "why": f"made asks you itself: {notes.question(PieceName('a'), 'it is late')}"}
    for call, verdict, state in ((160, "refused", "refused"), (162, "done", "working")):
        told._take(
            "call", run="r-top", call=call, method="kernel.spawn", verdict="held", detail={"asks": [{"why": "x"}, wish]}
        )
        assert tree(told)[1].endswith(f"`maniple approve {call}` or `maniple deny {call}`")
        assert [name for name, _ in told.course.pending_approvals("r-top")] == ["a"]
        told._take("end", run="r-top", call=call, method="kernel.spawn", verdict=verdict, why="the operator said no")
        assert [piece.state for piece in told.course.pieces_of("r-top")] == [state]
        assert list(told.course.pending_approvals("r-top")) == []


def test_on_a_narrow_terminal_what_is_to_be_typed_stands_whole_below_its_step() -> None:
    told = Told()
    told.begin("r-top", "made")
    wish = {"itself": True, "why": f"made asks you itself: {notes.question(PieceName('a'), 'it is late')}"}
    told._take("call", run="r-top", call=160, method="kernel.spawn", verdict="held", detail={"asks": [wish]})
    lines = tree(told)
    assert pipeline_drawing.fit_lines(lines, 200) == lines
    first, step, *typed = pipeline_drawing.fit_lines(lines[:2], 40)
    assert max(map(screen.width_of, (first, step))) <= 40
    assert step.startswith(("└─ a ", "├─ a "))
    assert [line.strip() for line in typed] == ["`maniple approve 160`", "`maniple deny 160`"]


def test_a_step_whose_code_was_upgraded_says_what_to_type_until_that_is_decided() -> None:
    told = Told()
    told.begin("r-top", "made")
    work = told.begin("r-one", "worker", by="r-top")
    told.note("r-top", notes.begun_note(PieceName("a"), "r-one", 1))
    told._take("decision", run="r-one", verdict="asked", why="worker 2.0.0 is installed")
    assert "waits: upgraded" in tree(told)[1]
    assert "`maniple decide r-one finish`" in tree(told)[1]
    told._take("decision", run="r-one", verdict="finish")
    assert [piece.state for piece in told.course.pieces_of("r-top")] == ["working"]
    told.end(work)
    assert [piece.state for piece in told.course.pieces_of("r-top")] == ["done"]


def test_what_waits_when_its_pipeline_ends_waits_no_more() -> None:
    told = Told()
    top = told.begin("r-top", "made")
    work = told.begin("r-one", "worker", by="r-top")
    told.note("r-top", notes.begun_note(PieceName("a"), "r-one", 1))
    told.end(work, "failed", "flaky")
    told.note("r-top", notes.note_text(PieceName("a"), "waits", "1s to try 2: flaky"))
    told.note("r-top", notes.note_text(PieceName("b"), "waits", "worker is paused: `maniple resume worker`"))
    assert [(piece.state, piece.why[:6]) for piece in told.course.pieces_of("r-top")] == [
        ("waiting", "1s to "),
        ("waiting", "worker"),
    ]
    told.end(top, "failed", "boom")
    assert [(piece.state, piece.why) for piece in told.course.pieces_of("r-top")] == [
        ("failed", "flaky"),
        ("cancelled", ""),
    ]


def test_a_replay_is_no_run_of_a_pipeline() -> None:
    told = Told()
    told._take("run.start", run="r-again", detail={"name": "made", "kind": "task"})
    assert told.course.tries == {}


def test_a_run_that_was_begun_anew_with_other_code_is_as_the_one_that_goes_on_instead() -> None:
    told = Told()
    told.begin("r-top", "made")
    first = told.begin("r-one", "worker", by="r-top")
    told.note("r-top", notes.begun_note(PieceName("a"), "r-one", 1))
    second = told.begin("r-two", "worker", by="r-top", instead="r-one")
    told.end(first, "failed", "run ended: upgraded: it was begun anew as r-two")
    third = told.begin("r-three", "worker", by="r-top", instead="r-two")
    told.end(second, "failed", "run ended: upgraded: it was begun anew as r-three")
    (piece,) = told.course.pieces_of("r-top")
    assert (piece.state, piece.why, [one.run for one in piece.tries]) == ("working", "", ["r-one", "r-two", "r-three"])
    told.end(third)
    (piece,) = told.course.pieces_of("r-top")
    assert piece.state == "done"
