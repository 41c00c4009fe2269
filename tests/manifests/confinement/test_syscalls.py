"""The numbers of system calls are the kernel's: held against the headers of the machine that the tests run on."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from manifests.confinement.syscalls import AARCH64, ARCHITECTURES, X86_64, Architecture

X86_64_HEADERS: Final = (
    Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    Path("/usr/include/asm/unistd_64.h"),
)
GENERIC_HEADER: Final = Path("/usr/include/asm-generic/unistd.h")

FOR_32_BITS: Final = range(403, 424)
OTHER_NAMES: Final = {"sync_file_range2", "arch_specific_syscall", "syscalls"}
"""In asm-generic/unistd.h, but no call of aarch64: times of 64 bits on machines of 32, another order of arguments, marks."""

OF_TRAMPOLINES: Final = {"uretprobe", "uprobe"}


def _defined(text: str) -> dict[str, int]:
    return {name: int(number) for name, number in re.findall(r"^#define\s+__NR_(\w+)\s+(\d+)", text, re.MULTILINE)}


def _generic(text: str) -> dict[str, int]:
    """With the names that a machine of 64 bits gives to the calls whose arguments depend on the word's size."""
    by_size = dict(re.findall(r"^#define\s+__NR3264_(\w+)\s+(\d+)", text, re.MULTILINE))
    names = re.findall(r"^#define\s+__NR_(\w+)\s+__NR3264_(\w+)", text, re.MULTILINE)
    found = {name: number for name, number in _defined(text).items() if number not in FOR_32_BITS}
    for name, of in names:
        if of in by_size and int(by_size[of]) not in found.values():
            found[name] = int(by_size[of])
    return {name: number for name, number in found.items() if name not in OTHER_NAMES}


def _assert_same(ours: Mapping[str, int], header: Mapping[str, int]) -> None:
    newest = max(header.values())
    assert {name: number for name, number in ours.items() if number <= newest} == {
        name: number for name, number in header.items() if name not in OF_TRAMPOLINES
    }


def test_the_numbers_of_x86_64_are_those_of_the_kernels_header() -> None:
    header = next((path for path in X86_64_HEADERS if path.exists()), None)
    if header is None:
        pytest.skip(
            f"none of {', '.join(map(str, X86_64_HEADERS))} is here: install the kernel's headers (linux-libc-dev)"
        )
    _assert_same(X86_64.numbers, _defined(header.read_text()))


def test_the_numbers_of_aarch64_are_those_of_the_kernels_generic_header() -> None:
    if not GENERIC_HEADER.exists():
        pytest.skip(f"{GENERIC_HEADER} is not here: install the kernel's headers (linux-libc-dev)")
    _assert_same(AARCH64.numbers, _generic(GENERIC_HEADER.read_text()))


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_no_number_has_two_names(architecture: Architecture) -> None:
    assert len(set(architecture.numbers.values())) == len(architecture.numbers)


@pytest.mark.parametrize(
    ("call", "x86_64", "aarch64"),
    [
        ("read", 0, 63),
        ("mmap", 9, 222),
        ("execve", 59, 221),
        ("clone", 56, 220),
        ("seccomp", 317, 277),
        ("openat2", 437, 437),
        ("fchmodat2", 452, 452),
        ("mseal", 462, 462),
    ],
)
def test_numbers_that_everybody_knows(call: str, x86_64: int, aarch64: int) -> None:
    assert (X86_64.numbers[call], AARCH64.numbers[call]) == (x86_64, aarch64)
