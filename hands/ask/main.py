"""The Hand `ask`: returns the operator's answer to a question (acts; thin).

Waiting is not done here. `ask.person` says `asks = true`, so the kernel holds each call of it like one that needs
approval: on disk, shown, bound to its digest, answered once with a signature, kept through kills and restarts, and
without a waiting process. `maniple answer ID TEXT` denies that call and makes the operator's own in its place, with
`answer` filled in; this Hand's reply to it goes to the caller who asked. See docs/approvals.md.
"""

from typing import Final

from runtime import Call, Failure, Hand

YES: Final = "yes"
"""The answer that a plain `maniple approve` gives."""

CHOICES_MOST: Final = 50
TEXT_MOST: Final = 64 * 1024


class Ask(Hand):
    """Provides ask.person."""

    async def person(
        self, call: Call, question: str, choices: list[object] | None = None, answer: str | None = None
    ) -> dict[str, object]:
        """ask.person: returns `answer`, which the operator's call brings; YES if he only approved the question."""
        offered = list(choices or ())
        if not question.strip() or not all(isinstance(one, str) and one for one in offered):
            raise Failure("arguments", "question must be a text, and choices must be texts.")
        if len(offered) > CHOICES_MOST or len(question) > TEXT_MOST:
            raise Failure("arguments", f"a question has at most {TEXT_MOST} characters and {CHOICES_MOST} choices.")
        given = YES if answer is None else answer
        if offered and given not in offered:
            raise Failure("choices", f"the answer was {given!r}, which is none of the choices.")
        return {"answer": given}
