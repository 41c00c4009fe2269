"""What is folded stands whole somewhere, and what is sent of it says where: results, words, and what was before this run."""

import re

import pytest
from msgspec.structs import replace

from runtime.agent.actions import Make, Returned
from runtime.agent.marks import Marks
from runtime.models.messages import Message, Text
from tests.runtime.agent.driven import BOUNDARY, BRIEF, Drive, call, says, texts

WINDOW = 9_000
END = "and here it ends"
LONG = f"{'a word of it ' * 200}{END}"
SMALL = replace(BRIEF, window=WINDOW, steps=1000)


def _page(make: Make) -> Returned:
    return Returned(value=f"{make.resource}: " + "a page of words " * 120)


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
    text = Marks("f" * 32).marked(LONG, "memory", ("web",)) if is_marked else LONG
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
    def page(make: Make) -> Returned:
        return Returned(value=LONG, labels=("post",))

    before = Drive([*_turns(1), says("done")], brief=SMALL, method=page).result.session  # type: ignore[list-item]
    told = _read(r'left out: [\d,]+ characters; read it with read_result\(id="(r1)"\)', _turns(20), session=before)
    assert END in told
    assert told.startswith(f"<<outside {BOUNDARY} from='the conversation before' labels=earlier>>")


def test_lines_that_the_digest_has_no_room_for_are_told_with_the_places_of_what_they_were_of() -> None:
    drive = Drive([*_turns(400), says("done")], brief=SMALL, method=_page)  # type: ignore[list-item]
    whole = "\n".join(map(texts, drive.asked[-1].messages))
    told = re.search(r"(\d+) earlier lines are left out, of r1 to r(\d+)\n(?:.|\n)*?-> r(\d+)", whole)
    assert told, whole[:2_000]
    assert int(told[2]) in (int(told[3]) - 1, int(told[3]))


def test_it_is_told_how_what_is_folded_can_be_read() -> None:
    drive = Drive([*_turns(60), says("done")], brief=SMALL, method=_page)  # type: ignore[list-item]
    assert "read_result gives you the whole of what stands after each ->" in texts(drive.asked[-1].messages[0])
