"""The layers of a run's confinement (pure): one table, in the order in which they are applied.

Separate because four users share it: the plan, HAND.toml's `require`, `maniple doctor`, and the docs. A run reports the
names of the layers that it has, and of those that this machine does not support.
"""

from typing import Final, NamedTuple


class Layer(NamedTuple):
    """One layer. stops: what it prevents. mend: how to get it on a machine that lacks it."""

    name: str
    stops: str
    mend: str = "run Maniple on a newer Linux"


_NAMESPACES: Final = "as root, or where ordinary users may make user namespaces: `maniple doctor` says what forbids it"
_LANDLOCK: Final = "boot with `landlock` in the list of lsm=, on Linux {} or newer"

LAYERS: Final = (
    Layer("descriptors", "using what another process had open"),
    Layer("environment", "reading the kernel's environment variables, and steering libraries by them"),
    Layer("session", "sending signals to and from a terminal, and typing into one"),
    Layer("pid-namespace", "looking into or signalling other processes, and outliving one's own end", _NAMESPACES),
    Layer("network-namespace", "using any network of this machine, its loopback included", _NAMESPACES),
    Layer("ipc-namespace", "using the System V and POSIX queues and shared memory of others", _NAMESPACES),
    Layer(
        "mount-namespace", "changing anything outside its own folders, modes and times too; programs and devices in them",
        _NAMESPACES,
    ),
    Layer("user-id", "using what this machine's users may use: each run has a user id of its own", "run Maniple as root"),
    Layer("user-namespace", "using capabilities outside its own namespaces", _NAMESPACES),
    Layer("rlimits", "using more memory, time, processes, descriptors and file size than declared"),
    Layer(
        "cgroup", "using more memory in all its processes together; without it the kernel looks once a second",
        "run Maniple as root where control groups are mounted and can be written, in a container too; or as a service of "
        "systemd's with `Delegate=memory` and `DelegateSubgroup=kernel`",
    ),
    Layer("no-new-privileges", "gaining rights from set-uid programs and file capabilities"),
    Layer("not-dumpable", "reading its memory from outside, and core files"),
    Layer("landlock", "using files outside its own folders", _LANDLOCK.format("5.13")),
    Layer("landlock-tcp", "listening by TCP, and connecting by it to what is not its work", _LANDLOCK.format("6.7")),
    Layer("landlock-scopes", "signalling processes of others, and using their abstract sockets", _LANDLOCK.format("6.12")),
    Layer("capabilities", "using any privilege of root, inside its namespaces as well"),
    Layer(
        "seccomp", "making system calls that it does not need",
        "run a Linux built with CONFIG_SECCOMP_FILTER, on x86-64 or aarch64",
    ),
)  # fmt: skip

NAMES: Final = tuple(layer.name for layer in LAYERS)
