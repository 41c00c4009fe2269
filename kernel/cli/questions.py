"""`maniple questions` (acts)."""

import time

from kernel.cli import answering, screen
from kernel.cli.answering import QUESTION, FullCall
from kernel.cli.frame import Session, command
from wire.entries import time_micros


@command()
def questions(session: Session) -> None:
    """List the questions that Hands ask you. Answer one with `maniple answer ID TEXT`."""
    with session.client() as client:
        rows = [_row(one) for one, _ in answering.fetch_distinct(client) if one.method == QUESTION]
        absent = answering.fetch_absent(client)
    session.result(
        {"questions": rows, "absent": absent},
        lambda: "\n\n".join(_drawn(session, row) for row in rows),
        nothing="" if absent else "No Hand asks you anything.",
    )
    answering.say_absent(session, absent)


def _row(one: FullCall) -> dict[str, object]:
    question, choices = answering.question_of(one)
    return {
        "call": one.call, "hand": one.hand, "run": one.run, "question": question, "choices": choices,
        "filled_in": answering.prefilled_answer(one), "labels": list(one.labels), "since": one.since, "until": one.until,
    }  # fmt: skip


def _drawn(session: Session, row: dict[str, object]) -> str:
    since, choices, labels = str(row["since"]), row["choices"], row["labels"]
    assert isinstance(choices, list)
    assert isinstance(labels, list)
    return screen.fields(
        (
            ("id", str(row["call"])),
            ("who", f"{screen.visible(str(row['hand']))}, run {row['run']}"),
            ("question", str(row["question"])),
            ("filled in", str(row["filled_in"])),
            ("choices", "\n".join(map(screen.visible, choices))),
            ("labels", ", ".join(labels) or "none"),
            ("since", f"{since} ({screen.ago(time_micros(since), time.time_ns() // 1000)})"),
            ("until", str(row["until"])),
            ("answer", session.hinted(f"`maniple answer {row['call']} TEXT` or `maniple deny {row['call']}`")),
        )
    )
