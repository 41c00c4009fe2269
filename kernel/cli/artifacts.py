"""`maniple artifacts` (acts)."""

import sys
from base64 import b64encode

import click
from msgspec import Struct, structs

from kernel.cli import memories, named_files, replies, screen, streams
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command, write
from kernel.cli.usage_errors import WholeNumber


class _Artefact(Struct, frozen=True, kw_only=True):
    """A row of report.all."""

    namespace: str
    id: str
    title: str
    type: str
    size: int
    sha256: str
    made: str


class _All(Struct, frozen=True, kw_only=True):
    """The reply of report.all."""

    artifacts: tuple[_Artefact, ...]
    more: bool
    problems: tuple[str, ...] = ()


@command()
@click.argument("which", metavar="[ID]", required=False)
@click.option("--to", metavar="FILE", type=named_files.PATH, help="Write it into this new file.")
@click.option(
    "-n", "--most", metavar="N", type=WholeNumber(1, 500), default=100, help="The last N, at most 500; default 100."
)
def artifacts(session: Session, which: str | None, to: str | None, most: int) -> None:
    """List what Hands finished, the latest first; with an ID, or its beginning, show that artefact.

    On a terminal, control characters of a text are made visible. --to FILE and a pipe get its exact bytes. --json gives
    its row and its content: as text, or as base64 if it is not text.
    """
    if to is not None and not which:
        raise Ended(f"--to {to}: name what it is to hold, by its ID", Exit.USAGE)
    with session.client() as client:
        asked: dict[str, object] = {"most": most} if which is None else {"most": 2, "begins": which}
        reply = client.call("report.all", "", asked).value
        found = replies.read(reply, _All)
        for problem in found.problems:
            session.say(screen.visible(problem))
        if which is None:
            names = {} if session.json else memories.names_by_namespace(client)
            session.result(reply, lambda: _table(found, names), nothing="No Hand has finished anything yet.")
            return
        if len(found.artifacts) != 1:
            problem = "the ids of several artefacts begin so" if found.artifacts else "no artefact's id begins so"
            raise Ended(f"{which}: {problem}: see `maniple artifacts`")
        one = found.artifacts[0]
        if to is None and (session.json or screen.is_terminal(sys.stdout)):
            pieces: list[bytes] = []
            client.call("report.read", one.namespace, {"id": one.id}, seconds=600, chunk=pieces.append)
            if session.json:
                session.result(_json_row(one, b"".join(pieces)), lambda: "")
                return
            session.say(f"{screen.visible(one.title)} ({one.type})")
            text = b"".join(pieces).decode("utf-8", "replace")
            write("\n".join(map(screen.visible, text.split("\n"))) + "\n")
            return
        with streams.create(to) as write_piece:
            client.call("report.read", one.namespace, {"id": one.id}, seconds=600, chunk=write_piece)
        session.result(one, lambda: "")


def _json_row(one: _Artefact, content: bytes) -> dict[str, object]:
    """An artefact for --json: its row, and its content as `text`, or as `base64` if it is not UTF-8."""
    row = structs.asdict(one)
    try:
        return row | {"text": content.decode()}
    except UnicodeDecodeError:
        return row | {"base64": b64encode(content).decode()}


def _table(found: _All, names: dict[str, str]) -> str:
    """names: of Hands, by the namespaces of their memories."""
    if not found.artifacts:
        return ""
    return screen.table(
        ("ID", "MADE", "WHOSE", "TYPE", "BYTES", "TITLE"),
        [
            (
                one.id[:12],
                screen.moment(one.made),
                memories.describe(one.namespace, names),
                one.type,
                str(one.size),
                one.title,
            )
            for one in found.artifacts
        ],
        right=("BYTES",),
    )
