"""The allow-list says what it means: real names, conditions that can hold, profiles that only add."""

from itertools import combinations
from typing import Final

import pytest

from manifests.confinement.allowed import TABLE, Profile, Row, conditions_of
from manifests.confinement.arguments import ALWAYS, LONG
from manifests.confinement.refused import FAMILIES, NEWEST_EXPECTED, Answer, Family
from manifests.confinement.syscalls import AARCH64, NAMES, X86_64

SETS: Final = [frozenset(some) for size in range(len(Profile) + 1) for some in combinations(Profile, size)]
NEVER: Final = """
    ptrace process_vm_readv process_vm_writev mount umount2 keyctl add_key request_key bpf io_uring_setup
    io_uring_enter userfaultfd perf_event_open kexec_load kexec_file_load init_module finit_module delete_module
    setns unshare chroot pivot_root settimeofday clock_settime adjtimex clock_adjtime reboot swapon quotactl
    personality open_by_handle_at name_to_handle_at acct clone3 memfd_create memfd_secret shmget shmat bind listen
    accept accept4 setuid setgid setreuid setregid setgroups capset pidfd_getfd pkey_mprotect seccomp chown
"""

REPLACED: Final = """
    getdents utime utimes futimesat getrlimit signalfd eventfd epoll_create epoll_ctl_old epoll_wait_old
    set_thread_area get_thread_area ustat sysfs uselib
"""
"""By younger calls, which glibc makes."""

GONE: Final = """
    vserver _sysctl create_module get_kernel_syms query_module getpmsg putpmsg afs_syscall tuxcall security
"""
"""Never written, or taken out of the kernel."""

UNUSED: Final = """
    removexattr lremovexattr fremovexattr timerfd_create timerfd_settime timerfd_gettime signalfd4 munlockall
    sched_get_priority_max sched_get_priority_min sched_rr_get_interval sched_getattr
"""
"""Harmless, and nobody was seen to need them."""


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.calls.split()[0])
def test_a_row_names_calls_that_there_are_and_who_needs_them(row: Row) -> None:
    assert set(row.calls.split()) <= NAMES
    assert row.who
    assert (row.when == ALWAYS) == (row.only == "")


@pytest.mark.parametrize("row", [row for row in TABLE if row.when != ALWAYS], ids=lambda row: row.calls)
def test_a_condition_can_hold(row: Row) -> None:
    for test in (test for alternative in row.when for test in alternative):
        assert 0 <= test.argument < 6
        assert 0 < test.mask <= LONG
        assert test.values
        assert all(value & ~test.mask == 0 for value in test.values)


def test_no_call_is_allowed_twice_by_what_every_run_has() -> None:
    calls = [call for row in TABLE if row.profile is None for call in row.calls.split()]
    assert sorted(calls) == sorted(set(calls))


@pytest.mark.parametrize("profiles", SETS, ids=lambda profiles: "+".join(sorted(profiles)) or "none")
def test_what_lets_a_process_out_is_in_no_profile(profiles: frozenset[Profile]) -> None:
    assert set(NEVER.split()) <= NAMES
    found = set(NEVER.split()) & conditions_of(profiles).keys()
    assert found == (
        {"accept4"} if Profile.PROXY in profiles else set()
    )  # on a socket that listens; none can be made to


def test_a_profile_only_adds() -> None:
    for small in SETS:
        for large in (other for other in SETS if small <= other):
            wide = conditions_of(large)
            for call, condition in conditions_of(small).items():
                assert wide[call] == ALWAYS or set(condition) <= set(wide[call])


def test_a_call_is_allowed_or_of_a_refused_family_or_replaced_or_nobodys() -> None:
    everything = {call for profiles in SETS for call in conditions_of(profiles)}
    named = {call for family in FAMILIES for call in family.calls.split()}
    known = {call for one in (X86_64, AARCH64) for call, number in one.numbers.items() if number <= NEWEST_EXPECTED}
    assert known - everything - named == {*REPLACED.split(), *GONE.split(), *UNUSED.split()}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_names_calls_that_there_are_and_says_what_is_left_of_them(family: Family) -> None:
    calls = set(family.calls.split())
    left = calls & {call for profiles in SETS for call in conditions_of(profiles)}
    assert calls <= NAMES
    assert bool(left) == bool(family.but)
    assert family.answer in (Answer.EPERM, Answer.ENOSYS, Answer.EOPNOTSUPP)
