"""The filter does what the table means: for every number, any argument, both architectures and all profiles."""

from itertools import combinations
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.confinement import program
from manifests.confinement.allowed import Profile, conditions_of
from manifests.confinement.arguments import ALWAYS, INT, LONG, Bits, Condition
from manifests.confinement.program import FORMAT, LONGEST, build
from manifests.confinement.refused import Answer
from manifests.confinement.syscalls import AARCH64, ARCHITECTURES, X86_64, Architecture
from tests.manifests.confinement.bpf import ProgramInvalid, evaluate
from tests.manifests.confinement.meaning import answer, holds
from tests.spread import spread

SETS: Final = [frozenset(some) for size in range(len(Profile) + 1) for some in combinations(Profile, size)]
EVERY: Final = pytest.mark.parametrize(
    ("architecture", "profiles"),
    spread(
        (
            pytest.param(architecture, profiles, id=f"{architecture.machine}-{'+'.join(sorted(profiles)) or 'none'}")
            for architecture in ARCHITECTURES.values()
            for profiles in SETS
        ),
        12,
    ),
)
WORDS: Final = st.one_of(st.integers(0, LONG), st.integers(0, 64), st.sampled_from((INT, LONG, 1 << 32, 1 << 63)))
SIX: Final = st.tuples(*[WORDS] * 6)
NONE: Final[frozenset[Profile]] = frozenset()


def _conditional(architecture: Architecture, profiles: frozenset[Profile]) -> dict[int, Condition]:
    conditions = conditions_of(profiles).items()
    numbers = architecture.numbers
    return {numbers[call]: when for call, when in conditions if when != ALWAYS and call in numbers}


@EVERY
@settings(max_examples=settings().max_examples // 5)  # of 601 calls each, for 64 programs
@given(args=SIX)
def test_every_number_is_answered_as_the_table_says(
    architecture: Architecture, profiles: frozenset[Profile], args: tuple[int, ...]
) -> None:
    code = build(architecture.machine, profiles)
    for number in range(601):
        expected = answer(architecture, profiles, number, architecture.audit, args)
        assert evaluate(code, number, architecture.audit, args)[0] == expected.value


@st.composite
def _near(draw: st.DrawFn, when: Condition) -> tuple[int, ...]:
    """Arguments that pass an alternative, with anything where its masks do not look, and then at most one bit changed."""
    args = list(draw(SIX))
    for test in draw(st.sampled_from(when)):
        args[test.argument] = args[test.argument] & ~test.mask | draw(st.sampled_from(test.values))
    if draw(st.booleans()):
        args[draw(st.integers(0, 5))] ^= 1 << draw(st.integers(0, 63))
    return tuple(args)


@EVERY
@given(choices=st.data())
def test_arguments_at_the_edge_of_a_condition_are_answered_as_the_table_says(
    architecture: Architecture, profiles: frozenset[Profile], choices: st.DataObject
) -> None:
    code = build(architecture.machine, profiles)
    number, when = choices.draw(st.sampled_from(sorted(_conditional(architecture, profiles).items())))
    args = choices.draw(_near(when))
    allowed = evaluate(code, number, architecture.audit, args)[0] == Answer.ALLOW.value
    assert allowed == holds(when, args)
    assert allowed == (answer(architecture, profiles, number, architecture.audit, args) is Answer.ALLOW)


@given(number=st.integers(0, INT), arch=st.integers(0, INT), args=SIX)
def test_a_call_of_another_architecture_ends_the_process_whatever_its_number(
    number: int, arch: int, args: tuple[int, ...]
) -> None:
    for one in ARCHITECTURES.values():
        expected = answer(one, NONE, number, arch, args) if arch == one.audit else Answer.KILL
        assert evaluate(build(one.machine, NONE), number, arch, args)[0] == expected.value


@pytest.mark.parametrize("audit", [0x4000_0003, AARCH64.audit, 0x4000_0028], ids=["i386", "aarch64", "arm"])
def test_a_number_that_is_allowed_here_is_not_when_it_comes_by_another_entry(audit: int) -> None:
    code = build("x86_64", NONE)
    assert evaluate(code, X86_64.numbers["read"], X86_64.audit, (0,) * 6)[0] == Answer.ALLOW.value
    assert evaluate(code, X86_64.numbers["read"], audit, (0,) * 6)[0] == Answer.KILL.value


@given(number=st.integers(0x4000_0000, INT), args=SIX)
def test_an_x32_call_ends_the_process(number: int, args: tuple[int, ...]) -> None:
    assert evaluate(build("x86_64", NONE), number, X86_64.audit, args)[0] == Answer.KILL.value


@given(number=st.integers(470, 0x3FFF_FFFF), args=SIX)
def test_a_call_that_is_not_known_yet_is_not_there(number: int, args: tuple[int, ...]) -> None:
    for one in ARCHITECTURES.values():
        assert evaluate(build(one.machine, NONE), number, one.audit, args)[0] == Answer.ENOSYS.value


# Halves and signs, by hand ------------------------------------------------------------------------------------------

JUNK: Final = 0xDEAD_BEEF << 32


@pytest.mark.parametrize(
    ("call", "args", "profiles", "allowed"),
    [
        ("mmap", (0, 4096, 3, 0x22, LONG, 0), NONE, True),  # what malloc does; its descriptor is -1
        ("mmap", (0, 4096, 3, 0x21, LONG, 0), NONE, False),
        ("mmap", (0, 4096, 3, 0x23, LONG, 0), NONE, False),  # MAP_SHARED_VALIDATE
        ("mmap", (0, 4096, 3, JUNK | 0x21, LONG, 0), NONE, False),
        ("mmap", (0, 4096, 1, 0x4_0022, LONG, 0), frozenset(Profile), False),  # MAP_HUGETLB
        ("mmap", (0, 4096, 3, 1, 5, 0), NONE, True),  # SQLite's shared memory is a file
        ("mmap", (0, 4096, 5, 0x802, 5, 0), NONE, True),  # dlopen
        ("mmap", (0, 4096, 7, 2, 5, 0), NONE, False),
        ("mmap", (0, 4096, 5, 1, 5, 0), NONE, False),
        ("mmap", (0, 4096, 7, 0x22, LONG, 0), NONE, False),
        ("mmap", (0, 4096, 7, 0x22, LONG, 0), frozenset({Profile.EXEC}), True),
        ("mprotect", (0, 4096, JUNK | 5, 0, 0, 0), NONE, False),
        ("clone", (0x3D_0F00, 1, 2, 3, 4, 0), NONE, True),  # pthread_create
        ("clone", (JUNK | 0x120_0011, 0, 0, 0, 0, 0), NONE, True),  # fork; the kernel drops the upper half
        ("clone", (0x1000_0011, 0, 0, 0, 0, 0), NONE, False),  # CLONE_NEWUSER
        ("clone", (0x1000_0011, 0, 0, 0, 0, 0), frozenset(Profile), False),
        ("clone", (0x8011, 0, 0, 0, 0, 0), frozenset(Profile), False),  # CLONE_PARENT
        ("clone", (0x4111, 0, 0, 0, 0, 0), NONE, False),
        ("clone", (0x4111, 0, 0, 0, 0, 0), frozenset({Profile.EXEC}), True),  # posix_spawn
        ("ioctl", (0, 0x5401, 0, 0, 0, 0), NONE, True),
        ("ioctl", (0, JUNK | 0x5401, 0, 0, 0, 0), NONE, True),  # an int: the kernel does not look further
        ("ioctl", (0, JUNK | 0x5412, 0, 0, 0, 0), frozenset(Profile), False),  # TIOCSTI, disguised
        ("sendto", (3, 1, 1, 0, 0, 0), NONE, True),
        ("sendto", (3, 1, 1, 0, 1 << 32, 0), NONE, False),  # an address above 4 GiB has an empty lower half
        ("sendto", (3, 1, 1, 0, 1, 0), NONE, False),
        ("madvise", (0, 4096, 4, 0, 0, 0), NONE, True),  # MADV_DONTNEED
        ("madvise", (0, 4096, 103, 0, 0, 0), NONE, True),  # MADV_GUARD_REMOVE
        ("madvise", (0, 4096, JUNK | 12, 0, 0, 0), frozenset(Profile), False),  # MADV_MERGEABLE
        ("madvise", (0, 4096, 21, 0, 0, 0), frozenset(Profile), False),  # MADV_PAGEOUT
        ("setsockopt", (3, 1, 9, 0, 4, 0), frozenset({Profile.INET}), True),  # SO_KEEPALIVE
        ("setsockopt", (3, 1, 13, 0, 8, 0), frozenset(Profile), False),  # SO_LINGER
        ("sendto", (3, 1, 1, 0, 1 << 32, 0), frozenset({Profile.INET}), True),
        ("sendto", (3, 1, 1, 0x4001, 0, 0), NONE, False),  # MSG_OOB, with MSG_NOSIGNAL
        ("sendto", (3, 1, 1, JUNK | 1, 1, 16), frozenset(Profile), False),
        ("sendmsg", (3, 1, 0x4000, 0, 0, 0), NONE, False),  # a descriptor may go with it
        ("sendmsg", (3, 1, 0x4000, 0, 0, 0), frozenset({Profile.INET}), True),
        ("sendmsg", (3, 1, 0x4000, 0, 0, 0), frozenset({Profile.EXEC}), True),
        ("sendmsg", (3, 1, 1, 0, 0, 0), frozenset(Profile), False),
        ("sendmmsg", (3, 1, 1, 1, 0, 0), frozenset(Profile), False),
        ("preadv2", (3, 1, 1, 0, 0, 0), NONE, True),
        ("preadv2", (3, 1, 1, 0, 0, JUNK | 8), frozenset(Profile), False),  # RWF_NOWAIT
        ("futex", (1, 0x189, 0, 0, 0, LONG), NONE, True),  # FUTEX_WAIT_BITSET, private, by the clock of the day
        ("futex", (1, JUNK | 6, 0, 0, 0, 0), frozenset(Profile), False),  # FUTEX_LOCK_PI
        ("futex", (1, 0x8D, 0, 0, 0, 0), frozenset(Profile), False),  # FUTEX_LOCK_PI2, private
        ("fcntl", (3, 6, 1, 0, 0, 0), NONE, True),  # F_SETLK
        ("fcntl", (3, 37, 1, 0, 0, 0), frozenset(Profile), False),  # F_OFD_SETLK: of a lock nobody knows whose it is
        ("close_range", (3, LONG, 0, 0, 0, 0), NONE, True),
        ("close_range", (3, LONG, JUNK | 2, 0, 0, 0), frozenset(Profile), False),  # CLOSE_RANGE_UNSHARE
        ("fallocate", (3, 0, 0, 4096, 0, 0), NONE, False),  # more than any check of files could stop
        ("fallocate", (3, JUNK | 1, 0, 4096, 0, 0), NONE, False),  # FALLOC_FL_KEEP_SIZE: past any limit of size
        ("fallocate", (3, 3, 0, 4096, 0, 0), NONE, True),  # a hole
        ("socket", (2, 1, 0, 0, 0, 0), NONE, False),
        ("socket", (10, 0x8_0801, 6, 0, 0, 0), frozenset({Profile.INET}), True),
        ("socket", (2, 2, 1, 0, 0, 0), frozenset({Profile.INET}), False),  # ICMP
        ("socket", (2, 3, 0, 0, 0, 0), frozenset({Profile.INET}), False),  # SOCK_RAW
        ("socket", (2, 1, 262, 0, 0, 0), frozenset({Profile.INET}), False),  # MPTCP
        ("socket", (1, 1, 0, 0, 0, 0), frozenset(Profile), False),
        ("socketpair", (1, 2, 0, 0, 0, 0), frozenset(Profile), False),  # a datagram socket could address anybody
        ("socketpair", (1, 0x8_0005, 0, 0, 0, 0), frozenset({Profile.EXEC}), True),  # what Rust spawns by
        ("setresuid", (LONG, 5, 0xFFFF_FFFF, 0, 0, 0), frozenset({Profile.EXEC}), True),
        ("setresuid", (LONG, 5, 5, 0, 0, 0), frozenset(Profile), False),
        ("setresgid", (5, 5, LONG, 0, 0, 0), frozenset(Profile), False),
        ("setresgid", (LONG, 5, LONG, 0, 0, 0), NONE, False),
        ("prlimit64", (JUNK, 7, 1, 0, 0, 0), NONE, True),
        ("prlimit64", (1, 7, 1, 0, 0, 0), NONE, False),
        ("prlimit64", (0, JUNK | 4, 1, 0, 0, 0), frozenset(Profile), False),  # RLIMIT_CORE: 0 would start who collects
        ("prlimit64", (0, 4, 0, 1, 0, 0), NONE, True),  # it is only asked for
    ],
)
def test_halves_signs_and_flags(call: str, args: tuple[int, ...], profiles: frozenset[Profile], allowed: bool) -> None:
    for one in ARCHITECTURES.values():
        returned, _ = evaluate(build(one.machine, profiles), one.numbers[call], one.audit, args)
        assert (returned == Answer.ALLOW.value) == allowed


# The program itself -------------------------------------------------------------------------------------------------


@EVERY
def test_a_program_is_short_and_a_call_costs_a_few_steps(
    architecture: Architecture, profiles: frozenset[Profile]
) -> None:
    code = build(architecture.machine, profiles)
    assert len(code) // FORMAT.size < LONGEST // 7
    assert len(code) % FORMAT.size == 0
    unconditional = [
        evaluate(code, number, architecture.audit, (0,) * 6)[1]
        for number in range(601)
        if number not in _conditional(architecture, profiles)
    ]
    assert max(unconditional) <= 15


def test_a_program_longer_than_the_kernel_takes_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "LONGEST", 100)
    with pytest.raises(ValueError, match="at most 100 instructions"):
        build.__wrapped__("x86_64", NONE)


def test_a_machine_without_a_table_gets_no_program() -> None:
    with pytest.raises(ValueError, match="no table of the system calls of riscv64"):
        build("riscv64", NONE)


def test_a_condition_that_would_mix_halves_of_two_values_is_not_made() -> None:
    with pytest.raises(ValueError, match="several values of 64 bits"):
        program._compare(Bits(0, LONG, (1, 1 << 32)), failed=1)


@pytest.mark.parametrize(
    "code",
    [
        [(program.LOAD, 0, 0, 64)],
        [(program.LOAD, 0, 0, 2)],
        [(program.EQUAL, 1, 0, 0), (program.RETURN, 0, 0, 0)],
        [(0x16, 0, 0, 0)],
        [(program.LOAD, 0, 0, 0)],
    ],
    ids=["beyond the call", "between words", "beyond the end", "unknown", "no return"],
)
def test_the_interpreter_takes_no_more_than_the_kernel(code: list[tuple[int, int, int, int]]) -> None:
    with pytest.raises(ProgramInvalid):
        evaluate(b"".join(FORMAT.pack(*one) for one in code), 1, 0, (0,) * 6)
