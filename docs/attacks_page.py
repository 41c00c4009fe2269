"""docs/attacks.md: every attack of the suite, what it meets, what stops it, and which public case it follows (pure)."""

import inspect
import sys
from typing import Final

from docs.drawn import table
from tests.attacks.all import ATTACKS
from tests.attacks.attack import Attack
from tests.attacks.weakened import OF_THE_KERNEL

HEAD: Final = """\
# Attacks

Each row is a file of `tests/attacks/`: code of a hostile Hand, sealed and installed like any other, that has full control
of its process and tries one thing. `tests/attacks/test_attacks.py` holds each of them to four statements:

- it meets exactly what the table says: an error's class and number, the code of a refused call, or the end of its run;
- kernel and neighbour are the same processes as before, and answer on time; no process, file, mount or descriptor is left;
- without the layers that the table names it succeeds, on this machine, with the same code;
- with any single one of them it does not.

So each layer that is named stops the attack by itself, and no other does. Where success would harm the machine (kexec,
modules, the clock, reboot), the call is made with arguments that the system itself refuses with another error number: to
meet that one means to have passed every layer. A call that this machine's Linux was built without is only refused. On a
[guest](machines.md), whose Linux has them and which is no loss, a module and another Linux are loaded in earnest.

For an ordinary user `tests/attacks/test_ordinary_user.py` runs all of them again: refused in the same way unless the table
says otherwise, by fewer layers, since his runs have his own user id.
"""

SOURCES: Final = (
    (
        "Linux selftests, `landlock`",
        "those that the table above names; that an older version does less: `tests/manifests/confinement/test_plan.py`",
        "`base_test`, `audit_test`; rulesets over each other (a run has one); overlayfs, bind mounts; ioctl of devices",
    ),
    (
        "Linux selftests, `seccomp`", "see [System calls](seccomp.md#other-peoples-lists)",
        "notification, tracing and logging, which no filter here uses",
    ),
    ("Linux selftests, `clone3` and `prctl`", "flags that no filter can see; no_new_privs", "the rest"),
    (
        "Linux selftests, `cgroup`",
        "`tests/machines/second_groups.py`: one with processes shares nothing out; the most of one, and who is in it",
        "the rest, which no run meets",
    ),
    (
        "Linux Test Project", "calls that need a privilege, as the table above names them",
        "its other thousands: they are about calls that work",
    ),
    (
        "WASI's own tests (preview 1)",
        "arguments, environment, clocks, random bytes and the standard streams, as cases of `tests/runtime/wasm/`",
        "its programs are not run; most are about files, of which a module has none",
    ),
    ("WebAssembly's own tests", "traps and limits, as cases of `tests/runtime/wasm/`", "what instructions compute"),
)  # fmt: skip
"""Public lists, what of them is covered, and what is not."""

LISTS: Final = """\
## Public lists, and what of them is covered

Ideas were taken from these, and no code. What tests only that Linux or wasmtime does what it says is left to them.
"""

OTHERS: Final = """\
## What else is tried, and where

| what | where |
| --- | --- |
| the state of every thread of every kind of run; its namespaces and descriptors | `tests/attacks/test_state.py` |
| each layer that is told of a run, of every kind, against what `/proc` says of its processes | `tests/attacks/test_told.py` |
| a layer that is required and missing: no start, with the reason and its mend | `tests/attacks/test_fail_closed.py` |
| a service with the network of the machine: TCP and UDP outwards, and nothing else | `tests/attacks/test_online.py` |
| `outside_read` that leads to something of the home, at a start or later | `tests/attacks/test_outside_read.py` |
| files without a name, open or only mapped, against the limit of disk | `tests/attacks/test_unlinked.py` |
| very many files of one run, against others' limit of disk | `tests/attacks/test_many_files.py` |
| a machine with less never gets more; no rule that was not asked for | `tests/manifests/confinement/test_plan.py` |
| every call of every refused family of system calls, with the filter and without | `tests/kernel/test_seccomp_refused.py` |
| a stranger's key, another's routing id, a second Hello, fields that no header has | `tests/system/test_identity.py` |
| a program that talks to its bridge as none should; callers and providers too | `tests/system/test_command_hostile.py` |
| hostile clients of a run's proxy | `tests/system/test_proxy_hostile.py` |
| command lines that play with outputs, scratch and processes | `tests/system/test_shell_hostile.py` |
| a module that took over its compiler: what it reaches, and what its answers do | `tests/kernel/test_compiler.py` |
| a parent call that is another's | `tests/system/test_deputy.py` |
| a run that ignores Stop and TERM; a kernel or template that dies | `tests/system/test_supervision.py` |

## What is not bounded yet

- **The disk, by files without a name.** They count where root looks at what a run's processes hold; an ordinary user
  may not see it.
- **Memory that is nobody's data.** Tables that map a large, empty address space, and what several processes of one run hold
  together, count against no limit of one process: a control group counts them.
- **Names and dates.** Landlock decides about contents: whether a path exists, its size, mode and times can be asked for
  wherever modes allow to pass.
"""


def _row(name: str, attack: Attack) -> list[str]:
    first = (inspect.getdoc(sys.modules[f"tests.attacks.{name}"]) or "").split("\n\n")[0].replace("\n", " ")
    met = f"`{attack.refused}`" if attack.refused else "comes to nothing"
    if attack.as_user is not None:
        met += f"; ordinary user: `{attack.as_user}`"
    if attack.on_aarch64 is not None:
        met += f"; on aarch64: `{attack.on_aarch64}`"
    stops = ", ".join(f"{layer} (the kernel's)" if layer in OF_THE_KERNEL else layer for layer in attack.stopped_by)
    return [f"`{name}`", first, met, stops, attack.source]


def page() -> str:
    """The whole page."""
    rows = [_row(name, attack) for name, attack in ATTACKS.items()]
    head = ["file", "tries to", "meets", "each of these stops it", "follows"]
    lists = f"{LISTS}\n{table(['list', 'covered', 'not covered'], map(list, SOURCES))}"
    return f"{HEAD}\n## The attacks\n\n{table(head, rows)}\n\n{lists}\n\n{OTHERS}"
