"""A model that cannot be asked for a while does not cost a run what it has worked out: it waits, for so long, and says so."""

import pytest

from runtime.agent.actions import AskModel
from runtime.agent.codes import TRANSIENT
from runtime.agent.outage import MOST
from runtime.models.failures import KINDS
from tests.runtime.agent.driven import Drive, looks, says

PASSES = sorted(TRANSIENT)


def _told(drive: Drive, what: str) -> list[str]:
    return [step.text for step in drive.steps if step.what == what]


@pytest.mark.parametrize("code", PASSES)
def test_what_passes_by_itself_is_waited_for_once_there_is_work_to_lose(code: str) -> None:
    drive = Drive([looks(), (code, "gone"), (code, "gone"), says("done")])
    assert drive.result.answer == "done"
    assert [think.pause for think in drive.thinks] == [0, 0, 5, 10]
    assert _told(drive, "waits") == [
        f"{code}: gone; asking again in at most 5 s, giving up after {MOST} s more",
        f"{code}: gone; asking again in at most 10 s, giving up after {MOST - 5} s more",
    ]
    assert drive.thinks[2].request == drive.thinks[1].request


@pytest.mark.parametrize("code", PASSES)
def test_a_run_that_has_no_answer_yet_ends_at_once(code: str) -> None:
    drive = Drive([(code, "gone")])
    assert (drive.result.code, drive.result.why) == (code, "gone")


@pytest.mark.parametrize("code", sorted(set(KINDS) - TRANSIENT - {"schema", "too_long"}))
def test_what_somebody_has_to_mend_is_not_waited_for(code: str) -> None:
    assert Drive([looks(), (code, "gone")]).result.code == code


def test_it_gives_up_in_the_end_with_the_reason_and_the_work_so_far() -> None:
    drive = Drive([looks(), says("I looked.", *looks("b").calls), *[("server", "gone")] * 100])
    assert (drive.result.code, drive.result.answer) == ("server", "I looked.")
    assert drive.result.why == f"gone; gave up after waiting {MOST} s"
    assert sum(think.pause for think in drive.thinks) == MOST
    assert max(think.pause for think in drive.thinks) == 60


def test_each_outage_is_waited_for_by_itself() -> None:
    bad = [("server", "gone")] * 3
    drive = Drive([looks(), *bad, looks("b"), *bad, says("done")])
    assert [think.pause for think in drive.thinks] == [0, 0, 5, 10, 20, 0, 5, 10, 20]
    assert drive.result.answer == "done"


def test_its_time_ends_the_waiting_and_the_reason_says_both() -> None:
    drive = Drive([looks(), ("paused", "left alone for 60 s")])
    assert not [one for one in drive.machine.on_time_nearly_over() if isinstance(one, AskModel)]
    assert drive.result.code == "time"
    assert drive.result.why.endswith("it was waiting for its model (paused: left alone for 60 s)")


def test_who_stops_it_stops_the_waiting() -> None:
    drive = Drive([looks(), ("limited", "too many")])
    drive.machine.on_stop("enough")
    assert drive.result.code == "interrupted"
