"""The imports of the module `wasi_snapshot_preview1` (acts): a program finds no files, no network, no clock of its own.

Follows https://github.com/WebAssembly/WASI, legacy/preview1/docs.md. Only descriptors 0, 1 and 2 are ever open: 0 is at its
end, 1 and 2 go to the Hand's log, line by line. Time is the kernel's and random bytes are the run's. Functions for files and
sockets exist so that a module that imports them can be instantiated; they return an errno.
"""

from typing import Final

from runtime.wasm.bus import LINE, LONGEST_LINE, Bus, random
from runtime.wasm.ends import Exited
from runtime.wasm.guest import PIECE, Guest

SUCCESS, BADF, INVAL, NOSYS, NOTSOCK, SPIPE, NOTCAPABLE = 0, 8, 28, 52, 57, 70, 76
"""The errno values in use."""

STREAMS: Final = {1: "stdout", 2: "stderr"}
MOST_VECTORS: Final = 1_024
MOST_SUBSCRIPTIONS: Final = 256

_CHARACTER_DEVICE: Final = 2
_APPEND: Final = 1
_RIGHT_READ, _RIGHT_WRITE, _RIGHT_POLL = 1 << 1, 1 << 6, 1 << 27
_REALTIME, _MONOTONIC = 0, 1
_CLOCK, _READABLE, _WRITABLE = 0, 1, 2
_ABSOLUTE: Final = 1
_HANGUP: Final = 1
_RESOLUTION: Final = 1_000  # nanoseconds: the kernel's clock counts microseconds


def args_sizes_get(guest: Guest, count: int, size: int) -> int:
    """Writes the number of arguments, and of their bytes."""
    return _sizes(guest, guest.terms.arguments, count, size)


def args_get(guest: Guest, pointers: int, texts: int) -> int:
    """Writes the arguments: the Hand's name, then `name=value` for each."""
    return _texts(guest, guest.terms.arguments, pointers, texts)


def environ_sizes_get(guest: Guest, count: int, size: int) -> int:
    """Writes the number of environment variables, and of their bytes."""
    return _sizes(guest, guest.terms.environment, count, size)


def environ_get(guest: Guest, pointers: int, texts: int) -> int:
    """Writes the environment variables: the Hand's settings, names in capitals."""
    return _texts(guest, guest.terms.environment, pointers, texts)


def clock_res_get(guest: Guest, clock: int, out: int) -> int:
    """Writes the resolution of a clock."""
    return _number(guest, out, _RESOLUTION) if clock in (_REALTIME, _MONOTONIC) else INVAL


def clock_time_get(guest: Guest, clock: int, _: int, out: int) -> int:
    """Writes the kernel's time; the monotonic clock starts with the call. Neither moves while the guest computes."""
    if clock not in (_REALTIME, _MONOTONIC):
        return INVAL
    return _number(guest, out, _clock(guest, clock))


def random_get(guest: Guest, at: int, size: int) -> int:
    """Fills memory with random bytes from the run's seed."""
    return random(guest, at, size)


def fd_write(guest: Guest, fd: int, vectors: int, count: int, out: int) -> int:
    """Writes to the Hand's log, at most PIECE bytes per call; writes how many to `out`."""
    if fd not in guest.output:
        return BADF
    if count > MOST_VECTORS:
        return INVAL
    room, taken = PIECE, bytearray()
    table = guest.read(vectors, 8 * count)
    for number in range(count):
        at, size = _u32(table, 8 * number), _u32(table, 8 * number + 4)
        taken += guest.read(at, min(size, room - len(taken)))
    guest.charge(len(taken))
    if STREAMS[fd] == "stdout":
        guest.terms.keep(bytes(taken))
    _print(guest, fd, bytes(taken))
    guest.write(out, len(taken).to_bytes(4, "little"))
    return SUCCESS


def fd_read(guest: Guest, fd: int, _: int, __: int, out: int) -> int:
    """Reads nothing: standard input is at its end."""
    if fd != 0:
        return BADF
    guest.write(out, bytes(4))
    return SUCCESS


def fd_close(guest: Guest, fd: int) -> int:
    """Closes a stream."""
    if fd == 0:
        return SUCCESS
    if fd not in guest.output:
        return BADF
    finish(guest, fd)
    del guest.output[fd]
    return SUCCESS


def fd_fdstat_get(guest: Guest, fd: int, out: int) -> int:
    """Describes a descriptor: a character device."""
    if not _is_open(guest, fd):
        return BADF
    rights = _RIGHT_POLL | (_RIGHT_READ if fd == 0 else _RIGHT_WRITE)
    flags = 0 if fd == 0 else _APPEND
    guest.write(out, bytes((_CHARACTER_DEVICE, 0, flags, 0, 0, 0, 0, 0)) + rights.to_bytes(8, "little") + bytes(8))
    return SUCCESS


def fd_filestat_get(guest: Guest, fd: int, out: int) -> int:
    """Describes a descriptor, without size and times."""
    if not _is_open(guest, fd):
        return BADF
    guest.write(out, bytes(16) + bytes((_CHARACTER_DEVICE,)) + bytes(47))
    return SUCCESS


def fd_fdstat_set_flags(guest: Guest, fd: int, _: int) -> int:
    """Has no effect: these streams never block."""
    return SUCCESS if _is_open(guest, fd) else BADF


def fd_seek(guest: Guest, fd: int, _: int, __: int, ___: int) -> int:
    """Fails: a stream has no positions."""
    return SPIPE if _is_open(guest, fd) else BADF


def fd_tell(guest: Guest, fd: int, _: int) -> int:
    """Fails: a stream has no positions."""
    return SPIPE if _is_open(guest, fd) else BADF


def no_file(guest: Guest, fd: int, *_: int) -> int:
    """Fails: no file is open, and none can be opened."""
    return NOSYS if _is_open(guest, fd) else BADF


def no_folder(_: Guest, *__: int) -> int:
    """Fails: no folder is open."""
    return BADF


def no_socket(guest: Guest, fd: int, *_: int) -> int:
    """Fails: there are no sockets."""
    return NOTSOCK if _is_open(guest, fd) else BADF


def no_signal(_: Guest, __: int) -> int:
    """Fails: there are no signals."""
    return NOSYS


def sched_yield(_: Guest) -> int:
    """Does nothing: there is no other thread."""
    return SUCCESS


def proc_exit(_: Guest, number: int) -> int:
    """Ends the program."""
    raise Exited(number)


def poll_oneoff(guest: Guest, bus: Bus, subscriptions: int, events: int, count: int, out: int) -> int:
    """Waits for the first of several events: a stream, which is always ready, or a time, by a call of kernel.sleep."""
    if not 0 < count <= MOST_SUBSCRIPTIONS:
        return INVAL
    asked = [guest.read(subscriptions + 48 * number, 48) for number in range(count)]
    found = [_stream_event(guest, one) for one in asked if one[8] != _CLOCK]
    if not found:
        due = [(_wait(guest, one), one) for one in asked]
        first = min(wait for wait, _ in due)
        if first > 0 and not bus.sleep(guest, first):
            return NOTCAPABLE
        found = [_event(one, SUCCESS) for wait, one in due if wait <= first]
    guest.write(events, b"".join(found))
    guest.write(out, len(found).to_bytes(4, "little"))
    return SUCCESS


def finish(guest: Guest, fd: int) -> None:
    """Outputs the rest of an unfinished line."""
    left = guest.output[fd]
    if left:
        guest.terms.say(left.decode("utf-8", "replace"), STREAMS[fd])
        left.clear()


def _print(guest: Guest, fd: int, raw: bytes) -> None:
    *lines, rest = raw.split(b"\n")
    for line in lines:
        guest.charge(LINE)
        guest.output[fd] += line
        guest.terms.say(guest.output[fd].decode("utf-8", "replace"), STREAMS[fd])
        guest.output[fd].clear()
    guest.output[fd] += rest
    if len(guest.output[fd]) > LONGEST_LINE:
        finish(guest, fd)


def _is_open(guest: Guest, fd: int) -> bool:
    return fd == 0 or fd in guest.output


def _clock(guest: Guest, clock: int) -> int:
    return 1_000 * (guest.now if clock == _REALTIME else guest.now - guest.terms.time)


def _wait(guest: Guest, subscription: bytes) -> int:
    """Nanoseconds until the time that a subscription waits for."""
    clock, at = _u32(subscription, 16), int.from_bytes(subscription[24:32], "little")
    is_absolute = subscription[40] & _ABSOLUTE
    return max(0, at - _clock(guest, clock)) if is_absolute else at


def _stream_event(guest: Guest, subscription: bytes) -> bytes:
    fd, kind = _u32(subscription, 16), subscription[8]
    if not _is_open(guest, fd) or (kind == _WRITABLE) is (fd == 0) or kind > _WRITABLE:
        return _event(subscription, BADF)
    return _event(subscription, SUCCESS, room=0 if fd == 0 else PIECE, flags=_HANGUP if fd == 0 else 0)


def _event(subscription: bytes, error: int, *, room: int = 0, flags: int = 0) -> bytes:
    head = subscription[:8] + error.to_bytes(2, "little") + subscription[8:9] + bytes(5)
    return head + room.to_bytes(8, "little") + flags.to_bytes(2, "little") + bytes(6)


def _sizes(guest: Guest, texts: tuple[bytes, ...], count: int, size: int) -> int:
    guest.write(count, len(texts).to_bytes(4, "little"))
    guest.write(size, sum(len(text) + 1 for text in texts).to_bytes(4, "little"))
    return SUCCESS


def _texts(guest: Guest, texts: tuple[bytes, ...], pointers: int, at: int) -> int:
    for number, text in enumerate(texts):
        guest.charge(len(text))
        guest.write(pointers + 4 * number, at.to_bytes(4, "little"))
        guest.write(at, text + b"\0")
        at += len(text) + 1
    return SUCCESS


def _number(guest: Guest, out: int, number: int) -> int:
    guest.write(out, number.to_bytes(8, "little"))
    return SUCCESS


def _u32(raw: bytes, at: int) -> int:
    return int.from_bytes(raw[at : at + 4], "little")
