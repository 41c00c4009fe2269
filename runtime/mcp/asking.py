"""Passes a server's questions to people by calls of `ask.person` (acts): one question for each field of its form.

Only the Hand of a server that holds a grant for that tells its server that people can be asked. A server may ask only while
it answers a call, a limited number of times per call, and no more once a person has declined: people who are asked too often
say yes to everything. A question is asked in the name of the call that it is for, as far as that can be known: then it has
the call's labels, and the call's clock stands still while the person thinks. Links are shown to nobody.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from mcp.client.session import ClientRequestContext
from mcp_types import ElicitRequestParams, ElicitRequestURLParams, ElicitResult
from msgspec import UnsetType

from manifests.mcp import form
from manifests.mcp.form import AnswerInvalid, Field, Form, FormInvalid, Given
from runtime import records
from runtime.calls import answering
from runtime.errors import CallEnded, CallRefused
from runtime.kernel_handle import KernelHandle

METHOD: Final = "ask.person"
FORMS_MOST: Final = 5
"""Most forms for one call; further ones are declined without asking anybody."""

TRIES: Final = 3
"""Unusable answers to one field after which its form is cancelled."""

_LATER: Final = ("expired", "approvals")  # refusals by which no person said no
_DECLINE: Final = ElicitResult(action="decline")
_CANCEL: Final = ElicitResult(action="cancel")


class _Open:
    """A call that the server is answering. forms: how many more forms the server may send for it."""

    def __init__(self) -> None:
        self.forms = FORMS_MOST
        self.turn = asyncio.Lock()


class Asking:
    """The package's callback for a server's questions."""

    def __init__(self, kernel: KernelHandle, hand: str) -> None:
        self._kernel, self._hand = kernel, hand
        self._open: dict[int, _Open] = {}

    @contextmanager
    def during(self, number: int) -> Iterator[None]:
        """Lets the server ask, for the duration of the block, for that call."""
        self._open[number] = _Open()
        try:
            yield
        finally:
            del self._open[number]

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        """The result of a form that a person fills; "decline", with a log record, if nobody may be asked."""
        number = answering.get() or (next(iter(self._open)) if len(self._open) == 1 else 0)
        paying = self._open.get(number) or next((one for one in self._open.values() if one.forms), None)
        try:
            if isinstance(params, ElicitRequestURLParams):
                raise FormInvalid("it asks to open a link, which is shown to nobody")
            if paying is None:
                raise FormInvalid("the server is answering no call")
            wanted = form.read(params.message, params.requested_schema)
            async with paying.turn:
                if not paying.forms:
                    raise FormInvalid("it has sent its most forms for one call")
                paying.forms -= 1
                result = await self._fill(wanted, number)
                paying.forms = 0 if result.action == "decline" else paying.forms
                return result
        except FormInvalid as error:
            records.logger().warning("a server's question to a person is declined", why=str(error))
            return _DECLINE

    async def _fill(self, wanted: Form, number: int) -> ElicitResult:
        """Asks a person for each field of a form."""
        before = answering.set(number)
        content: dict[str, Given] = {}
        try:
            if not wanted.fields:
                return await self._confirm(wanted)
            for at, field in enumerate(wanted.fields):
                value = await self._ask_field(wanted, at, field)
                if value is None:
                    return _CANCEL
                if not isinstance(value, UnsetType):
                    content[field.name] = value
            return ElicitResult.model_validate({"action": "accept", "content": content})
        except CallRefused as refused:
            return _log_unanswered(refused, _CANCEL if refused.code in _LATER else _DECLINE)
        except CallEnded as ended:
            return _log_unanswered(ended, _CANCEL)
        finally:
            answering.reset(before)

    async def _confirm(self, wanted: Form) -> ElicitResult:
        answer = await self._ask(form.question(wanted, -1, self._hand), [form.YES[0], form.NO[0]])
        return ElicitResult(action="accept", content={}) if answer == form.YES[0] else _DECLINE

    async def _ask_field(self, wanted: Form, at: int, field: Field) -> Given | UnsetType | None:
        """The field's value; UNSET if it is left out; None if no answer fits it."""
        problem = ""
        for _ in range(TRIES):
            answer = await self._ask(form.question(wanted, at, self._hand, problem), field.offered)
            try:
                return form.read_answer(field, answer)
            except AnswerInvalid as error:
                problem = str(error)
        records.logger().warning("no answer of the person fits the server's form")
        return None

    async def _ask(self, question: str, choices: list[str]) -> str:
        more: dict[str, object] = {"choices": choices} if choices else {}
        reply = await self._kernel.call(METHOD, "", {"question": question, **more})
        return str(reply.value["answer"]) if isinstance(reply.value, dict) else ""


def _log_unanswered(ended: CallEnded, result: ElicitResult) -> ElicitResult:
    records.logger().warning("a server's question got no answer", why=str(ended))
    return result
