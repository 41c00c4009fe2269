"""What the table means, said without a program (pure): the answer to one call, read from the rows and the families."""

from functools import cache

from manifests.confinement.allowed import TABLE, Profile, Row
from manifests.confinement.arguments import Condition
from manifests.confinement.refused import FAMILIES, NEWEST_EXPECTED, Answer
from manifests.confinement.syscalls import ARCHITECTURES, Architecture


def holds(condition: Condition, args: tuple[int, ...]) -> bool:
    """Whether a condition holds for these arguments."""
    return any(all(args[test.argument] & test.mask in test.values for test in tests) for tests in condition)


def answer(
    architecture: Architecture, profiles: frozenset[Profile], number: int, arch: int, args: tuple[int, ...]
) -> Answer:
    """What becomes of this call."""
    foreign = architecture.foreign_from
    if arch != architecture.audit or (foreign is not None and number >= foreign):
        return Answer.KILL
    call, rows, refused = _said_of(architecture.machine, number)
    for row in rows:
        if (row.profile is None or row.profile in profiles) and holds(row.when, args):
            return Answer.ALLOW
    return Answer.ENOSYS if call is None or number > NEWEST_EXPECTED else refused


@cache
def _said_of(machine: str, number: int) -> tuple[str | None, tuple[Row, ...], Answer]:
    """The name of a call, the rows that name it, and what its families answer."""
    call = next((name for name, one in ARCHITECTURES[machine].numbers.items() if one == number), None)
    rows = tuple(row for row in TABLE if call in row.calls.split())
    answers = [family.answer for family in FAMILIES if call in family.calls.split()]
    return call, rows, answers[0] if answers else Answer.EPERM
