"""What a server asks a person, asked by calls of `ask.person` (acts): one question for each field of its form.

Only the Hand of a server that holds a grant for that tells its server that people can be asked. A server may ask while it
answers a call, so often for each, and no more once a person has declined in it: people who are asked too often say yes
to everything. A question is asked in the name of the call that it is for, as far as that can be known: then it carries the
call's labels, and the call's clock stands still while the person thinks. Links are shown to nobody.
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
"""Forms for one call, after which each is declined and nobody asked."""

TRIES: Final = 3
"""Answers of one field that are none, after which its form is given up."""

_LATER: Final = ("expired", "approvals")  # refusals that are no person's no
_DECLINE: Final = ElicitResult(action="decline")
_CANCEL: Final = ElicitResult(action="cancel")


class _Open:
    """A call that the server is answering. forms: how many it may still ask to fill for it."""

    def __init__(self) -> None:
        self.forms = FORMS_MOST
        self.turn = asyncio.Lock()


class Asking:
    """What the package hands a server's questions to."""

    def __init__(self, kernel: KernelHandle, hand: str) -> None:
        self._kernel, self._hand = kernel, hand
        self._open: dict[int, _Open] = {}

    @contextmanager
    def answered(self, number: int) -> Iterator[None]:
        """The server may ask in this block, for that call."""
        self._open[number] = _Open()
        try:
            yield
        finally:
            del self._open[number]

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        """What a person says to a form; declined, with a record, when nobody is asked."""
        number = answering.get() or (next(iter(self._open)) if len(self._open) == 1 else 0)
        paying = self._open.get(number) or next((one for one in self._open.values() if one.forms), None)
        try:
            if isinstance(params, ElicitRequestURLParams):
                raise FormInvalid("it is a link to be opened, which is shown to nobody")
            if paying is None:
                raise FormInvalid("nobody has called the server")
            wanted = form.read(params.message, params.requested_schema)
            async with paying.turn:
                if not paying.forms:
                    raise FormInvalid("it has asked enough for one call")
                paying.forms -= 1
                result = await self._filled(wanted, number)
                paying.forms = 0 if result.action == "decline" else paying.forms
                return result
        except FormInvalid as error:
            records.logger().warning("what the server asks a person is declined", why=str(error))
            return _DECLINE

    async def _filled(self, wanted: Form, number: int) -> ElicitResult:
        """A form as a person fills it."""
        before = answering.set(number)
        content: dict[str, Given] = {}
        try:
            if not wanted.fields:
                return await self._agreed(wanted)
            for at, field in enumerate(wanted.fields):
                value = await self._field(wanted, at, field)
                if value is None:
                    return _CANCEL
                if not isinstance(value, UnsetType):
                    content[field.name] = value
            return ElicitResult.model_validate({"action": "accept", "content": content})
        except CallRefused as refused:
            return _unasked(refused, _CANCEL if refused.code in _LATER else _DECLINE)
        except CallEnded as ended:
            return _unasked(ended, _CANCEL)
        finally:
            answering.reset(before)

    async def _agreed(self, wanted: Form) -> ElicitResult:
        said = await self._ask(form.question(wanted, -1, self._hand), [form.YES[0], form.NO[0]])
        return ElicitResult(action="accept", content={}) if said == form.YES[0] else _DECLINE

    async def _field(self, wanted: Form, at: int, field: Field) -> Given | UnsetType | None:
        """A field's value, UNSET when it is left out; None when no answer was one."""
        problem = ""
        for _ in range(TRIES):
            said = await self._ask(form.question(wanted, at, self._hand, problem), field.offered)
            try:
                return form.read_answer(field, said)
            except AnswerInvalid as error:
                problem = str(error)
        records.logger().warning("no answer of a person's was one that the server's form can hold")
        return None

    async def _ask(self, question: str, choices: list[str]) -> str:
        more: dict[str, object] = {"choices": choices} if choices else {}
        reply = await self._kernel.call(METHOD, "", {"question": question, **more})
        return str(reply.value["answer"]) if isinstance(reply.value, dict) else ""


def _unasked(ended: CallEnded, result: ElicitResult) -> ElicitResult:
    records.logger().warning("a question of the server's has no answer", why=str(ended))
    return result
