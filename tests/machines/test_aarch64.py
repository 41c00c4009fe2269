"""On an aarch64 machine runs are confined as on x86-64, by the list of system calls that is aarch64's own."""

from pathlib import Path
from typing import Final

import pytest

from tests.living import ROOT
from tests.machines import trials

CONFINEMENT: Final = (
    *(f"tests/kernel/test_seccomp_{name}.py" for name in ("refused", "threads", "workload")),
    *(f"tests/attacks/test_{name}.py" for name in ("state", "layers_reported", "fail_closed", "outside_read")),
    "tests/attacks/test_machine_network.py", "tests/kernel/test_compiler.py", "tests/system/test_wasm_confined.py",
    "tests/system/test_command.py", "tests/system/test_shell.py",
)  # fmt: skip
"""The filter call by call, what is told of runs beside what they have, and each kind of run at work."""

NOT_THERE: Final = (
    "Node.js",
    "there is no node here",
    "there is no make here",
    "there is no Java here",
    "Linux can refuse descriptors since 6.16",
    "of x86-64 alone",
    "entry of i386",
    "this machine has no landlock-",
)
"""Why tests are skipped there: a guest has no Node.js, make or Java, no other convention of calls, and an older Linux."""

ATTACKS: Final = (
    "call_as_x32", "clone_user_namespace", "execute_written_memory", "write_callback", "run_from_memory", "run_program",
    "run_through_loader", "thread_bomb", "load_bpf", "load_module", "load_system", "use_io_uring", "add_key",
    "trace_neighbour", "read_neighbour_memory", "connect_tcp", "send_raw", "change_root", "enter_namespace",
    "unshare_user", "reboot",
)  # fmt: skip
"""Those whose system calls, numbers or machine code are another on aarch64, and one of each family that is refused."""


@pytest.mark.parametrize("name", CONFINEMENT)
def test_what_runs_there_is_here(name: str) -> None:
    assert (ROOT / name).exists()


@pytest.mark.soak
def test_runs_are_confined_and_work_on_aarch64(tmp_path: Path) -> None:
    ended = trials.ended("aarch64", [*CONFINEMENT], tmp_path, within=3600)
    assert ended.failed == frozenset()
    assert [why for why in ended.skipped.values() if not any(known in why for known in NOT_THERE)] == []


@pytest.mark.soak
def test_attacks_on_aarch64_are_refused_and_succeed_without_their_layers(tmp_path: Path) -> None:
    names = " or ".join(f"{name}]" for name in ATTACKS)
    words = ["tests/attacks/test_attacks.py", "-k", f"({names}) and not alone"]
    ended = trials.ended("aarch64", words, tmp_path, within=3600)
    assert ended.failed == frozenset()
