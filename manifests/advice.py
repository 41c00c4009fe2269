"""Finds in a Hand's Python code what differs when a run is resumed or replayed, what its confinement refuses, and what
does nothing or cannot be imported (pure).

A task run that is resumed or replayed sees the same clock and random numbers as before: Python's `time`, `random` and
`uuid4` are bound to its tape (runtime/clock.py). The sources in UNBOUND cannot be bound, and a run whose requests depend
on them diverges. PROGRAMS and NETWORK fail in a run, with no other word than "Operation not permitted". All are found in the
source code, as advice: `maniple check` shows them and refuses nothing, as a value that only reaches the Hand's log does no
harm. Uses through `getattr` or other libraries are not found.
"""

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from manifests.errors import Problem

_NOW: Final = "write self.now()"
_CHANCE: Final = "write self.random, whose seed is on the run's tape"
UNBOUND: Final = {
    "datetime.date.today": "write self.now().date()",
    "datetime.datetime.now": _NOW,
    "datetime.datetime.today": _NOW,
    "datetime.datetime.utcnow": _NOW,
    "os.getrandom": _CHANCE,
    "os.times": _NOW,
    "os.urandom": "write self.random.randbytes(n); for a secret, have a service make it",
    "random.SystemRandom": _CHANCE,
    "secrets": "write self.random; for a secret, have a service make it",
    "time.clock_gettime": _NOW,
    "time.clock_gettime_ns": _NOW,
    "time.process_time": _NOW,
    "time.process_time_ns": _NOW,
    "time.sleep": "write await self.sleep(seconds), which outlives the process",
    "time.thread_time": _NOW,
    "time.thread_time_ns": _NOW,
    "uuid.uuid1": "write self.uuid()",
}
"""A name, or a module with all its names → what to write instead."""

_PROGRAM: Final = "call shell.run, or write programs = true under [confinement]"
PROGRAMS: Final = dict.fromkeys(
    (
        "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell", "os.popen", "os.posix_spawn", "os.system",
        "subprocess.Popen", "subprocess.call", "subprocess.check_call", "subprocess.check_output", "subprocess.run",
    ),
    _PROGRAM,
)  # fmt: skip
"""What starts a program → what to write instead, unless [confinement] has `programs`."""

_PAGE: Final = "call web.fetch, or the method of another Hand"
NETWORK: Final = dict.fromkeys(
    (
        "asyncio.open_connection", "asyncio.start_server", "http.client.HTTPConnection", "http.client.HTTPSConnection",
        "smtplib.SMTP", "socket.create_connection", "socket.create_server", "socket.socket", "urllib.request.urlopen",
    ),
    _PAGE,
)  # fmt: skip
"""What opens a connection → what to write instead, unless [confinement] has a `network`."""

AWAITED: Final = frozenset(
    {
        "self.kernel.budget", "self.kernel.call", "self.kernel.check", "self.kernel.describe", "self.kernel.list",
        "self.kernel.note", "self.kernel.pause", "self.kernel.publish", "self.kernel.resume", "self.kernel.settings",
        "self.kernel.sleep", "self.kernel.spawn", "self.kernel.spawn_and_wait", "self.kernel.stop", "self.kernel.subscribe",
        "self.kernel.time_passes", "self.kernel.wait", "self.progress", "self.publish", "self.sleep",
    }
)  # fmt: skip
"""A Hand's own coroutines, as its code calls them."""


def find_unbound(text: str, file: str) -> tuple[Problem, ...]:
    """Return every use of what UNBOUND lists, in the order of the text. Raises what ast.parse raises for invalid code."""
    return _uses(text, file, UNBOUND, "is not the same when the run is resumed or replayed")


def find_refused(text: str, file: str, *, programs: bool, network: bool) -> tuple[Problem, ...]:
    """Return every use of what starts programs or opens connections, unless the Hand may. Raises as find_unbound does."""
    listed = {**({} if programs else PROGRAMS), **({} if network else NETWORK)}
    return _uses(text, file, listed, "is refused in a run")


def find_unawaited(text: str, file: str) -> tuple[Problem, ...]:
    """Return every call by `self` whose coroutine is dropped: the run goes on and ends as if it had been made."""
    dropped = (node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Expr))
    calls = ((one, ast.unparse(one.func)) for one in dropped if isinstance(one, ast.Call))
    return tuple(
        Problem(file, call.lineno, call.col_offset + 1, f"{name} without await does nothing", f"write await {name}(…)")
        for call, name in calls
        if name in AWAITED
    )


def find_absent(text: str, file: str, has: Callable[[str], bool]) -> tuple[Problem, ...]:
    """Return each import at the top level that cannot succeed; one in a `try` or a function may be meant to fail.

    has: whether there is a module of this name. Of a file that says where else to look, by `sys.path`, nothing is known.
    """
    if "sys.path" in text:
        return ()
    folder = file.rpartition("/")[0] or "."
    instead = f"put a package of pure Python there: python3 -m pip install --no-compile --target {folder} PACKAGE"
    found = []
    for node in ast.parse(text).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
        for name in {one.partition(".")[0]: None for one in names}:
            if not has(name):
                what = f"there is no module {name}, neither in this folder nor beside Maniple"
                found.append(Problem(file, node.lineno, node.col_offset + 1, what, instead))
    return tuple(found)


def _uses(text: str, file: str, listed: Mapping[str, str], why: str) -> tuple[Problem, ...]:
    tree = ast.parse(text)
    names = dict(_imported(tree))
    found = []
    inner: set[ast.expr] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute | ast.Name) or node in inner:
            continue
        inner.update(_within(node))
        dotted = _dotted(node, names)
        instead = next((listed[one] for one in _prefixes(dotted) if one in listed), "")
        if instead:
            found.append(Problem(file, node.lineno, node.col_offset + 1, f"{dotted} {why}", instead))
    return tuple(sorted(found))


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield each name that an import binds, with its full dotted name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.partition(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _dotted(node: ast.expr, names: dict[str, str]) -> str:
    """Return the full dotted name of an expression such as `dt.datetime.now`, "" if its first name is not imported."""
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value, names)
        return before and f"{before}.{node.attr}"
    return names.get(node.id, "") if isinstance(node, ast.Name) else ""


def _within(node: ast.expr) -> Iterator[ast.expr]:
    while isinstance(node, ast.Attribute):
        node = node.value
        yield node


def _prefixes(dotted: str) -> Iterator[str]:
    """Yield a dotted name, then the same without its last part, and so on up to its module."""
    while dotted:
        yield dotted
        dotted = dotted.rpartition(".")[0]
