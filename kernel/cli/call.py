"""`maniple call` (acts)."""

from contextlib import ExitStack

import click
from msgspec import Struct

from kernel.cli import bounding, named_files, replies, spending, streams, typed
from kernel.cli.client import Client, Reply, check_header_texts
from kernel.cli.exits import Ended, Exit, NoProvider, NotDone
from kernel.cli.frame import Session, as_json, command, method_names, say
from manifests.errors import ValueInvalid
from manifests.judging import BUNDLED
from manifests.suggestions import did_you_mean, nearest
from manifests.values import parse_duration
from wire.amounts import Cost


class MethodRow(Struct, frozen=True, kw_only=True):
    """A row of kernel.describe."""

    method: str
    resource: str
    params: dict[str, str]
    schemas: dict[str, dict[str, object]] = {}
    returns: dict[str, str] = {}
    summary: str = ""
    effect: str = "read"
    idempotent: bool = False
    most: Cost | None = None
    labels: tuple[str, ...] = ()
    provider: str = ""


class Methods(Struct, frozen=True, kw_only=True):
    """A page of kernel.describe. more: whether others follow."""

    methods: tuple[MethodRow, ...]
    more: bool = False


class Result(Struct, frozen=True, kw_only=True):
    """What `call --json` prints. streamed: number of bytes that came as chunks."""

    value: object
    labels: tuple[str, ...]
    cost: Cost | None
    streamed: int


@command()
@click.argument("method", metavar="METHOD", shell_complete=method_names)
@click.argument("words", metavar="[RESOURCE] [KEY=VALUE]...", nargs=-1)
@click.option("--upload", metavar="FILE", type=named_files.PATH, help="Stream a file to the method; - is stdin.")
@click.option(
    "--output", metavar="FILE", type=named_files.PATH, help="Write streamed bytes here, instead of to stdout."
)
@click.option("--timeout", metavar="TIME", help="How long it may take, such as 90s; default 60s.")
@click.option("--most", metavar="KEY=AMOUNT", multiple=True, help="What it may cost: tokens=2000, dollars=0.05.")
def call(
    session: Session, method: str, words: tuple[str, ...], upload: str | None, output: str | None, timeout: str | None,
    most: tuple[str, ...],
) -> None:  # fmt: skip
    """Make one call as the operator, and print the reply.

    RESOURCE is what the method acts on, if it acts on something. Arguments are read as the method declares them
    (`maniple methods METHOD`): key=value is text, a number, a time or a size, key:=JSON is JSON.

    Streamed bytes go to stdout, or into --output. The value goes to stdout too, or to stderr if bytes went to stdout.

        maniple call files.read data/report.csv > report.csv

        maniple call files.write data/new.txt --upload - make_folders=true
    """
    seconds, bounds = _seconds(timeout), spending.parse_most(most)
    check_header_texts(method, "")
    with ExitStack() as stack:
        client = stack.enter_context(session.client())
        resource, arguments = _parse(client, method, words)
        at_most = bounding.most_of(client, bounds)
        source = stack.enter_context(streams.source(upload)) if upload is not None else None
        sink = _Sink(stack, output)
        try:
            reply = client.call(
                method, resource, arguments, seconds=seconds, chunk=sink.write, upload=source, most=at_most
            )
        except NotDone as error:
            if error.reason != "no provider":
                raise
            rows = fetch_methods(client)
            if any(row.method == method for row in rows):
                raise  # the method exists: its provider failed for lack of another
            is_bundled = isinstance(error, NoProvider) and error.owner in BUNDLED
            if is_bundled and not any(row.provider == method.partition(".")[0] for row in rows):
                raise  # main.py says what installs that Hand
            raise _why_uncalled(client, method, rows) from None
    _show(session, reply, sink)


def _parse(client: Client, method: str, words: tuple[str, ...]) -> tuple[str, dict[str, object]]:
    """Parse the resource and the arguments as the method declares them. An unknown method gets none: its call will fail."""
    try:
        found = fetch_method(client, method)
    except NotDone as error:
        if error.reason != "unknown":
            raise
        return "", {}
    resource = ""
    if found.resource != "none":
        if not words:
            see = f"see `maniple methods {method}`"
            raise Ended(f"{method} acts on a {found.resource}: name it after the method: {see}", Exit.USAGE)
        resource, words = words[0], words[1:]
    return resource, typed.arguments(found.params, typed.parse_words(words), see=f"maniple methods {method}")


def fetch_methods(client: Client) -> tuple[MethodRow, ...]:
    """Fetch all methods that can be called."""
    page = replies.read(client.call("kernel.describe").value, Methods)
    rows = page.methods
    while page.more:
        page = replies.read(client.call("kernel.describe", "", {"after": rows[-1].method}).value, Methods)
        rows += page.methods
    return rows


def fetch_method(client: Client, method: str) -> MethodRow:
    """Fetch a method's declaration. Raises NotDone (unknown) if nothing provides it."""
    return replies.read(client.call("kernel.describe", "", {"method": method}).value, Methods).methods[0]


def unknown_method(name: str, rows: tuple[MethodRow, ...]) -> Ended:
    """The error for a method, or a Hand's methods, that nothing provides; it suggests a similar name if there is one."""
    names = dict.fromkeys(word for row in rows for word in (row.method, row.method.partition(".")[0]))
    if name in names and not name.startswith("kernel"):
        return Ended(f"{name} is a Hand and no method: see `maniple methods {name}`")
    with_suffix = [one for one in names if one.endswith(f".{name}")]
    near = with_suffix[0] if with_suffix else nearest(name, names)
    meant = "" if near.startswith("kernel") else did_you_mean(near)
    return Ended(f"nothing provides {name!r}{meant}: see `maniple methods`")


def _why_uncalled(client: Client, name: str, rows: tuple[MethodRow, ...]) -> Ended:
    """The error for a method that nothing provides; it says what to type if a task Hand's work was meant."""
    from kernel.cli import installed  # imported late: only for this

    hand = name.partition(".")[0]
    is_task = any(row.name == hand and row.kind == "task" for row in installed.list_hands(client))
    if not is_task or any(row.provider == hand for row in rows):
        return unknown_method(name, rows)
    return Ended(f"nothing provides {name!r}: {hand} is a task, and `maniple start {hand}` begins its work")


class _Sink:
    """Writes streamed bytes into a file or to stdout. count: their number; to_stdout: whether any went to stdout."""

    def __init__(self, stack: ExitStack, output: str | None) -> None:
        self._file = None if output is None else stack.enter_context(streams.replace(output))
        self._write = streams.to_stdout()
        self.to_stdout = False
        self.count = 0

    def write(self, piece: bytes) -> None:
        """Write a piece; the provider gets credit for the next when this returns."""
        self.count += len(piece)
        if self._file is not None:
            self._file(piece)
        elif piece:
            self.to_stdout = True
            self._write(piece)


def _show(session: Session, reply: Reply, sink: _Sink) -> None:
    result = Result(value=reply.value, labels=reply.labels, cost=reply.cost, streamed=sink.count)
    if sink.to_stdout:
        say(as_json(result if session.json else reply.value))
    else:
        session.result(result, lambda: as_json(reply.value))
    if reply.labels and not session.json:
        session.say(f"labels: {', '.join(reply.labels)}")
    if not session.json and (cost := spending.cost_text(reply.cost)):
        session.say(f"cost: {cost}")


def _seconds(timeout: str | None) -> float:
    if timeout is None:
        return 0
    try:
        milliseconds = parse_duration(timeout)
    except ValueInvalid as error:
        raise Ended(f"--timeout: {error.why}; {error.instead}", Exit.USAGE) from None
    if not milliseconds:
        raise Ended('--timeout: a call needs more than no time; write "60s"', Exit.USAGE)
    return milliseconds / 1000
