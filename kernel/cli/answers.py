"""Verifies the operator's answers in a log (acts): each must be signed by a key trusted then, and name its own call."""

from pathlib import Path
from typing import Final

from kernel.cli import logbook
from kernel.cli.exits import Ended, Exit
from manifests.errors import TrustRefused
from manifests.state import State
from wire.approval import Answer
from wire.entries import Entry, time_micros
from wire.errors import CodecError, SignatureInvalid

_NEEDLES: Final = (b'"kind":"key.', b'"kind":"approval"', b'"verdict":"held"')


def verify_answers(folder: Path, origin: str) -> dict[int, str]:
    """Verify all answers: entry number to the name and id of the key that signed it. Ended (verification failed) if not.

    The log itself is verified elsewhere (evidence.py); this checks who answered, and which call.
    """
    state, held, found = State(), dict[int, Entry](), dict[int, str]()
    for entry in logbook.entries(folder, needles=_NEEDLES):
        if entry.kind in logbook.KEY_KINDS:
            logbook.apply_key_entry(state, entry)
        elif entry.kind == "call":
            held[entry.call] = entry
        elif entry.kind == "approval":
            try:
                found[entry.seq] = _signer(state, entry, held.pop(entry.call, None), origin)
            except (CodecError, SignatureInvalid, TrustRefused) as error:
                raise Ended(f"the answer in entry {entry.seq} does not hold: {error}", Exit.UNVERIFIED) from None
    return found


def _signer(state: State, entry: Entry, call: Entry | None, origin: str) -> str:
    """Verify one answer and return its key as `name+id`. Raises CodecError, SignatureInvalid or TrustRefused."""
    answer = Answer.read(entry.detail)
    said, key = answer.statement, state.trust.find(answer.key)
    answer.verify(key.verify_key)
    if not key.is_usable(time_micros(entry.time)):
        raise SignatureInvalid(f"the key {key.name}+{key.id} was revoked or had expired")
    if call is None or (said.origin, said.call, said.method, said.resource, said.arguments, said.verdict) != (
        origin, call.call, call.method, call.resource, call.arguments, entry.verdict,
    ):  # fmt: skip
        raise SignatureInvalid("it is about another call than the one that was held, or was answered before")
    return f"{key.name}+{key.id}"
