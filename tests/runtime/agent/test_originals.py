"""What is folded stands whole somewhere, and what is sent of it says where: results, words, and what was before this run."""

import re
from typing import Any

import pytest
from msgspec.structs import replace

from runtime.agent.actions import MakeCall, Outcome
from runtime.agent.marks import Marks
from runtime.models.messages import Message, Text
from tests.runtime.agent.driven import BOUNDARY, BRIEF, Drive, call, says, texts

WINDOW = 9_000
END = "and here it ends"
LONG = f"{'a word of it ' * 200}{END}"
SMALL = replace(BRIEF, window=WINDOW, steps=1000)


def _page(make: MakeCall) -> Outcome:
    return Outcome(value=f"{make.resource}: " + "a page of words " * 120)


def _turns(number: int, first: str = "I look.") -> list[object]:
    return [says(first if not place else "I look.", call("desk_look", name=f"d{place}")) for place in range(number)]


def _read(wanted: str, turns: list[object], **more: object) -> str:
    """What is read of the original whose place the last request names by that expression."""
    drive = Drive([*turns, says("done")], brief=SMALL, method=_page, **more)  # type: ignore[arg-type, list-item]
    whole = "\n".join(map(texts, drive.asked[-1].messages))
    assert END not in whole, "it is not folded"
    found = re.search(wanted, whole)
    assert found, whole[:3_000]
    reads = [says("", call("read_result", id=found[1], find=END[:8])), says("done")]
    return Drive([*turns, *reads], brief=SMALL, method=_page, **more).last  # type: ignore[arg-type, list-item]


def test_what_it_said_at_length() -> None:
    told = _read(r"you said: a word of it .*… -> (r\d+)", _turns(60, LONG))
    assert END in told
    assert told.startswith(f"<<outside {BOUNDARY} from='your own words' labels=digest>>"), "it may quote what it read"


def test_what_it_said_in_short_stands_there_and_nowhere_else() -> None:
    drive = Drive([*_turns(60), says("done")], brief=SMALL, method=_page)  # type: ignore[list-item]
    assert "you said: I look.\n" in "\n".join(map(texts, drive.asked[-1].messages))


@pytest.mark.parametrize("is_marked", [False, True])
def test_what_people_said_at_length_before_this_run(is_marked: bool) -> None:
    text = Marks("f" * 32).mark(LONG, "memory", ("web",)) if is_marked else LONG
    before = (
        Message(role="user", parts=(Text(text=text),)),
        Message(role="assistant", parts=(Text(text="done"),)),
    )
    told = _read(
        r'- (?:.|\n)*a word of it (?:.|\n)*\[read it whole with read_result\(id="(r\d+)"\)\]',
        _turns(60),
        session=before,
    )
    assert END in told
    assert told.startswith(f"<<outside {BOUNDARY} from='the conversation before' labels=earlier>>")
    assert told.count("<<end") == 1


def test_what_came_of_calls_before_this_run() -> None:
    def page(make: MakeCall) -> Outcome:
        return Outcome(value=LONG, labels=("post",))

    before = Drive([*_turns(1), says("done")], brief=SMALL, method=page).result.session  # type: ignore[list-item]
    told = _read(r'left out: [\d,]+ characters; read it with read_result\(id="(r1)"\)', _turns(20), session=before)
    assert END in told
    assert told.startswith(f"<<outside {BOUNDARY} from='the conversation before' labels=earlier>>")


def test_lines_that_the_digest_has_no_room_for_are_told_with_the_places_of_what_they_were_of() -> None:
    drive = Drive([*_turns(200), says("done")], brief=SMALL, method=_page)  # type: ignore[list-item]
    whole = "\n".join(map(texts, drive.asked[-1].messages))
    told = re.search(r"(\d+) earlier lines are left out, with the ids r1 to r(\d+)\n(?:.|\n)*?-> r(\d+)", whole)
    assert told, whole[:2_000]
    assert int(told[2]) in (int(told[3]) - 1, int(told[3]))


def _two(place: int) -> object:
    return says("", *(call("desk_look", name=f"d{place}-{one}") for one in range(2)))


def _again(place: int) -> object:
    return says("", call("read_result", id="r1", start=place) if place > 50 else call("desk_look", name=f"d{place}"))


def _arrow(place: int) -> object:
    return says(f"An arrow -> r{70_000 + place}", call("desk_look", name=f"d{place}"))


@pytest.mark.wide
@pytest.mark.parametrize(
    ("turn", "last"),
    [(_two, lambda lines: lines + lines % 2), (_again, lambda lines: 51), (_arrow, lambda lines: lines // 2)],
)
def test_the_places_of_lines_that_are_left_out_are_the_first_and_the_last_of_theirs(turn: Any, last: Any) -> None:
    """Whichever result came first, whatever was read again, and whatever it said itself."""
    drive = Drive([*map(turn, range(200)), says("done")], brief=SMALL, method=_page, reorder=True)
    whole = "\n".join(map(texts, drive.asked[-1].messages))
    told = re.search(r"(\d+) earlier lines are left out, with the ids r(\d+) to r(\d+)\n", whole)
    assert told, whole[:2_000]
    assert (int(told[2]), int(told[3])) == (1, last(int(told[1])))


def test_it_is_told_how_what_is_folded_can_be_read() -> None:
    drive = Drive([*_turns(60), says("done")], brief=SMALL, method=_page)  # type: ignore[list-item]
    assert "Where a line has `-> ID`, read_result with that id returns the whole" in texts(drive.asked[-1].messages[0])
