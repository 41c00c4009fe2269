"""The functions that a guest may import, as one table (pure): by module and name, the type and the host function.

A type is letters, parameters then results: i and I for integers of 32 and 64 bits. A module that imports something else, or
with another type, is unfit; `maniple install` says so.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from runtime.wasm import bus, wasi
from runtime.wasm.ends import Unfit
from runtime.wasm.engine import Import, Signature
from runtime.wasm.guest import Guest

HostFunction = Callable[..., int]

MANIPLE: Final = "maniple"
WASI: Final = "wasi_snapshot_preview1"

_MANIPLE: Final = {
    "call": "iiiiiii:i",
    "log": "iii:",
    "now": ":I",
    "random": "ii:",
    "fail": "iiii:",
}

_WASI: Final = {
    "args_get": "ii:i",
    "args_sizes_get": "ii:i",
    "environ_get": "ii:i",
    "environ_sizes_get": "ii:i",
    "clock_res_get": "ii:i",
    "clock_time_get": "iIi:i",
    "fd_advise": "iIIi:i",
    "fd_allocate": "iII:i",
    "fd_close": "i:i",
    "fd_datasync": "i:i",
    "fd_fdstat_get": "ii:i",
    "fd_fdstat_set_flags": "ii:i",
    "fd_fdstat_set_rights": "iII:i",
    "fd_filestat_get": "ii:i",
    "fd_filestat_set_size": "iI:i",
    "fd_filestat_set_times": "iIIi:i",
    "fd_pread": "iiiIi:i",
    "fd_prestat_get": "ii:i",
    "fd_prestat_dir_name": "iii:i",
    "fd_pwrite": "iiiIi:i",
    "fd_read": "iiii:i",
    "fd_readdir": "iiiIi:i",
    "fd_renumber": "ii:i",
    "fd_seek": "iIii:i",
    "fd_sync": "i:i",
    "fd_tell": "ii:i",
    "fd_write": "iiii:i",
    "path_create_directory": "iii:i",
    "path_filestat_get": "iiiii:i",
    "path_filestat_set_times": "iiiiIIi:i",
    "path_link": "iiiiiii:i",
    "path_open": "iiiiiIIii:i",
    "path_readlink": "iiiiii:i",
    "path_remove_directory": "iii:i",
    "path_rename": "iiiiii:i",
    "path_symlink": "iiiii:i",
    "path_unlink_file": "iii:i",
    "poll_oneoff": "iiii:i",
    "proc_exit": "i:",
    "proc_raise": "i:i",
    "random_get": "ii:i",
    "sched_yield": ":i",
    "sock_accept": "iii:i",
    "sock_recv": "iiiiii:i",
    "sock_send": "iiiii:i",
    "sock_shutdown": "ii:i",
}

_UNANSWERED: Final = (
    ("fd_prestat_", wasi.no_folder),
    ("fd_", wasi.no_file),
    ("path_", wasi.no_folder),
    ("sock_", wasi.no_socket),
    ("proc_raise", wasi.no_signal),
)
"""The host functions of imports without an own one, by prefix."""

TYPES: Final[Mapping[tuple[str, str], Signature]] = {
    (module, name): Signature(*letters.split(":"))
    for module, rows in ((MANIPLE, _MANIPLE), (WASI, _WASI))
    for name, letters in rows.items()
}
"""The types by module and name."""


def check(imports: Iterable[Import]) -> None:
    """Raises Unfit, naming it, for an import that is not offered, or not with its type."""
    for one in imports:
        offered = TYPES.get((one.module, one.name))
        if offered is None:
            names = ", ".join(_MANIPLE)
            offer = f"there are {names} of {MANIPLE}, and WASI preview 1"
            raise Unfit(f"it imports {one.module}.{one.name}, which is not offered: {offer}")
        if one.signature != offered:
            raise Unfit(f"it imports {one.module}.{one.name} as {_shown(one.signature)}, and it is {_shown(offered)}")


def function(one: Import, of_bus: bus.Bus) -> HostFunction:
    """The host function for an import that `check` passed."""
    if one.module == MANIPLE:
        return of_bus.call if one.name == "call" else getattr_of(bus, one.name)
    if one.name == "poll_oneoff":
        return partial(_poll, of_bus)
    own: HostFunction | None = getattr(wasi, one.name, None)
    return own or next(answer for begin, answer in _UNANSWERED if one.name.startswith(begin))


def getattr_of(module: object, name: str) -> HostFunction:
    """A function of a module, by its name."""
    found: HostFunction = getattr(module, name)
    return found


def _poll(of_bus: bus.Bus, guest: Guest, *values: int) -> int:
    return wasi.poll_oneoff(guest, of_bus, *values)


def _shown(signature: Signature | None) -> str:
    if signature is None:
        return "something that is not a function"
    names = {"i": "i32", "I": "i64", "f": "f32", "F": "f64"}
    return " -> ".join("(" + ", ".join(names.get(letter, "?") for letter in letters) + ")" for letters in signature)
