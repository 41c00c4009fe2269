"""Draws docs/attacks.md: every attack of the suite, its result, the layers that stop it, and its public source (pure)."""

import inspect
import sys
from typing import Final

from docs.drawn import table
from tests.attacks.all import ATTACKS
from tests.attacks.attack import Attack
from tests.attacks.weakened import KERNEL_LAYERS

HEAD: Final = """\
# Attacks

What hostile Hands try here, and what stops them. To run all of it on your machine: `./just test tests/attacks`.

Each row below is a file of `tests/attacks/`: code of a hostile Hand, sealed and installed like any other, with full control
of its process, that tries one thing. `tests/attacks/test_attacks.py` shows of each that

- it meets exactly what the table says: an error's class and number, the code of a refused call, or the end of its run;
- kernel and neighbour are the same processes as before and answer on time, and no process, file, mount or descriptor is left;
- without the layers that the table names, the same code succeeds on this machine;
- with any single one of them, it does not.

So each layer named stops the attack by itself, and no other layer does. Where success would harm the machine (kexec,
modules, reboot), the call has arguments that the system refuses with another error number: meeting that number
means having passed every layer. A call that this machine's Linux was built without is only refused. On a
[guest](machines.md), whose Linux has such calls and may be lost, a module and another Linux are really loaded; another keeps
huge pages, which attacks take there.

`tests/attacks/test_ordinary_user.py`, a wide test (`./just soak -m wide`), runs all of them again as an ordinary user.
They are refused in the same way unless the table says otherwise, by fewer layers, since his runs have his own user id.
"""

SOURCES: Final = (
    (
        "Linux selftests, `landlock`",
        "those in the table above; older versions, which do less: `tests/manifests/confinement/test_plan.py`",
        "`base_test`, `audit_test`; stacked rulesets (a run has one); overlayfs, bind mounts; ioctl of devices",
    ),
    (
        "Linux selftests, `seccomp`", "see [System calls](seccomp.md#other-peoples-lists)",
        "notification, tracing and logging, which no filter here uses",
    ),
    ("Linux selftests, `clone3` and `prctl`", "flags that no filter can see; no_new_privs", "the rest"),
    (
        "Linux selftests, `cgroup`",
        "`tests/machines/second_groups.py`: no controllers below a group with processes; a group's limit and members",
        "the rest, which no run meets",
    ),
    (
        "Linux Test Project", "calls that need a privilege, in the table above",
        "thousands of others, about calls that work",
    ),
    (
        "WASI's own tests (preview 1)",
        "arguments, environment, clocks, random bytes and the standard streams, as cases of `tests/runtime/wasm/`",
        "its programs are not run; most concern files, which a module does not have",
    ),
    ("WebAssembly's own tests", "traps and limits, as cases of `tests/runtime/wasm/`", "results of instructions"),
)  # fmt: skip
"""Public lists: name, what is covered here, and what is not."""

LISTS: Final = """\
## Public lists, and what of them is covered

Ideas were taken from these lists, and no code. Tests of whether Linux or wasmtime keeps its own promises are left to them.
"""

OTHERS: Final = """\
## What else is tried, and where

| what | where |
| --- | --- |
| the state of every thread of every kind of run; its namespaces and descriptors | `tests/attacks/test_state.py` |
| each layer reported of a run, of every kind, against `/proc` of its processes | `tests/attacks/test_layers_reported.py` |
| a required layer that is missing: no start, with the reason and its mend | `tests/attacks/test_fail_closed.py` |
| a service with the machine's network: outgoing TCP, UDP; nothing slow to close | `tests/attacks/test_machine_network.py` |
| `outside_read` that leads into the home, at a start or later | `tests/attacks/test_outside_read.py` |
| unlinked files, open or only mapped, against the disk limit | `tests/attacks/test_unlinked_files.py` |
| very many files of one run, against others' disk limit | `tests/attacks/test_many_files.py` |
| a machine with less never grants more; no rule that was not asked for | `tests/manifests/confinement/test_plan.py` |
| every call of every refused family of system calls, with and without the filter | `tests/kernel/test_seccomp_refused.py` |
| a stranger's key, another's routing id, a second Hello, fields that no header has | `tests/system/test_identity.py` |
| a program that breaks its bridge's protocol; callers and providers that do | `tests/system/test_command_hostile.py` |
| hostile clients of a run's proxy | `tests/system/test_proxy_hostile.py` |
| command lines that abuse outputs, scratch and processes | `tests/system/test_shell_hostile.py` |
| a module that took over its compiler: what it reaches, and what its answers can do | `tests/kernel/test_compiler.py` |
| a parent call that belongs to another run | `tests/system/test_deputy.py` |
| a run that ignores Stop and TERM; a kernel or template that dies | `tests/system/test_supervision.py` |

## What is not bounded yet

- **Unlinked files on the disk.** As root their size counts, since root sees what a run's processes hold; an ordinary user
  may not see it.
- **Memory outside the data limit.** Page tables of a large, empty address space count against no limit of a process, nor
  does memory that was written and then closed to writing. Without a control group they count, and the memory of several
  processes together, at a check once a second.
- **Names and dates.** Landlock protects contents. Whether a path exists, its size, mode and times can be asked wherever
  file modes allow it.
"""


def _row(name: str, attack: Attack) -> list[str]:
    first = (inspect.getdoc(sys.modules[f"tests.attacks.{name}"]) or "").split("\n\n")[0].replace("\n", " ")
    met = f"`{attack.refused}`" if attack.refused else "comes to nothing"
    if attack.as_user is not None:
        met += f"; ordinary user: `{attack.as_user}`"
    if attack.on_aarch64 is not None:
        met += f"; on aarch64: `{attack.on_aarch64}`"
    stops = ", ".join(f"{layer} (the kernel's)" if layer in KERNEL_LAYERS else layer for layer in attack.stopped_by)
    return [f"`{name}`", first, met, stops, attack.source]


def page() -> str:
    """Draw the whole page."""
    rows = [_row(name, attack) for name, attack in ATTACKS.items()]
    head = ["file", "tries to", "meets", "each of these stops it", "follows"]
    lists = f"{LISTS}\n{table(['list', 'covered', 'not covered'], map(list, SOURCES))}"
    return f"{HEAD}\n## The attacks\n\n{table(head, rows)}\n\n{lists}\n\n{OTHERS}"
