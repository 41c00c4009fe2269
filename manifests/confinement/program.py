"""The assembler of the seccomp filter: makes classic BPF bytes of table, profiles and architecture (pure).

Linux takes an array of struct sock_filter (linux/filter.h) and runs it at every system call on struct seccomp_data:
number, architecture, address, six arguments. Order of the checks: architecture, foreign numbers, a binary search on the
number, that call's arguments. So a call costs about log2 of the table's ranges, and nothing from Linux 5.11 on if it is
allowed with any arguments (Linux evaluates the filter beforehand). Code is relative: a piece is a list of instructions
that jump only forward, within the piece or to its end, or return.
"""

import struct
from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

from manifests.confinement.allowed import Profile, conditions_of
from manifests.confinement.arguments import ALWAYS, INT, Bits, Condition
from manifests.confinement.refused import Answer, refused_answers
from manifests.confinement.syscalls import ARCHITECTURES, Architecture

LONGEST: Final = 4096
"""The most instructions that Linux accepts: BPF_MAXINSNS."""

LOAD, AND, EQUAL, AT_LEAST, JUMP, RETURN = 0x20, 0x54, 0x15, 0x35, 0x05, 0x06
"""Operations: BPF_LD|W|ABS, BPF_ALU|AND|K, BPF_JMP|JEQ|K, BPF_JMP|JGE|K, BPF_JMP|JA, BPF_RET|K."""

FORMAT: Final = struct.Struct("<HBBI")
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
"""Offsets in struct seccomp_data; an argument has 8 bytes, the lower half first on both architectures."""

_FURTHEST: Final = 255  # the longest conditional jump


class Instruction(NamedTuple):
    """One struct sock_filter. when, otherwise: the instructions to skip if the comparison holds, or does not."""

    operation: int
    value: int
    when: int = 0
    otherwise: int = 0


Code = Sequence[Instruction]


class Range(NamedTuple):
    """System call numbers from `first` up to the next range: allowed under `condition`, else answered with `refused`."""

    first: int
    condition: Condition
    refused: Answer


@cache
def build(machine: str, profiles: frozenset[Profile]) -> bytes:
    """Return the filter's bytes; each is built once. machine: as uname(2) names it.

    Raises ValueError for a machine without a table of calls, and for a filter longer than Linux accepts.
    """
    architecture = ARCHITECTURES.get(machine)
    if architecture is None:
        raise ValueError(f"there is no table of the system calls of {machine}, only of {', '.join(ARCHITECTURES)}")
    killed = Instruction(RETURN, Answer.KILL.value)
    code = [
        Instruction(LOAD, ARCHITECTURE),
        Instruction(EQUAL, architecture.audit, when=1),
        killed,
        Instruction(LOAD, NUMBER),
    ]
    if architecture.foreign_from is not None:
        code += [Instruction(AT_LEAST, architecture.foreign_from, otherwise=1), killed]
    code += _search(_ranges(architecture, profiles))
    if len(code) > LONGEST:
        raise ValueError(f"a filter has at most {LONGEST} instructions, this one has {len(code)}")
    return b"".join(FORMAT.pack(one.operation, one.when, one.otherwise, one.value) for one in code)


def _ranges(architecture: Architecture, profiles: frozenset[Profile]) -> list[Range]:
    """Return all system call numbers in ranges of equal treatment; the first begins at 0, the last has no end."""
    allowed = {
        architecture.numbers[call]: when
        for call, when in conditions_of(profiles).items()
        if call in architecture.numbers
    }
    refused = refused_answers(architecture)
    found: list[Range] = []
    for number in range(max(architecture.numbers.values()) + 2):
        one = Range(number, allowed.get(number, ()), refused.get(number, Answer.ENOSYS))
        if one.condition == ALWAYS:
            one = one._replace(refused=Answer.ALLOW)
        if not found or found[-1][1:] != one[1:]:
            found.append(one)
    return found


def _search(ranges: Sequence[Range]) -> Code:
    """Return code that finds the range of the loaded number by binary search."""
    if len(ranges) == 1:
        return _decide(ranges[0])
    middle = len(ranges) // 2
    lower, upper = _search(ranges[:middle]), _search(ranges[middle:])
    first = ranges[middle].first
    if len(lower) <= _FURTHEST:
        return [Instruction(AT_LEAST, first, when=len(lower)), *lower, *upper]
    return [Instruction(AT_LEAST, first, otherwise=1), Instruction(JUMP, len(lower)), *lower, *upper]


def _decide(of: Range) -> Code:
    """Return code that allows a call if all tests of some alternative hold, and refuses it otherwise."""
    code: Code = [Instruction(RETURN, of.refused.value)]
    for alternative in reversed(() if of.condition == ALWAYS else of.condition):
        body: Code = [Instruction(RETURN, Answer.ALLOW.value)]
        for test in reversed(alternative):
            body = [*_compare(test, failed=len(body)), *body]
        code = [*body, *code]
    return code


def _compare(test: Bits, failed: int) -> Code:
    """Return code that goes on if the test holds and else skips `failed` more instructions. Compares each half in the mask.

    Raises ValueError for several values that need both halves: one's upper half would match with another's lower one.
    """
    if test.mask > INT and test.mask & INT and len(test.values) > 1:
        raise ValueError(f"{test} has several values of 64 bits")
    code: Code = []
    for shift in (0, 32):
        mask = test.mask >> shift & INT
        if mask:
            values = list(dict.fromkeys(value >> shift & INT for value in test.values))
            code = [*_half(ARGUMENTS + 8 * test.argument + shift // 8, mask, values, failed + len(code)), *code]
    return code


def _half(offset: int, mask: int, values: Sequence[int], failed: int) -> Code:
    masked = [] if mask == INT else [Instruction(AND, mask)]
    equal = [Instruction(EQUAL, value, when=len(values) - 1 - at) for at, value in enumerate(values)]
    equal[-1] = equal[-1]._replace(otherwise=failed)
    return [Instruction(LOAD, offset), *masked, *equal]
